"""The places of the built-in sample `cartoon`: which objects are where, by season and time of day.

Every place is a function that draws it on a canvas, from the sky to the nearest objects.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import pi, sin

import numpy as np

from benchmark.data.cartoon import shapes
from benchmark.data.cartoon.canvas import Canvas, Ink, Light, Point, blend, color, ink

LIGHTS = {
    "day": Light(),
    "sunset": Light(gain=0.86, chroma=0.85, cast=(10, 9), paint_dim=3),
    "night": Light(gain=0.5, chroma=0.55, cast=(2, -14), paint_dim=5),
}


@dataclass(frozen=True)
class Setting:
    """The place and the time of a scene.

    place: a name in PLACES. season: spring, summer, autumn or winter. time: a name in LIGHTS.
    sun: the height of the sun, 0 at the horizon and 1 at the zenith.
    """

    place: str
    season: str
    time: str
    sun: float

    @property
    def lights(self) -> bool:
        """Whether windows and lamps are lit."""
        return self.time != "day"

    @property
    def snowy(self) -> bool:
        """Whether there is snow."""
        return self.season == "winter"


def random_setting(rng: np.random.Generator) -> Setting:
    """Draw a random setting; by day the height of the sun decides whether it is sunset."""
    place = str(rng.choice(list(PLACES), p=[0.26, 0.28, 0.16, 0.14, 0.16]))
    season = str(rng.choice(["spring", "summer", "autumn", "winter"], p=[0.2, 0.4, 0.2, 0.2]))
    if place == "beach" or (place == "lake" and season == "winter"):
        season = "summer"
    sun = float(rng.uniform(0, 1))
    time = "night" if rng.random() < 0.12 else "sunset" if sun < 0.3 else "day"
    return Setting(place, season, time, sun)


# ---------------------------------------------------------------------------------------------- sky


SKIES = {
    "day": ("4a9fe0", "8cc8f0", "dff1fa"),
    "sunset": ("5b5a9c", "ee8a6b", "ffd98a"),
    "night": ("0f1938", "223263", "4d5f92"),
}


def _sky(canvas: Canvas, setting: Setting, horizon: float) -> None:
    """Draw sky, sun or moon, and clouds, down to the horizon."""
    rng = canvas.rng
    middle = horizon * rng.uniform(0.5, 0.65)
    canvas.sky(list(zip((0.0, middle, horizon), map(color, SKIES[setting.time]), strict=True)))
    x = rng.uniform(0.12, 0.88)
    if setting.time == "day":
        y = horizon * (1 - setting.sun) * 0.9 + 0.09
        canvas.glow(x, y, 0.15, "fff6c8", 0.8)
        shapes.disc(canvas, x, y, 0.065, "fff0a0")
    elif setting.time == "sunset":
        y = horizon - 0.02 - setting.sun * 0.4
        canvas.glow(x, y, 0.24, "ffe9a8", 0.8)
        shapes.disc(canvas, x, y, 0.08, "fff3b8")
    else:
        _night_sky(canvas, x, horizon)
    _clouds(canvas, setting.time, horizon)
    if setting.time != "night" and rng.random() < 0.4:
        for _ in range(rng.integers(2, 5)):
            shapes.bird(canvas, rng.uniform(0.1, 0.9), rng.uniform(0.08, horizon * 0.6), 0.025)


def _night_sky(canvas: Canvas, x: float, horizon: float) -> None:
    """Draw stars and a moon."""
    stars = canvas.rng.uniform((0, 0, 0.002), (1, horizon * 0.9, 0.005), (30, 3)).tolist()
    starlight = replace(ink("fdf6d8"), glows=True)
    canvas.ellipses([(star_x, star_y, r, r) for star_x, star_y, r in stars], starlight)
    y = float(canvas.rng.uniform(0.1, 0.25))
    canvas.glow(x, y, 0.13, "c9d4f5", 0.5)
    shapes.disc(canvas, x, y, 0.06, "f6efce")
    shapes.disc(canvas, x + 0.02, y - 0.012, 0.012, "dcd3ac")
    shapes.disc(canvas, x - 0.018, y + 0.016, 0.016, "dcd3ac")


def _clouds(canvas: Canvas, time: str, horizon: float) -> None:
    """Draw a few clouds, white by day and pink at sunset."""
    rng = canvas.rng
    top, base = {"day": ("ffffff", "e3eef6"), "sunset": ("ffcfae", "d98a94")}.get(
        time, ("46548a", "36457a")
    )
    for _ in range(rng.integers(0, 4)):
        fill = Ink(color(top), color(base), alpha=0.92, soft=0.004, glows=True)
        y, width = rng.uniform(0.1, horizon * 0.65), rng.uniform(0.18, 0.36)
        shapes.cloud(canvas, rng.uniform(0, 1), y, width, fill)


# ------------------------------------------------------------------------------------------- ground


def _mountains(canvas: Canvas, base: float, height: float) -> None:
    """Draw a range of mountains with snow on the peaks."""
    rng = canvas.rng
    x = rng.uniform(-0.2, 0.0)
    while x < 1.1:
        half, peak = rng.uniform(0.16, 0.28), base - height * rng.uniform(0.55, 1.0)
        top = (x + half * rng.uniform(0.8, 1.2), peak)
        left, right = (x - 0.05, base), (x + 2 * half + 0.05, base)
        canvas.polygon([left, top, right], ink("7f8fb0", "a9b9cc", "rock", 1.2))
        ridge = (top[0] + 0.15 * half, base)
        shaded = Ink(color("5d6c92"), color("93a4bf"), texture="rock", strength=1.0)
        canvas.polygon([top, ridge, right], shaded)
        _snow_cap(canvas, top, left, right)
        x += half * rng.uniform(0.9, 1.5)


def _snow_cap(canvas: Canvas, top: Point, left: Point, right: Point) -> None:
    """Draw snow on the upper third of a peak, with a zigzag edge."""

    def down(foot: Point, share: float) -> Point:
        return (top[0] + (foot[0] - top[0]) * share, top[1] + (foot[1] - top[1]) * share)

    first, last = down(left, 0.36), down(right, 0.36)
    zigzag = []
    for i in range(1, 6):
        share = i / 6
        drop = (0.05 if i % 2 else -0.05) * (left[1] - top[1])
        y = first[1] + (last[1] - first[1]) * share + drop
        zigzag.append((first[0] + (last[0] - first[0]) * share, y))
    canvas.polygon([top, first, *zigzag, last], ink("ffffff", "e3ecf7"))


def _hill(canvas: Canvas, level: float, swell: float, fill: Ink) -> Callable[[float], float]:
    """Draw a hill around `level` down to the bottom; returns the function of its edge, x → y."""
    phases, waves = canvas.rng.uniform(0, 2 * pi, 2), canvas.rng.uniform(0.6, 1.4, 2)

    def ridge(x: float) -> float:
        first = sin(phases[0] + 2 * pi * waves[0] * x)
        return float(level + swell * (0.7 * first + 0.3 * sin(phases[1] + 5 * pi * waves[1] * x)))

    outline = [(x, ridge(x)) for x in np.linspace(-0.02, 1.02, 40).tolist()]
    canvas.polygon([*outline, (1.02, 1.02), (-0.02, 1.02)], fill)
    return ridge


GRASS = {
    "spring": ("b9dcae", "7cc152"),
    "summer": ("a5cfa8", "64ad47"),
    "autumn": ("c3c795", "9ba648"),
    "winter": ("dbe6f2", "f7fafd"),
}


def _grass(setting: Setting, nearness: float) -> Ink:
    """Return the ink of the ground: pale at a `nearness` of 0, rich and with texture at 1."""
    far, near = map(color, GRASS[setting.season])
    top = blend(far, near, nearness)
    texture = "sand" if setting.snowy else "grass"
    strength = (0.6 if setting.snowy else 2.4) * (0.3 + 0.7 * nearness)
    return Ink(top, (top[0] - 6, top[1], top[2]), texture=texture, strength=strength)


def _tree(canvas: Canvas, setting: Setting, x: float, y: float, height: float) -> None:
    """Draw a tree of the season."""
    if canvas.rng.random() < 0.35:
        shapes.conifer(canvas, x, y, height, setting.snowy)
        return
    kinds = {"spring": shapes.blossom_tree, "autumn": shapes.autumn_tree}
    kinds["winter"] = shapes.bare_tree
    kind = kinds.get(setting.season, shapes.leafy_tree)
    if setting.season == "spring" and canvas.rng.random() < 0.5:
        kind = shapes.leafy_tree
    kind(canvas, x, y, height)


def _spread(rng: np.random.Generator, count: int, low: float, high: float) -> list[float]:
    """Draw `count` positions between `low` and `high`, one in each of `count` equal strips."""
    strips = (np.arange(count) + rng.uniform(0.15, 0.85, count)) / max(count, 1)
    return [float(x) for x in low + (high - low) * strips]


def _meadow(canvas: Canvas, setting: Setting, y: float) -> None:
    """Draw flowers of one kind in the foreground, in spring and summer."""
    rng = canvas.rng
    if setting.season not in ("spring", "summer"):
        return
    kind = str(rng.choice(["daisy", "dandelion", "sunflower"], p=[0.45, 0.35, 0.2]))
    height = 0.19 if kind == "sunflower" else 0.065
    for x in _spread(rng, int(rng.integers(5, 10)), 0.0, 1.0):
        shapes.flower(canvas, x, float(rng.uniform(y, 1.0)), height, kind)


def _snowfall(canvas: Canvas) -> None:
    """Draw snowflakes in the air."""
    flakes = canvas.rng.uniform((0, 0, 0.004), (1, 1, 0.008), (40, 3)).tolist()
    canvas.ellipses([(x, y, r, r) for x, y, r in flakes], ink("ffffff"))


def _road(canvas: Canvas, top: float, bottom: float) -> None:
    """Draw a road across the image, with curbs and a dashed middle line."""
    canvas.rect((-0.1, top, 1.1, bottom), ink("6f747d", "5b606a", "sand", 1.0))
    for curb in (top, bottom):
        canvas.rect((-0.1, curb - 0.012, 1.1, curb + 0.004), ink("d5d2cb"))
    middle = (top + bottom) / 2
    dashes = np.arange(canvas.rng.uniform(-0.1, 0.0), 1.0, 0.16).tolist()
    canvas.rects([(x, middle - 0.007, x + 0.08, middle + 0.007) for x in dashes], ink("f6f3e6"))


def _traffic(canvas: Canvas, setting: Setting, top: float, bottom: float, most: int) -> None:
    """Draw up to one car in the farther lane, and one to `most` in the nearer lane."""
    rng = canvas.rng
    depth = bottom - top
    for lane, facing in ((0.42, -1.0), (0.93, 1.0)):
        count = int(rng.integers(0, 2) if lane < 0.5 else rng.integers(1, most + 1))
        for x in _spread(rng, count, 0.1, 0.9):
            width = float(rng.uniform(0.95, 1.05)) * (0.42 + 0.05 * lane)
            shapes.car(canvas, x, top + depth * lane, width, facing, setting.lights)


# ------------------------------------------------------------------------------------------- places


def _country(canvas: Canvas, setting: Setting) -> None:
    """Draw hills with a cottage and trees behind a road or a pasture."""
    rng = canvas.rng
    _sky(canvas, setting, 0.6)
    if rng.random() < 0.55:
        _mountains(canvas, 0.62, float(rng.uniform(0.2, 0.36)))
    _hill(canvas, float(rng.uniform(0.52, 0.58)), 0.04, _grass(setting, 0.0))
    ridge = _hill(canvas, float(rng.uniform(0.6, 0.64)), 0.03, _grass(setting, 0.5))
    for x in _spread(rng, int(rng.integers(2, 6)), 0, 1):
        _tree(canvas, setting, x, ridge(x) + 0.02, float(rng.uniform(0.12, 0.2)))
    ridge = _hill(canvas, float(rng.uniform(0.68, 0.72)), 0.02, _grass(setting, 1.0))
    home = float(rng.uniform(0.2, 0.8))
    for x in _spread(rng, int(rng.integers(2, 4)), 0, 1):
        if abs(x - home) > 0.24:
            _tree(canvas, setting, x, ridge(x) + 0.05, float(rng.uniform(0.28, 0.42)))
    width, height = rng.uniform(0.3, 0.38), rng.uniform(0.3, 0.38)
    if rng.random() < 0.75:
        shapes.house(
            canvas,
            home,
            ridge(home) + 0.07,
            width,
            height,
            snowy=setting.snowy,
            lights=setting.lights,
        )
    if rng.random() < 0.5:
        _road(canvas, 0.8, 0.98)
        _traffic(canvas, setting, 0.8, 0.98, 1)
    else:
        _pasture(canvas, setting)


def _pasture(canvas: Canvas, setting: Setting) -> None:
    """Draw the foreground of a country scene: a fence, sheep, flowers, a person with a kite."""
    rng = canvas.rng
    if rng.random() < 0.45:
        shapes.fence(canvas, 0.88, 0.11)
    for x in _spread(rng, 0 if setting.snowy else int(rng.integers(0, 4)), 0.05, 0.95):
        y, facing = float(rng.uniform(0.9, 0.97)), 1.0 if rng.random() < 0.5 else -1.0
        shapes.sheep(canvas, x, y, float(rng.uniform(0.14, 0.18)), facing)
    _meadow(canvas, setting, 0.9)
    if rng.random() < 0.6:
        _kite_flyer(canvas, float(rng.uniform(0.2, 0.8)), 0.98)


def _kite_flyer(canvas: Canvas, x: float, y: float) -> None:
    """Draw a person and a kite high up on the side with more space."""
    rng = canvas.rng
    side = 1.0 if x < 0.5 else -1.0
    hand = shapes.person(canvas, x, y, float(rng.uniform(0.4, 0.48)), arm=side)
    far, size = float(rng.uniform(0.28, 0.38)), float(rng.uniform(0.2, 0.24))
    shapes.kite(canvas, x + side * far, float(rng.uniform(0.24, 0.34)), size, hand)


def _street(canvas: Canvas, setting: Setting) -> None:
    """Draw a row of houses behind a sidewalk and a road."""
    rng = canvas.rng
    _sky(canvas, setting, 0.56)
    _hill(canvas, 0.46, 0.03, _grass(setting, 0.3))
    foot, curb = 0.56, 0.62
    canvas.rect((-0.1, 0.51, 1.1, curb), _grass(setting, 0.8))
    for x in _spread(rng, 3, -0.08, 1.08):
        width = float(rng.uniform(0.27, 0.35))
        if rng.random() < 0.3:
            shapes.tower_block(
                canvas, x, foot, width, float(rng.uniform(0.38, 0.5)), setting.lights
            )
        elif rng.random() < 0.8:
            height = float(rng.uniform(0.32, 0.4))
            shapes.house(canvas, x, foot, width, height, snowy=setting.snowy, lights=setting.lights)
        else:
            _tree(canvas, setting, x, foot, float(rng.uniform(0.3, 0.4)))
    canvas.rect((-0.1, foot - 0.01, 1.1, curb), ink("cfc8bd", "bfb7ab", "sand", 0.8))
    for x in _spread(rng, int(rng.integers(0, 3)), 0.05, 0.95):
        _tree(canvas, setting, x, 0.58, float(rng.uniform(0.18, 0.26)))
    for x in _spread(rng, int(rng.integers(0, 3)), 0.1, 0.9):
        shapes.lamp_post(canvas, x, 0.59, 0.3, setting.lights)
    for x in _spread(rng, int(rng.integers(0, 2)), 0.05, 0.95):
        shapes.person(canvas, x, 0.62, float(rng.uniform(0.38, 0.44)))
    _road(canvas, curb, 1.02)
    _traffic(canvas, setting, curb, 0.99, 2)


def _lake(canvas: Canvas, setting: Setting) -> None:
    """Draw hills and trees above still water with sailing boats."""
    rng = canvas.rng
    shore = float(rng.uniform(0.52, 0.6))
    _sky(canvas, setting, shore)
    if rng.random() < 0.7:
        _mountains(canvas, shore, float(rng.uniform(0.2, 0.36)))
    ridge = _hill(canvas, shore - 0.06, 0.03, _grass(setting, 0.4))
    for x in _spread(rng, int(rng.integers(3, 8)), 0, 1):
        _tree(canvas, setting, x, max(ridge(x) + 0.03, shore - 0.02), float(rng.uniform(0.1, 0.2)))
    canvas.mirror(shore, color("3f86b5"), 0.4)
    for x in _spread(rng, int(rng.integers(1, 3)), 0.1, 0.9):
        depth = float(rng.uniform(0.2, 0.8))
        y = shore + depth * (0.92 - shore) + 0.05
        shapes.sailing_boat(canvas, x, y, 0.36 + 0.18 * depth)
    if rng.random() < 0.6:
        _hill(canvas, 0.92, 0.03, _grass(setting, 1.0))
        _meadow(canvas, setting, 0.97)
        if rng.random() < 0.5:
            side = float(rng.choice([0.1, 0.9]))
            _tree(canvas, setting, side, 0.98, float(rng.uniform(0.5, 0.62)))


def _beach(canvas: Canvas, setting: Setting) -> None:
    """Draw the sea, and people and parasols on the sand."""
    rng = canvas.rng
    horizon = float(rng.uniform(0.42, 0.5))
    _sky(canvas, setting, horizon)
    canvas.rect((-0.1, horizon, 1.1, 0.8), ink("3f97c4", "7fd0d6", "waves", 1.8))
    for x in _spread(rng, int(rng.integers(0, 3)), 0.1, 0.9):
        shapes.sailing_boat(canvas, x, horizon + float(rng.uniform(0.08, 0.13)), 0.3)
    level = float(rng.uniform(0.66, 0.7))
    # The random state is restored, so that the foam follows the edge of the sand.
    state = rng.bit_generator.state
    _hill(canvas, level - 0.015, 0.015, ink("f4fbfb"))
    rng.bit_generator.state = state
    _hill(canvas, level, 0.015, ink("f3dfae", "e5c98d", "sand", 1.6))
    if rng.random() < 0.5:
        shapes.palm(canvas, float(rng.choice([0.08, 0.88])), 0.85, float(rng.uniform(0.6, 0.72)))
    for x in _spread(rng, int(rng.integers(1, 3)), 0.12, 0.88):
        shapes.parasol(canvas, x, float(rng.uniform(0.84, 0.9)), float(rng.uniform(0.42, 0.5)))
    for x in _spread(rng, int(rng.integers(0, 3)), 0.1, 0.9):
        shapes.person(canvas, x, float(rng.uniform(0.92, 0.98)), float(rng.uniform(0.42, 0.5)))


def _fair(canvas: Canvas, setting: Setting) -> None:
    """Draw hot-air balloons above a meadow, and people with toy balloons."""
    rng = canvas.rng
    _sky(canvas, setting, 0.76)
    _hill(canvas, float(rng.uniform(0.66, 0.7)), 0.03, _grass(setting, 0.1))
    ridge = _hill(canvas, float(rng.uniform(0.74, 0.78)), 0.03, _grass(setting, 0.6))
    for x in _spread(rng, int(rng.integers(2, 6)), 0, 1):
        _tree(canvas, setting, x, ridge(x) + 0.02, float(rng.uniform(0.12, 0.22)))
    for x in _spread(rng, int(rng.integers(1, 3)), 0.08, 0.92):
        radius = float(rng.uniform(0.14, 0.2))
        shapes.hot_air_balloon(canvas, x, float(rng.uniform(0.2, 0.4)), radius)
    _hill(canvas, 0.85, 0.015, _grass(setting, 1.0))
    _meadow(canvas, setting, 0.92)
    for x in _spread(rng, int(rng.integers(0, 3)), 0.12, 0.88):
        hand = shapes.person(canvas, x, 0.97, float(rng.uniform(0.42, 0.48)), arm=1.0)
        shapes.toy_balloons(canvas, *hand, 0.1, int(rng.integers(1, 3)))


PLACES: dict[str, Callable[[Canvas, Setting], None]] = {
    "country": _country,
    "street": _street,
    "lake": _lake,
    "beach": _beach,
    "fair": _fair,
}


def draw_place(canvas: Canvas, setting: Setting) -> None:
    """Draw the place of a setting, and in winter maybe falling snow."""
    PLACES[setting.place](canvas, setting)
    if setting.snowy and canvas.rng.random() < 0.6:
        _snowfall(canvas)
