"""A canvas in Lab, on which the built-in sample `cartoon` is drawn.

Places are fractions of the image: (0, 0) is the top left corner, (1, 1) the bottom right one.
Colors are CIE Lab (D65), L* in 0..100. The canvas keeps L*, a* and b* apart from the first stroke
to the last, so that two images that differ only in a* and b* have the same L* at every pixel.

A paint is never known here. A painted thing lays its lightness and its number; whoever owns the
canvas gives each number its a*, b* in `Canvas.render`.
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
# The rest of the project converts with PyTorch. Drawing needs NumPy and Pillow only, and must start
# at once in a process of its own, so the few lines of the sRGB standard stand here again.

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
    """uint8 sRGB, (..., 3), to Lab, (..., 3)."""
    xyz = _LINEAR[rgb] @ _XYZ_OF_RGB.T / _WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def _lab_to_linear(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lab, (3, N), to linear RGB, (3, N); outside 0..1 where sRGB has no such color."""
    fy = (lab[0] + 16) / 116
    f = np.stack([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f * f * f, (f - 4 / 29) * (3 * (6 / 29) ** 2))
    return np.asarray((_RGB_OF_XYZ * _WHITE) @ xyz)


def in_gamut(lab: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the colors, (3, N), sRGB can show; bool, (N,)."""
    linear = _lab_to_linear(lab)
    return np.asarray((linear.min(axis=0) > -1e-4) & (linear.max(axis=0) < 1 + 1e-4))


def _fit_gamut(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pull colors, (3, N), that sRGB cannot show towards gray of the same L*, by bisection."""
    fitted = np.stack([lab[0].clip(0, 100), lab[1], lab[2]])
    outside = np.flatnonzero(~in_gamut(fitted))
    colors = fitted[:, outside]
    low, high = np.zeros(len(outside)), np.ones(len(outside))
    for _ in range(8):
        middle = (low + high) / 2
        shows = in_gamut(np.stack([colors[0], colors[1] * middle, colors[2] * middle]))
        low, high = np.where(shows, middle, low), np.where(shows, high, middle)
    fitted[1:, outside] *= low
    return fitted


def lab_to_srgb(lab: NDArray[np.floating]) -> Bytes:
    """Lab, (..., 3), to uint8 sRGB, (..., 3), with L* kept as well as 8 bits allow.

    Rounding each channel to the nearest level moves L* by up to 0.2, differently for each paint. So
    of the eight levels around a color one of those nearest in L* is taken.
    """
    planes = np.ascontiguousarray(lab.reshape(-1, 3).T, dtype=np.float64)
    linear = _lab_to_linear(_fit_gamut(planes)).clip(0, 1)
    exact = np.interp(linear, _LINEAR, np.arange(256.0))
    floors = exact.astype(np.intp).clip(0, 254)
    luminance = _XYZ_OF_RGB[1] @ linear
    # dL*/dY = 116/3 * Y^(-2/3): turns an error of luminance into one of lightness.
    slope = 116 / 3 * np.maximum(luminance, 0.01) ** (-2 / 3)
    # What each channel adds to luminance and to the squared error, one level down and one up.
    parts = [[_LINEAR[floors[c] + up] * _XYZ_OF_RGB[1, c] for up in (0, 1)] for c in range(3)]
    squares = [[(floors[c] + up - exact[c]) ** 2 for up in (0, 1)] for c in range(3)]
    costs = []
    for red, green, blue in product((0, 1), repeat=3):
        error = parts[0][red] + parts[1][green] + parts[2][blue] - luminance
        # The small second term keeps the hue where several levels are as good in L*.
        blur = squares[0][red] + squares[1][green] + squares[2][blue]
        costs.append(np.abs(error) * slope + 0.01 * blur)
    best = np.argmin(costs, axis=0)
    levels = floors + np.stack([best >> 2, (best >> 1) & 1, best & 1])
    return np.asarray(levels.T.reshape(lab.shape), dtype=np.uint8)


@cache
def color(code: str) -> Lab:
    """The Lab color of a six-digit sRGB code such as `7ec850`."""
    rgb = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], dtype=np.uint8)
    lightness, a, b = srgb_to_lab(rgb).tolist()
    return lightness, a, b


def blend(first: Lab, second: Lab, share: float) -> Lab:
    """`first` with `share` (0..1) of `second` in it."""
    a, b, c = (p + share * (q - p) for p, q in zip(first, second, strict=True))
    return a, b, c


# -------------------------------------------------------------------------------- the canvas


@dataclass(frozen=True)
class Light:
    """What the time of day does to colors: L* times `gain`, a*, b* times `chroma` plus `cast`.

    Paints keep their a*, b*, so that the truth about them stays one color; they only lose
    `paint_dim` of their L*.
    """

    gain: float = 1.0
    chroma: float = 1.0
    cast: tuple[float, float] = (0.0, 0.0)
    paint_dim: float = 0.0

    def on(self, lab: Lab) -> Lab:
        """The color as it looks in this light."""
        # Black has no room for a cast and white little: both would leave sRGB.
        room = min(1.0, lab[0] / 30)
        return (
            lab[0] * self.gain,
            lab[1] * self.chroma + self.cast[0] * room,
            lab[2] * self.chroma + self.cast[1] * room,
        )


@dataclass(frozen=True)
class Ink:
    """What a stroke lays down: a color, or a gradient from it at the top to `to` at the bottom."""

    lab: Lab
    to: Lab | None = None
    alpha: float = 1.0
    soft: float = 0.0  # blur of the edge, as a fraction of the image
    texture: str = ""
    strength: float = 0.0  # of the texture: standard deviation in L*
    glows: bool = False  # it shines by itself: the light of the day leaves it alone
    number: int = 0  # of the painted object this belongs to; 0 is none


def ink(code: str, to: str = "", texture: str = "", strength: float = 0.0) -> Ink:
    """An opaque ink from sRGB codes."""
    return Ink(color(code), color(to) if to else None, texture=texture, strength=strength)


def paint(number: int, shade: float = 0.0, to: float | None = None) -> Ink:
    """The ink of painted object `number`, `shade` (down to `to`) L* off the paints' lightness."""
    bottom = None if to is None else (PAINT_LIGHTNESS + to, 0.0, 0.0)
    return Ink((PAINT_LIGHTNESS + shade, 0.0, 0.0), bottom, number=number)


class Placed(NamedTuple):
    """One thing on the canvas; `box` in whole pixels (left, top, right, bottom)."""

    kind: str
    box: tuple[int, int, int, int]
    number: int  # of its paint in the mask; 0: its color is no question


# Feature size across and down, in fractions of the image.
_TEXTURES = {
    "grass": (0.006, 0.030),
    "leaves": (0.016, 0.016),
    "waves": (0.060, 0.006),
    "sand": (0.005, 0.005),
    "rock": (0.020, 0.045),
}


@cache
def _texture(name: str, n: int) -> Floats:
    """Noise of the named grain, mean 0 and deviation 1; (2n, 2n), so any n x n window fits."""
    across, down = (max(size * n, 0.4) for size in _TEXTURES[name])
    noise = np.random.default_rng(list(_TEXTURES).index(name)).standard_normal((2 * n, 2 * n))
    fy, fx = np.fft.fftfreq(2 * n)[:, None], np.fft.rfftfreq(2 * n)[None]
    smooth = np.exp(-2 * pi**2 * ((fx * across / 2) ** 2 + (fy * down / 2) ** 2))
    filtered = np.fft.irfft2(np.fft.rfft2(noise) * smooth, s=noise.shape)
    return np.asarray(filtered / filtered.std(), dtype=np.float32)


def _around(boxes: Sequence[Box]) -> Box:
    """The smallest box around boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


Draw = Callable[[ImageDraw.ImageDraw, Callable[[Point], Point]], None]


class Canvas:
    """Supersampled planes of L*, a*, b* (3, n, n) and of painted objects' numbers (n, n)."""

    def __init__(self, size: int, rng: np.random.Generator, light: Light) -> None:
        self.size, self.n = size, size * SUPERSAMPLING
        self.rng, self.light = rng, light
        self.lab: Floats = np.zeros((3, self.n, self.n), np.float32)
        self.numbers: Bytes = np.zeros((self.n, self.n), np.uint8)
        self.placed: list[Placed] = []

    def place(self, kind: str, box: Box, painted: bool = False) -> int:
        """Note a thing in the scene, unless it lies outside the image.

        Returns the number to paint it with, 0 if it has no paint.
        """
        left, top, right, bottom = (min(max(v, 0.0), 1.0) * self.size for v in box)
        if left >= right or top >= bottom:
            return 0
        number = 1 + sum(thing.number > 0 for thing in self.placed) if painted else 0
        whole = floor(left), floor(top), ceil(right), ceil(bottom)
        self.placed.append(Placed(kind, whole, number))
        return number

    def sky(self, stops: Sequence[tuple[float, Lab]]) -> None:
        """Fill everything with a vertical gradient through (height, color) stops."""
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
        """Fill the union of rectangles in one go."""

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
        """Draw several lines in one go."""
        boxes = [(x - width, y - width, x + width, y + width) for path in paths for x, y in path]
        pixels = max(1, round(width * self.n))

        def draw(d: ImageDraw.ImageDraw, px: Callable[[Point], Point]) -> None:
            for path in paths:
                d.line([px(p) for p in path], 255, pixels, joint="curve")

        self._stamp(_around(boxes), draw, fill)

    def glow(self, x: float, y: float, radius: float, code: str, alpha: float) -> None:
        """Lay the soft light around a sun, a moon or a lamp."""
        halo = Ink(color(code), alpha=alpha, soft=radius / 3, glows=True)
        self.ellipses([(x, y, radius, radius)], halo)

    def _stamp(self, box: Box, draw: Draw, fill: Ink) -> None:
        """Lay `fill` where `draw` marks a mask the size of `box`."""
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
            # Halos and shadows pass paint by: a mixed color would be no paint's any more.
            clear = coverage * (self.numbers[window] == 0)
            share = clear.astype(np.float32) * np.float32(fill.alpha / 255)
            region += share * (colors - region)
        else:
            np.copyto(region, colors, where=coverage > 0)
            self.numbers[window][coverage > 0] = fill.number

    def _colors(self, fill: Ink, box: Box, window: tuple[slice, slice]) -> Floats:
        """The colors `fill` has in the window; broadcasts to (3, rows, columns)."""
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
        """A color of `fill` in the light of the day."""
        if fill.number:
            return lab[0] - self.light.paint_dim, 0.0, 0.0
        return lab if fill.glows else self.light.on(lab)

    def mirror(self, top: float, tint: Lab, share: float) -> None:
        """Turn everything below `top` into water: what is above, upside down and rippled."""
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
        """sRGB, (size, size, 3), with object k painted in the a*, b* of `paints[k - 1]`.

        `grain`, (size, size), is added to L*: film grain. It also hides which levels of L* 8 bits
        can reach with each paint.
        """
        lab = self.lab.copy()
        painted = self.numbers > 0
        table = np.array([(0.0, 0.0), *paints], dtype=np.float32)
        lab[1:, painted] = table[self.numbers[painted]].T
        small = np.mean(_cells(lab), axis=0)
        small[0] += grain
        return lab_to_srgb(np.moveaxis(small, 0, -1))

    def mask(self) -> Bytes:
        """(size, size): k where a pixel belongs wholly to painted object k, else 0."""
        cells = np.stack(_cells(self.numbers))
        return np.where((cells == cells[0]).all(axis=0), cells[0], 0).astype(np.uint8)


def _cells(plane: NDArray[Any]) -> list[NDArray[Any]]:
    """The parts of a plane (..., n, n) that make up each pixel, every one (..., size, size)."""
    steps = range(SUPERSAMPLING)
    return [plane[..., y::SUPERSAMPLING, x::SUPERSAMPLING] for y, x in product(steps, steps)]
