"""A canvas in Lab, on which the built-in sample `cartoon` is drawn.

Positions are fractions of the image: (0, 0) is the top left corner, (1, 1) the bottom right one.
Colors are CIE Lab (D65), L* in [0, 100]. The canvas keeps L*, a* and b* in separate planes, so that
two images that differ only in a* and b* have the same L* at every pixel.

The paints are not known while objects are drawn. A painted object leaves its lightness and its
number on the canvas, and `Canvas.render` takes the a*, b* of each number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import ceil, floor, pi
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Lab = tuple[float, float, float]
Point = tuple[float, float]
Box = tuple[float, float, float, float]

SUPERSAMPLING = 3
PAINT_LIGHTNESS = 58.0

# ------------------------------------------------------------------------------ Lab and sRGB
# The rest of the project converts with PyTorch (benchmark/color.py). Drawing needs NumPy and Pillow
# only and starts without PyTorch, so the few lines of the sRGB standard are repeated here.

_XYZ_OF_RGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_RGB_OF_XYZ = np.linalg.inv(_XYZ_OF_RGB)
_WHITE = _XYZ_OF_RGB.sum(axis=1)
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)


def srgb_to_lab(rgb: Bytes) -> NDArray[np.float64]:
    """Convert uint8 sRGB, (..., 3), to Lab, (..., 3)."""
    xyz = _LINEAR[rgb] @ _XYZ_OF_RGB.T / _WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def _lab_to_linear(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert Lab, (3, N), to linear RGB, (3, N); outside [0, 1] where sRGB has no such color."""
    fy = (lab[0] + 16) / 116
    f = np.stack([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f * f * f, (f - 4 / 29) * (3 * (6 / 29) ** 2))
    return np.asarray((_RGB_OF_XYZ * _WHITE) @ xyz)


def in_gamut(lab: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the Lab colors, (3, N), are in the gamut of sRGB; bool, (N,)."""
    linear = _lab_to_linear(lab)
    return np.asarray((linear.min(axis=0) > -1e-4) & (linear.max(axis=0) < 1 + 1e-4))


def _fit_gamut(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reduce the chroma of Lab colors, (3, N), outside the gamut, by bisection; L* is kept."""
    fitted = np.stack([lab[0].clip(0, 100), lab[1], lab[2]])
    outside = np.flatnonzero(~in_gamut(fitted))
    colors = fitted[:, outside]
    low, high = np.zeros(len(outside)), np.ones(len(outside))
    for _ in range(8):
        middle = (low + high) / 2
        inside = in_gamut(np.stack([colors[0], colors[1] * middle, colors[2] * middle]))
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    fitted[1:, outside] *= low
    return fitted


def lab_to_srgb(lab: NDArray[np.floating]) -> Bytes:
    """Convert Lab, (..., 3), to uint8 sRGB, (..., 3), with L* kept as well as 8 bits allow.

    Rounding each channel to the nearest level moves L* by up to 0.2, differently for each paint. So
    of the eight 8-bit colors around a color one of those nearest in L* is taken.
    """
    planes = np.ascontiguousarray(lab.reshape(-1, 3).T, dtype=np.float64)
    linear = _lab_to_linear(_fit_gamut(planes)).clip(0, 1)
    exact = np.interp(linear, _LINEAR, np.arange(256.0))
    floors = exact.astype(np.intp).clip(0, 254)
    luminance = _XYZ_OF_RGB[1] @ linear
    # dL*/dY = 116/3 * Y^(-2/3) converts an error of luminance to one of lightness.
    slope = 116 / 3 * np.maximum(luminance, 0.01) ** (-2 / 3)
    # The parts of luminance and of the squared error of each channel, rounded down and up.
    parts = [[_LINEAR[floors[c] + up] * _XYZ_OF_RGB[1, c] for up in (0, 1)] for c in range(3)]
    squares = [[(floors[c] + up - exact[c]) ** 2 for up in (0, 1)] for c in range(3)]
    costs = []
    for red, green, blue in product((0, 1), repeat=3):
        error = parts[0][red] + parts[1][green] + parts[2][blue] - luminance
        # The small second term keeps the hue where several colors are equally near in L*.
        distance = squares[0][red] + squares[1][green] + squares[2][blue]
        costs.append(np.abs(error) * slope + 0.01 * distance)
    best = np.argmin(costs, axis=0)
    levels = floors + np.stack([best >> 2, (best >> 1) & 1, best & 1])
    return np.asarray(levels.T.reshape(lab.shape), dtype=np.uint8)


@cache
def color(code: str) -> Lab:
    """Return the Lab color of a six-digit sRGB code such as `7ec850`."""
    rgb = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], dtype=np.uint8)
    lightness, a, b = srgb_to_lab(rgb).tolist()
    return lightness, a, b


def blend(first: Lab, second: Lab, share: float) -> Lab:
    """Mix two colors: `share` (in [0, 1]) of `second`, the rest of `first`."""
    a, b, c = (p + share * (q - p) for p, q in zip(first, second, strict=True))
    return a, b, c


# -------------------------------------------------------------------------------- the canvas


@dataclass(frozen=True)
class Light:
    """The light of a time of day, which changes the colors of objects.

    gain: the factor of L*. chroma: the factor of a* and b*. cast: what is added to a* and b*.
    paint_dim: what is subtracted from the L* of paints. They keep their a*, b*, so that each paint
    has one true color at every time of day.
    """

    gain: float = 1.0
    chroma: float = 1.0
    cast: tuple[float, float] = (0.0, 0.0)
    paint_dim: float = 0.0

    def on(self, lab: Lab) -> Lab:
        """Return the color in this light."""
        # Black allows no cast, since it would leave the gamut of sRGB.
        room = min(1.0, lab[0] / 30)
        return (
            lab[0] * self.gain,
            lab[1] * self.chroma + self.cast[0] * room,
            lab[2] * self.chroma + self.cast[1] * room,
        )


@dataclass(frozen=True)
class Ink:
    """The color with which a shape is filled.

    lab: the color, or the one at the top of a vertical gradient to `to` at the bottom.
    alpha: the opacity. soft: the blur of the edge, as a fraction of the image.
    texture: a name in _TEXTURES. strength: the standard deviation of the texture in L*.
    glows: whether the shape is a source of light, whose color is the same at every time of day.
    number: the number of the painted object to which the shape belongs, or 0.
    """

    lab: Lab
    to: Lab | None = None
    alpha: float = 1.0
    soft: float = 0.0
    texture: str = ""
    strength: float = 0.0
    glows: bool = False
    number: int = 0


def ink(code: str, to: str = "", texture: str = "", strength: float = 0.0) -> Ink:
    """Return an opaque ink of the colors of sRGB codes."""
    return Ink(color(code), color(to) if to else None, texture=texture, strength=strength)


def paint(number: int, shade: float = 0.0, to: float | None = None) -> Ink:
    """Return the ink of painted object `number`; `shade` and, at the bottom, `to` change its L*."""
    bottom = None if to is None else (PAINT_LIGHTNESS + to, 0.0, 0.0)
    return Ink((PAINT_LIGHTNESS + shade, 0.0, 0.0), bottom, number=number)


class Placed(NamedTuple):
    """An object on the canvas.

    box: (left, top, right, bottom) in whole pixels. number: that of its paint in the mask, or 0 for
    an object that has no paint.
    """

    kind: str
    box: tuple[int, int, int, int]
    number: int


# The size of the grain across and down, in fractions of the image.
_TEXTURES = {
    "grass": (0.006, 0.030),
    "leaves": (0.016, 0.016),
    "waves": (0.060, 0.006),
    "sand": (0.005, 0.005),
    "rock": (0.020, 0.045),
}


@cache
def _texture(name: str, n: int) -> Floats:
    """Return noise of a named grain with mean 0 and deviation 1; (2n, 2n), for any n × n window."""
    across, down = (max(size * n, 0.4) for size in _TEXTURES[name])
    noise = np.random.default_rng(list(_TEXTURES).index(name)).standard_normal((2 * n, 2 * n))
    fy, fx = np.fft.fftfreq(2 * n)[:, None], np.fft.rfftfreq(2 * n)[None]
    smooth = np.exp(-2 * pi**2 * ((fx * across / 2) ** 2 + (fy * down / 2) ** 2))
    filtered = np.fft.irfft2(np.fft.rfft2(noise) * smooth, s=noise.shape)
    return np.asarray(filtered / filtered.std(), dtype=np.float32)


def _around(boxes: Sequence[Box]) -> Box:
    """Return the smallest box around boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


Draw = Callable[[ImageDraw.ImageDraw, Callable[[Point], Point]], None]


class Canvas:
    """Supersampled planes on which shapes are drawn.

    size: the side of the image in pixels; n: the side of the planes. rng: draws shapes.
    light: the light of the time of day. lab: L*, a*, b*, (3, n, n). numbers: those of the painted
    objects, (n, n), 0 elsewhere. placed: the objects so far.
    """

    def __init__(self, size: int, rng: np.random.Generator, light: Light) -> None:
        self.size, self.n = size, size * SUPERSAMPLING
        self.rng, self.light = rng, light
        self.lab: Floats = np.zeros((3, self.n, self.n), np.float32)
        self.numbers: Bytes = np.zeros((self.n, self.n), np.uint8)
        self.placed: list[Placed] = []

    def place(self, kind: str, box: Box, painted: bool = False) -> int:
        """Add an object and return its number, 0 if it has no paint or lies outside the image."""
        left, top, right, bottom = (min(max(v, 0.0), 1.0) * self.size for v in box)
        if left >= right or top >= bottom:
            return 0
        number = 1 + sum(obj.number > 0 for obj in self.placed) if painted else 0
        whole = floor(left), floor(top), ceil(right), ceil(bottom)
        self.placed.append(Placed(kind, whole, number))
        return number

    def sky(self, stops: Sequence[tuple[float, Lab]]) -> None:
        """Fill the whole canvas with a vertical gradient through (height, color) stops."""
        rows = np.linspace(0, 1, self.n)
        heights = [height for height, _ in stops]
        for channel in range(3):
            ramp = np.interp(rows, heights, [lab[channel] for _, lab in stops])
            self.lab[channel] = ramp[:, None]

    def polygon(self, points: Sequence[Point], fill: Ink) -> None:
        """Fill a polygon."""
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        box = min(xs), min(ys), max(xs), max(ys)
        self._stamp(box, lambda d, px: d.polygon([px(p) for p in points], fill=255), fill)

    def rect(self, box: Box, fill: Ink, radius: float = 0.0) -> None:
        """Fill a rectangle (left, top, right, bottom), its corners rounded by `radius`."""
        self.rects([box], fill, radius)

    def rects(self, boxes: Sequence[Box], fill: Ink, radius: float = 0.0) -> None:
        """Fill the union of rectangles as one shape."""

        def draw(d: ImageDraw.ImageDraw, px: Callable[[Point], Point]) -> None:
            for left, top, right, bottom in boxes:
                corners = [px((left, top)), px((right, bottom))]
                d.rounded_rectangle(corners, radius * self.n, fill=255)

        self._stamp(_around(boxes), draw, fill)

    def ellipses(self, ovals: Sequence[Box], fill: Ink) -> None:
        """Fill the union of ellipses, each (center x, center y, radius x, radius y)."""
        boxes = [(x - rx, y - ry, x + rx, y + ry) for x, y, rx, ry in ovals]

        def draw(d: ImageDraw.ImageDraw, px: Callable[[Point], Point]) -> None:
            for left, top, right, bottom in boxes:
                d.ellipse([px((left, top)), px((right, bottom))], fill=255)

        self._stamp(_around(boxes), draw, fill)

    def line(self, points: Sequence[Point], width: float, fill: Ink) -> None:
        """Draw a line through the points."""
        self.lines([points], width, fill)

    def lines(self, paths: Sequence[Sequence[Point]], width: float, fill: Ink) -> None:
        """Draw several lines as one shape."""
        boxes = [(x - width, y - width, x + width, y + width) for path in paths for x, y in path]
        pixels = max(1, round(width * self.n))

        def draw(d: ImageDraw.ImageDraw, px: Callable[[Point], Point]) -> None:
            for path in paths:
                d.line([px(p) for p in path], 255, pixels, joint="curve")

        self._stamp(_around(boxes), draw, fill)

    def glow(self, x: float, y: float, radius: float, code: str, alpha: float) -> None:
        """Draw the soft halo around a sun, a moon or a lamp."""
        halo = Ink(color(code), alpha=alpha, soft=radius / 3, glows=True)
        self.ellipses([(x, y, radius, radius)], halo)

    def _stamp(self, box: Box, draw: Draw, fill: Ink) -> None:
        """Fill the shape that `draw` draws into a mask of the size of `box`."""
        n, margin = self.n, 3 * fill.soft + 1 / self.n
        left, top = (max(floor((v - margin) * n), 0) for v in box[:2])
        right, bottom = (min(ceil((v + margin) * n) + 1, n) for v in box[2:])
        if left >= right or top >= bottom:
            return
        mask = Image.new("L", (right - left, bottom - top))
        draw(ImageDraw.Draw(mask), lambda p: (p[0] * n - left, p[1] * n - top))
        if fill.soft:
            mask = mask.filter(ImageFilter.GaussianBlur(fill.soft * n))
        window = np.s_[top:bottom, left:right]
        colors = self._colors(fill, box, window)
        region = self.lab[:, *window]
        coverage = np.asarray(mask)
        if fill.soft or fill.alpha < 1:
            # Halos and shadows leave paint unchanged, since a mixed color would be no paint.
            clear = coverage * (self.numbers[window] == 0)
            share = clear.astype(np.float32) * np.float32(fill.alpha / 255)
            region += share * (colors - region)
        else:
            np.copyto(region, colors, where=coverage > 0)
            self.numbers[window][coverage > 0] = fill.number

    def _colors(self, fill: Ink, box: Box, window: tuple[slice, slice]) -> Floats:
        """Return the colors of `fill` in the window; they broadcast to (3, rows, columns)."""
        first = np.array(self._lit(fill, fill.lab), np.float32)[:, None, None]
        if fill.to is None and not fill.strength:
            return first
        rows, columns = window
        last = np.array(self._lit(fill, fill.to or fill.lab), np.float32)[:, None, None]
        down = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) / self.n
        share = ((down - box[1]) / max(box[3] - box[1], 1e-6)).clip(0, 1)
        colors: Floats = first + share[:, None] * (last - first)
        if fill.strength:
            y, x = (self.rng.random(2) * self.n).astype(int)
            height, width = rows.stop - rows.start, columns.stop - columns.start
            grain = _texture(fill.texture, self.n)[y : y + height, x : x + width]
            colors = np.repeat(colors, width, axis=2)
            colors[0] += np.float32(fill.strength * self.light.gain) * grain
        return colors

    def _lit(self, fill: Ink, lab: Lab) -> Lab:
        """Return a color of `fill` in the light of the time of day."""
        if fill.number:
            return lab[0] - self.light.paint_dim, 0.0, 0.0
        return lab if fill.glows else self.light.on(lab)

    def mirror(self, top: float, tint: Lab, share: float) -> None:
        """Turn everything below `top` into water, a rippled reflection of what is above it."""
        edge = round(top * self.n)
        rows = np.arange(edge, self.n)
        ripple = _texture("waves", self.n)[edge : self.n, : self.n]
        # Ripples grow towards the viewer, who sees distant water nearly edge-on.
        reach = np.linspace(0.003, 0.02, len(rows))[:, None] * self.n
        above = (2 * edge - 1 - rows[:, None] + ripple * reach).clip(0, edge - 1).astype(np.intp)
        reflected = self.lab[:, above, np.arange(self.n)[None]]
        water = np.array(self.light.on(tint), np.float32)[:, None, None]
        self.lab[:, edge:] = reflected + np.float32(share) * (water - reflected)
        self.lab[0, edge:] += 1.6 * self.light.gain * ripple
        self.numbers[edge:] = 0

    def render(self, paints: Sequence[tuple[float, float]], grain: Floats) -> Bytes:
        """Return the image, uint8 sRGB (size, size, 3).

        paints: the a*, b* of the painted objects; object k has `paints[k - 1]`. grain: film grain,
        (size, size), which is added to L*. It also hides which values of L* each paint can have in
        8 bits.
        """
        lab = self.lab.copy()
        painted = self.numbers > 0
        table = np.array([(0.0, 0.0), *paints], dtype=np.float32)
        lab[1:, painted] = table[self.numbers[painted]].T
        small = np.mean(_cells(lab), axis=0)
        small[0] += grain
        return lab_to_srgb(np.moveaxis(small, 0, -1))

    def mask(self) -> Bytes:
        """Return the mask (size, size): k where a whole pixel belongs to object k, else 0."""
        cells = np.stack(_cells(self.numbers))
        return np.where((cells == cells[0]).all(axis=0), cells[0], 0).astype(np.uint8)


def _cells(plane: NDArray[Any]) -> list[NDArray[Any]]:
    """Split a plane (..., n, n) into the parts of each pixel, each (..., size, size)."""
    steps = range(SUPERSAMPLING)
    return [plane[..., y::SUPERSAMPLING, x::SUPERSAMPLING] for y, x in product(steps, steps)]
