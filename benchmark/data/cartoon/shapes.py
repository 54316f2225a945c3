"""The objects in the scenes of the built-in sample `cartoon`: one function draws each kind.

The middle of an object's lower edge is at (x, y) unless its docstring says otherwise; its height or
width is given. All are fractions of the image. `Canvas.place` adds an object to the scene and
returns the number of its paint.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import cos, pi, sin

import numpy as np

from benchmark.data.cartoon.canvas import Canvas, Ink, Point, ink, paint

# --------------------------------------------------------------------------------------- sky


def disc(canvas: Canvas, x: float, y: float, radius: float, code: str) -> None:
    """Draw a sun or a moon centered on (x, y), or a spot on a moon."""
    canvas.ellipses([(x, y, radius, radius)], replace(ink(code), glows=True))


def cloud(canvas: Canvas, x: float, y: float, width: float, fill: Ink) -> None:
    """Draw a cloud of puffs on a flat base."""
    rng = canvas.rng
    puffs = []
    for step in np.linspace(-0.5, 0.5, 6):
        size = width * (0.10 + 0.16 * cos(step * 2.6) * rng.uniform(0.6, 1.1))
        puffs.append((x + step * width * 0.8, y - size * 0.75, size, size))
    base = (x, y, width * 0.58, width * 0.07)
    canvas.ellipses([*puffs, base], fill)


def bird(canvas: Canvas, x: float, y: float, span: float) -> None:
    """Draw a distant gull: two bent wings."""
    wings = [(x - span, y - span * 0.4), (x - span * 0.4, y - span * 0.5), (x, y)]
    wings += [(x + span * 0.4, y - span * 0.5), (x + span, y - span * 0.4)]
    canvas.line(wings, 0.007, ink("3c4458"))


# ------------------------------------------------------------------------------------ plants


def round_tree(canvas: Canvas, x: float, y: float, height: float, crown: str, lit: str) -> None:
    """Draw a tree with a round crown of puffs, brighter at the upper left."""
    rng = canvas.rng
    canvas.place("tree", (x - height * 0.36, y - height, x + height * 0.36, y))
    trunk = height * 0.055
    fork = y - height * 0.5
    tapered = [(x - trunk, y), (x - trunk * 0.6, fork), (x + trunk * 0.6, fork), (x + trunk, y)]
    canvas.polygon(tapered, ink("8a5a3a", "6b4229"))
    puffs = []
    for turn in np.linspace(0, 2 * pi, 7)[:-1]:
        size = height * rng.uniform(0.17, 0.23)
        across, up = cos(turn) * height * 0.17, sin(turn) * height * 0.15
        puffs.append((x + across, y - height * 0.64 + up, size, size))
    canvas.ellipses(puffs, ink(crown, texture="leaves", strength=2.2))
    lights = [
        (px - height * 0.05, py - height * 0.06, r * 0.62, r * 0.58) for px, py, r, _ in puffs
    ]
    canvas.ellipses(lights, ink(lit, crown, "leaves", 2.2))


def leafy_tree(canvas: Canvas, x: float, y: float, height: float) -> None:
    """Draw a green tree."""
    crown, lit = (("4f9a46", "7cc15c"), ("3f8a4f", "68b46a"))[int(canvas.rng.integers(2))]
    round_tree(canvas, x, y, height, crown, lit)


def blossom_tree(canvas: Canvas, x: float, y: float, height: float) -> None:
    """Draw a pale pink tree with dots of white blossom."""
    round_tree(canvas, x, y, height, "efa3b8", "f9c9d6")
    _dots(canvas, x, y - height * 0.66, height * 0.3, 12, 0.007, "fff4f8")


def autumn_tree(canvas: Canvas, x: float, y: float, height: float) -> None:
    """Draw an orange tree with fallen leaves on the ground around it."""
    round_tree(canvas, x, y, height, "d9772f", "efa345")
    _dots(canvas, x, y - height * 0.64, height * 0.36, 26, 0.008, "f5bd52")
    fallen = canvas.rng.normal(0, 1, (14, 2)) * (height * 0.3, height * 0.03)
    leaves = [(x + dx, y + abs(dy), 0.007, 0.005) for dx, dy in fallen.tolist()]
    canvas.ellipses(leaves, ink("e38a35"))


def _dots(
    canvas: Canvas, x: float, y: float, reach: float, count: int, radius: float, code: str
) -> None:
    """Draw small round dots, spread evenly over a disc centered on (x, y)."""
    turns = canvas.rng.uniform(0, 2 * pi, count)
    away = reach * np.sqrt(canvas.rng.uniform(0, 1, count))
    centers = np.stack([x + away * np.cos(turns), y + away * np.sin(turns)], -1).tolist()
    canvas.ellipses([(cx, cy, radius, radius) for cx, cy in centers], ink(code))


def conifer(canvas: Canvas, x: float, y: float, height: float, snowy: bool) -> None:
    """Draw a conifer: three dark green triangles on a short trunk, in winter with snow."""
    canvas.place("conifer", (x - height * 0.26, y - height, x + height * 0.26, y))
    canvas.rect((x - height * 0.04, y - height * 0.2, x + height * 0.04, y), ink("6b4a34"))
    for step in range(3):
        foot, half = y - height * (0.12 + 0.25 * step), height * (0.27 - 0.06 * step)
        top = (x, foot - height * 0.42)
        left, right = (x - half, foot), (x + half, foot)
        canvas.polygon([left, top, right], ink("4d9070", "2c6650", "leaves", 1.8))
        if snowy:
            low = foot - height * 0.17
            points = [top, (x - half * 0.62, low), (x - half * 0.2, low - height * 0.04)]
            points += [(x + half * 0.1, low + height * 0.03), (x + half * 0.6, low)]
            canvas.polygon(points, ink("ffffff", "e4ecf6"))


def bare_tree(canvas: Canvas, x: float, y: float, height: float) -> None:
    """Draw a bare tree: branches only."""
    canvas.place("bare tree", (x - height * 0.3, y - height, x + height * 0.3, y))

    wood: dict[float, list[list[Point]]] = {}

    def branch(foot: Point, angle: float, length: float, width: float, depth: int) -> None:
        tip = (foot[0] + length * sin(angle), foot[1] - length * cos(angle))
        wood.setdefault(width, []).append([foot, tip])
        if depth:
            for bend in (-0.55, 0.5):
                turned = angle + bend * canvas.rng.uniform(0.7, 1.3)
                branch(tip, turned, length * 0.68, width * 0.65, depth - 1)

    branch((x, y), 0.0, height * 0.4, height * 0.06, 3)
    for width, boughs in wood.items():
        canvas.lines(boughs, width, ink("6d5142"))


def palm(canvas: Canvas, x: float, y: float, height: float) -> None:
    """Draw a leaning palm."""
    canvas.place("palm", (x - height * 0.3, y - height, x + height * 0.45, y))
    top = (x + height * 0.12, y - height * 0.8)
    bend = (x + height * 0.02, y - height * 0.4)
    canvas.line([(x, y), bend, top], height * 0.07, ink("a87a4e", "8a603c"))
    for turn in np.linspace(-2.6, 0.3, 6).tolist():
        reach = height * 0.36
        tip = (top[0] + reach * cos(turn), top[1] + reach * sin(turn) * 0.7 + height * 0.06)
        middle = (top[0] + reach * 0.55 * cos(turn), top[1] + reach * 0.75 * sin(turn) - 0.02)
        under = (middle[0], middle[1] + height * 0.09)
        canvas.polygon([top, middle, tip, under], ink("5fae4e", "3f8a46"))


def flower(canvas: Canvas, x: float, y: float, height: float, kind: str) -> None:
    """Draw a daisy (white), a dandelion (yellow) or a sunflower (yellow with a brown center)."""
    canvas.line([(x, y), (x, y - height)], 0.008, ink("4b8f3d"))
    petals, heart = {
        "daisy": ("ffffff", "f2c53d"),
        "dandelion": ("f7d33c", "f7d33c"),
        "sunflower": ("f6c62f", "6e4523"),
    }[kind]
    size = height * (0.36 if kind == "sunflower" else 0.3)
    turns = np.linspace(0, 2 * pi, 8)[:-1].tolist()
    ring = [(x + cos(t) * size * 0.6, y - height + sin(t) * size * 0.6) for t in turns]
    canvas.ellipses([(px, py, size * 0.45, size * 0.45) for px, py in ring], ink(petals))
    canvas.ellipses([(x, y - height, size * 0.45, size * 0.45)], ink(heart))


# -------------------------------------------------------------------------------- buildings


def house(
    canvas: Canvas, x: float, y: float, width: float, height: float, *, snowy: bool, lights: bool
) -> None:
    """Draw a cottage: walls of plaster or brick, a red tiled roof, a wooden door."""
    rng = canvas.rng
    left, right, eaves = x - width / 2, x + width / 2, y - height * 0.58
    canvas.place("house", (left, y - height, right, y))
    if rng.random() < 0.3:
        _bricks(canvas, left, eaves, right, y)
    else:
        canvas.rect((left, eaves, right, y), ink("fdf2d8", "eedfbe"))
    canvas.rect((left, y - height * 0.05, right, y), ink("9c948c"))
    _roof(canvas, x, eaves, width, height * 0.42, snowy)
    side = 1.0 if rng.random() < 0.5 else -1.0
    _door(canvas, x + side * width * 0.24, y, width * 0.22, height * 0.36)
    level = y - height * 0.34
    centers = [(x - side * 0.26 * width, level), (x + side * 0.02 * width, level)]
    windows(canvas, centers, width * 0.17, lights)


def _bricks(canvas: Canvas, left: float, top: float, right: float, bottom: float) -> None:
    """Draw a brick wall: dark courses with pale joints."""
    canvas.rect((left, top, right, bottom), ink("b5654a", "a1543c", "sand", 1.5))
    course, joints = 0.022, []
    for row in range(1, int((bottom - top) / course) + 1):
        y = bottom - row * course
        joints.append([(left, y), (right - 0.003, y)])
        offset = course * (0.5 if row % 2 else 1.0)
        for x in np.arange(left + offset, right - 0.006, course * 1.6).tolist():
            joints.append([(x, y), (x, min(y + course, bottom))])
    canvas.lines(joints, 0.004, ink("cf9078"))


def _roof(canvas: Canvas, x: float, eaves: float, width: float, rise: float, snowy: bool) -> None:
    """Draw a gable with rows of tiles and a chimney, its upper part under snow in winter."""
    stack = x + width * 0.22
    canvas.rect(
        (stack, eaves - rise * 1.05, stack + width * 0.11, eaves - rise * 0.2),
        ink("9c5a48", "854838"),
    )
    half, flat = width * 0.6, width * 0.3
    outline = [(x - half, eaves), (x - flat, eaves - rise), (x + flat, eaves - rise)]
    canvas.polygon([*outline, (x + half, eaves)], ink("d2543f", "b13a2e"))
    for share in (0.28, 0.52, 0.76):
        reach = half + (flat - half) * share
        y = eaves - rise * share
        canvas.line([(x - reach, y), (x + reach, y)], 0.005, ink("9b2f28"))
    if snowy:
        reach = half + (flat - half) * 0.35
        foot = eaves - rise * 0.35
        top = [(x - flat * 1.04, eaves - rise * 1.06), (x + flat * 1.04, eaves - rise * 1.06)]
        drips = [
            (x + reach * share, foot + (rise * 0.12 if i % 2 else 0.0))
            for i, share in enumerate(np.linspace(1, -1, 8).tolist())
        ]
        canvas.polygon([*top, *drips], ink("ffffff", "e6edf6"))


def _door(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
    """Draw a wooden door with a pale frame and a brass knob."""
    box = (x - width / 2, y - height, x + width / 2, y)
    frame = 0.008
    canvas.rect((box[0] - frame, box[1] - frame, box[2] + frame, y), ink("fbf6ea"))
    canvas.rect(box, ink("8f5f3c", "7a4e30"))
    canvas.ellipses([(x + width * 0.28, y - height * 0.45, 0.006, 0.006)], ink("f3d27a"))


def windows(canvas: Canvas, centers: Sequence[Point], size: float, lights: bool) -> None:
    """Draw square windows with a mullion: yellow if they are lit, else the color of the sky."""
    half, inner = size / 2, size / 2 - 0.007
    canvas.rects([(x - half, y - half, x + half, y + half) for x, y in centers], ink("fbf6ea"))
    glass = replace(ink("ffe08a", "ffc65a"), glows=True) if lights else ink("a9d3e8", "7fb4d3")
    canvas.rects([(x - inner, y - inner, x + inner, y + inner) for x, y in centers], glass)
    canvas.lines([[(x, y - inner), (x, y + inner)] for x, y in centers], 0.005, ink("fbf6ea"))


def tower_block(
    canvas: Canvas, x: float, y: float, width: float, height: float, lights: bool
) -> None:
    """Draw a gray-blue town house with rows of windows and a dark roof edge."""
    box = (x - width / 2, y - height, x + width / 2, y)
    canvas.place("town house", box)
    canvas.rect(box, ink("aebfce", "94a8ba"))
    canvas.rect((box[0] - 0.006, box[1] - 0.015, box[2] + 0.006, box[1] + 0.012), ink("5a6878"))
    columns = max(2, int(width / 0.075))
    rows = np.arange(box[1] + 0.06, y - 0.08, 0.085).tolist()
    across = [box[0] + width * (column + 0.5) / columns for column in range(columns)]
    centers = [(column, row) for row in rows for column in across]
    windows(canvas, centers, 0.045, lights=False)
    awake = [center for center in centers if canvas.rng.random() < 0.65]
    if lights and awake:
        windows(canvas, awake, 0.045, lights=True)


def fence(canvas: Canvas, y: float, height: float) -> None:
    """Draw a white picket fence across the whole image."""
    canvas.place("fence", (0, y - height, 1, y))
    levels = (y - height * 0.3, y - height * 0.7)
    rails = [[(-0.02, level), (1.02, level)] for level in levels]
    canvas.lines(rails, height * 0.12, ink("ece6dc"))
    for x in np.arange(canvas.rng.uniform(0, 0.05), 1.02, 0.062).tolist():
        top = [(x - 0.011, y - height * 0.85), (x, y - height), (x + 0.011, y - height * 0.85)]
        canvas.polygon([(x - 0.011, y), *top, (x + 0.011, y)], ink("ffffff", "ded7cc"))


def lamp_post(canvas: Canvas, x: float, y: float, height: float, lights: bool) -> None:
    """Draw a street lamp, which may be lit."""
    canvas.place("lamp", (x - 0.02, y - height, x + 0.02, y))
    canvas.line([(x, y), (x, y - height)], 0.012, ink("3f4a55"))
    if lights:
        canvas.glow(x, y - height, 0.09, "ffdf8f", 0.55)
    bulb = replace(ink("fff0b8"), glows=True) if lights else ink("e8eef2")
    canvas.rect((x - 0.016, y - height - 0.03, x + 0.016, y - height + 0.012), bulb, 0.008)
    canvas.rect((x - 0.02, y - height - 0.04, x + 0.02, y - height - 0.024), ink("3f4a55"))


# --------------------------------------------------------------------------------- vehicles


def car(canvas: Canvas, x: float, y: float, width: float, facing: float, lights: bool) -> None:
    """Draw a painted car from the side; `facing` is 1 to the right, -1 to the left."""
    height = width * 0.52
    number = canvas.place(
        "car", (x - width / 2, y - height, x + width / 2, y - width * 0.06), painted=True
    )
    van = canvas.rng.random() < 0.3

    def at(across: float, up: float) -> Point:
        return x + facing * across * width, y - up * width

    shadow = replace(ink("20242c"), alpha=0.45, soft=0.006)
    canvas.ellipses([(x, y - width * 0.01, width * 0.54, width * 0.05)], shadow)
    roof = [(-0.46, 0.25), (-0.44, 0.52), (0.2, 0.52), (0.36, 0.29)]
    cabin = roof if van else [(-0.36, 0.27), (-0.24, 0.51), (0.1, 0.51), (0.29, 0.27)]
    canvas.polygon([at(*p) for p in cabin], paint(number, 4.0, 1.0))
    body = (x - width / 2, y - width * 0.33, x + width / 2, y - width * 0.07)
    canvas.rect(body, paint(number, 2.0, -4.0), width * 0.07)
    _car_windows(canvas, at, van)
    front, rear = at(0.46, 0.24), at(-0.47, 0.24)
    lamp = replace(ink("fff3b0"), glows=lights)
    if lights:
        canvas.glow(*at(0.54, 0.22), 0.05, "fff0b0", 0.6)
    canvas.ellipses([(*front, width * 0.035, width * 0.03)], lamp)
    canvas.ellipses([(*rear, width * 0.025, width * 0.03)], ink("d8332f"))
    canvas.line([at(-0.5, 0.095), at(0.5, 0.095)], 0.008, ink("c9cdd2"))
    for across in (-0.29, 0.29):
        center = at(across, 0.075)
        for radius, code in ((0.095, "23262d"), (0.05, "c4cad1"), (0.02, "6a7077")):
            canvas.ellipses([(*center, radius * width, radius * width)], ink(code))


def _car_windows(canvas: Canvas, at: Callable[[float, float], Point], van: bool) -> None:
    """Draw the windows of a car; `at` maps a position on the car to one in the image."""
    glass = ink("d5ecf5", "8db6cc")
    if van:
        panes = [[(0.04, 0.34), (0.04, 0.47), (0.18, 0.47), (0.29, 0.34)]]
    else:
        panes = [
            [(-0.29, 0.34), (-0.22, 0.46), (-0.07, 0.46), (-0.07, 0.34)],
            [(-0.03, 0.34), (-0.03, 0.46), (0.08, 0.46), (0.2, 0.34)],
        ]
    for pane in panes:
        canvas.polygon([at(*p) for p in pane], glass)


def sailing_boat(canvas: Canvas, x: float, y: float, width: float) -> None:
    """Draw a sailing boat with a painted hull and white sails."""
    height = width * 1.1
    box = (x - width / 2, y - width * 0.32, x + width / 2, y)
    number = canvas.place("boat", box, painted=True)
    shade = replace(ink("2d4a63"), alpha=0.45, soft=0.006)
    canvas.ellipses([(x, y + width * 0.05, width * 0.42, width * 0.06)], shade)
    canvas.line([(x, y - width * 0.3), (x, y - height)], 0.011, ink("7a5638"))
    foot = y - width * 0.38
    canvas.polygon(
        [(x + 0.014, y - height), (x + 0.014, foot), (x + width * 0.42, foot)],
        ink("ffffff", "eee7da"),
    )
    canvas.polygon(
        [(x - 0.012, y - height * 0.9), (x - 0.012, foot), (x - width * 0.3, foot)],
        ink("f3ede2", "ddd4c6"),
    )
    hull = [(x - width / 2, box[1]), (x + width / 2, box[1])]
    hull += [(x + width * 0.36, y), (x - width * 0.34, y)]
    canvas.polygon(hull, paint(number, 2.0, -4.0))
    canvas.line([hull[0], hull[1]], 0.012, ink("f7f3ea"))


# --------------------------------------------------------------------- balloons, kites, shade


def hot_air_balloon(canvas: Canvas, x: float, y: float, radius: float) -> None:
    """Draw a hot-air balloon centered on (x, y): gores of one paint, lighter and darker."""
    reach = radius * 1.05
    box = (x - radius, y - radius, x + radius, y + reach)
    number = canvas.place("hot-air balloon", box, painted=True)
    neck = [(x - radius * 0.93, y + radius * 0.35), (x + radius * 0.93, y + radius * 0.35)]
    neck += [(x + radius * 0.22, y + reach), (x - radius * 0.22, y + reach)]
    for share, shade in ((1.0, -5.0), (0.66, 4.0), (0.3, -3.0)):
        gore = paint(number, shade)
        narrowed = [(x + (px - x) * share, py) for px, py in neck]
        canvas.polygon(narrowed, gore)
        canvas.ellipses([(x, y, radius * share, radius)], gore)
    canvas.line(
        [(x - radius * 0.92, y + 0.004), (x + radius * 0.92, y + 0.004)], 0.02, ink("fdf4df")
    )
    basket = y + radius * 1.35
    for side in (-1.0, 1.0):
        top, foot = (x + side * radius * 0.2, y + reach), (x + side * radius * 0.15, basket)
        canvas.line([top, foot], 0.005, ink("5b4630"))
    canvas.rect(
        (x - radius * 0.2, basket, x + radius * 0.2, basket + radius * 0.3), ink("b07a45", "875a30")
    )


def toy_balloons(canvas: Canvas, x: float, y: float, size: float, count: int) -> None:
    """Draw a bunch of balloons on strings held at (x, y), each with its own paint."""
    spread = np.linspace(-0.9, 0.9, count).tolist() if count > 1 else [0.15]
    for index, lean in enumerate(spread):
        cx = x + lean * size * 1.25
        cy = y - size * (3.1 - 0.9 * abs(lean) + 0.4 * (index % 2))
        canvas.line([(x, y), (cx, cy + size)], 0.004, ink("6e6a66"))
        box = (cx - size * 0.8, cy - size, cx + size * 0.8, cy + size)
        number = canvas.place("balloon", box, painted=True)
        canvas.ellipses([(cx, cy, size * 0.8, size)], paint(number, 1.0, -4.0))
        shine = (cx - size * 0.3, cy - size * 0.4, size * 0.17, size * 0.25)
        canvas.ellipses([shine], paint(number, 5.0))


def kite(canvas: Canvas, x: float, y: float, size: float, hand: Point) -> None:
    """Draw a painted kite centered on (x, y), on a line from `hand`, with a tail of white bows."""
    box = (x - size * 0.7, y - size, x + size * 0.7, y + size)
    number = canvas.place("kite", box, painted=True)
    canvas.line([hand, (x, y)], 0.004, ink("6e6a66"))
    tail = [(x + 0.03 * sin(2.2 * i), y + size * (1 + 0.28 * i)) for i in range(5)]
    canvas.line(tail, 0.004, ink("6e6a66"))
    canvas.ellipses([(*p, 0.012, 0.008) for p in tail[1:]], ink("ffffff"))
    left, right = (x - size * 0.7, y - size * 0.15), (x + size * 0.7, y - size * 0.15)
    canvas.polygon([left, (x, y - size), (x, y + size)], paint(number, 3.0))
    canvas.polygon([right, (x, y - size), (x, y + size)], paint(number, -4.0))


def parasol(canvas: Canvas, x: float, y: float, width: float) -> None:
    """Draw a painted parasol, its panels alternately lighter and darker."""
    rise, foot = width * 0.42, y - width * 0.62
    number = canvas.place(
        "parasol", (x - width / 2, foot - rise, x + width / 2, foot), painted=True
    )
    canvas.line([(x, y), (x, foot - rise)], 0.012, ink("f1e7d6", "c9b99f"))
    edges = np.linspace(-0.5, 0.5, 6).tolist()
    turns = np.linspace(0, 1, 7).tolist()
    for index, (start, end) in enumerate(pairwise(edges)):
        # Both edges of a panel are quarter ellipses from the rim to the tip.
        first = [
            (x + start * width * cos(t * pi / 2), foot - rise * sin(t * pi / 2)) for t in turns
        ]
        last = [(x + end * width * cos(t * pi / 2), foot - rise * sin(t * pi / 2)) for t in turns]
        shade = 5.0 if index % 2 else -2.0
        canvas.polygon([*first, *reversed(last)], paint(number, shade, shade - 4.0))


# -------------------------------------------------------------------------- people and sheep

SKIN = ("f6cfae", "dda27a", "9a6544", "6a432e")
HAIR = ("3a2a22", "6b4226", "e2b863", "2a2526")


def person(canvas: Canvas, x: float, y: float, height: float, arm: float = 0.0) -> Point:
    """Draw a person in a painted shirt and blue jeans; returns the position of a hand.

    arm: -1 or 1 raises the hand on that side; with 0 it hangs down.
    """
    rng = canvas.rng
    skin = ink(SKIN[int(rng.integers(len(SKIN)))])
    hair = ink(HAIR[int(rng.integers(len(HAIR)))])
    top, hip, half = y - height * 0.76, y - height * 0.38, height * 0.16
    hem = hip + height * 0.02
    canvas.place("person", (x - half * 1.6, y - height, x + half * 1.6, y))
    number = canvas.place("shirt", (x - half, top, x + half, hem), painted=True)
    for side in (-1.0, 1.0):
        leg = x + side * half * 0.52
        canvas.rect((leg - half * 0.42, hip, leg + half * 0.42, y - 0.01), ink("3f5d8f", "334d7a"))
        canvas.ellipses([(leg + half * 0.1, y - 0.008, half * 0.55, 0.009)], ink("3a2d28"))
    shoulder = top + height * 0.06
    hand = (x + (arm or 1) * half * 2.2, top - height * 0.1) if arm else (x + half * 1.5, hip)
    resting = (x - (arm or 1) * half * 1.5, hip)
    for side, tip in ((arm or 1.0, hand), (-(arm or 1.0), resting)):
        canvas.line([(x + side * half * 0.8, shoulder), tip], height * 0.075, skin)
        canvas.ellipses([(*tip, height * 0.042, height * 0.042)], skin)
    canvas.rect((x - half, top, x + half, hem), paint(number, 2.0, -4.0), half * 0.45)
    canvas.rect((x - half * 0.3, top - height * 0.05, x + half * 0.3, top + 0.004), skin)
    radius = height * 0.11
    canvas.ellipses([(x, y - height * 0.88, radius * 1.08, radius * 1.1)], hair)
    canvas.ellipses([(x, y - height * 0.855, radius * 0.88, radius * 0.92)], skin)
    eyes = [(x + side * radius * 0.36, y - height * 0.85, 0.004, 0.006) for side in (-1, 1)]
    canvas.ellipses(eyes, ink("2b2226"))
    return hand


def sheep(canvas: Canvas, x: float, y: float, width: float, facing: float) -> None:
    """Draw a white sheep with a dark face."""
    canvas.place("sheep", (x - width / 2, y - width * 0.7, x + width / 2, y))
    for leg in (-0.2, -0.1, 0.12, 0.22):
        canvas.line(
            [(x + leg * width, y), (x + leg * width, y - width * 0.25)], 0.01, ink("453c3a")
        )
    wool = [(x + s * width * 0.16, y - width * 0.4, width * 0.2, width * 0.2) for s in (-1, 0, 1)]
    wool += [(x + s * width * 0.1, y - width * 0.48, width * 0.18, width * 0.17) for s in (-1, 1)]
    canvas.ellipses(wool, ink("ffffff", "dcd6cd", "leaves", 1.0))
    head = x + facing * width * 0.36
    canvas.ellipses([(head, y - width * 0.46, width * 0.11, width * 0.14)], ink("453c3a"))
