"""The built-in sample `cartoon`: scenes drawn from a seed, each with the truth about its colors.

Shape and context tell most colors: grass is green, roofs are red, a sun near the horizon makes a
sunset. A few things, such as cars, take one of several paints at random. All paints have the same
L*, and nothing else in an image depends on the choice, so L* cannot tell which one it was: the
best a regression can answer is their mean, a dull brown, where a generative model picks a paint.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import cos, radians, sin
from os import getpid
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmark.data.cartoon.canvas import PAINT_LIGHTNESS, Bytes, Canvas, Lab, lab_to_srgb
from benchmark.data.cartoon.places import LIGHTS, draw_place, random_setting

VERSION = 1  # of the drawings: raise it with every change that shows in an image
SIZE = 96
SEED = 2016
COUNTS: Mapping[str, int] = MappingProxyType({"train": 1200, "val": 150, "test": 150})

PAINT_CHROMA = 54.0
FILM_GRAIN = 0.7  # standard deviation in L*


@dataclass(frozen=True)
class Paint:
    """A paint and how often it is drawn, whatever the object and the scene."""

    lab: Lab
    probability: float

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The paint as 8-bit sRGB."""
        red, green, blue = lab_to_srgb(np.array(self.lab)).tolist()
        return red, green, blue


def _paint(hue: float, probability: float) -> Paint:
    """A paint of the common lightness and chroma; `hue` in degrees in the a*, b* plane."""
    across, up = cos(radians(hue)), sin(radians(hue))
    return Paint((PAINT_LIGHTNESS, PAINT_CHROMA * across, PAINT_CHROMA * up), probability)


# Their mean is (58, 8, 6): a chroma of 10 against 54, brownish gray.
PAINTS: Mapping[str, Paint] = MappingProxyType(
    {
        "red": _paint(32, 0.25),
        "ochre": _paint(82, 0.15),
        "green": _paint(143, 0.25),
        "blue": _paint(278, 0.25),
        "violet": _paint(318, 0.10),
    }
)


@dataclass(frozen=True)
class SceneObject:
    """A thing in an image. `box` is (left, top, right, bottom) in pixels, and may be half hidden.

    `ambiguous` things have a random `paint`; their wholly painted visible pixels have the value
    `mask` in the image's mask (there may be none left). Others have no paint and a `mask` of 0.
    """

    kind: str
    box: tuple[int, int, int, int]
    ambiguous: bool
    paint: str | None
    mask: int


@dataclass(frozen=True)
class Scene:
    """What an image shows."""

    version: int
    seed: int
    index: int
    size: int
    place: str
    season: str
    time: str
    objects: tuple[SceneObject, ...]


class Drawing(NamedTuple):
    """An image, what it shows, and which pixels have which object's paint; mask (size, size)."""

    image: Image.Image
    scene: Scene
    mask: Bytes


# ----------------------------------------------------------------------------------- drawing


def draw(seed: int, index: int, size: int = SIZE, *, repaint: str | None = None) -> Drawing:
    """Scene `index` of the sample of `seed`, which depends on nothing but these.

    `repaint` gives every ambiguous thing that paint, and changes nothing else.
    """
    shape_rng, paint_rng, grain_rng = (np.random.default_rng([seed, index, k]) for k in range(3))
    at = random_setting(shape_rng)
    canvas = Canvas(size, shape_rng, LIGHTS[at.time])
    draw_place(canvas, at)
    chances = [paint.probability for paint in PAINTS.values()]
    count = sum(thing.number > 0 for thing in canvas.placed)
    names = [str(name) for name in paint_rng.choice(list(PAINTS), count, p=chances)]
    if repaint is not None:
        names = [repaint] * count
    grain = grain_rng.normal(0, FILM_GRAIN, (size, size)).astype(np.float32)
    pixels = canvas.render([PAINTS[name].lab[1:] for name in names], grain)
    objects = []
    for kind, box, number in canvas.placed:
        paint = names[number - 1] if number else None
        objects.append(SceneObject(kind, box, paint is not None, paint, number))
    scene = Scene(VERSION, seed, index, size, at.place, at.season, at.time, tuple(objects))
    return Drawing(Image.fromarray(pixels), scene, canvas.mask())


def draw_scene(seed: int, index: int, size: int = SIZE) -> tuple[Image.Image, Scene]:
    """The image and its scene, without the mask."""
    image, scene, _ = draw(seed, index, size)
    return image, scene


# ----------------------------------------------------------------------------------- writing


def write_sample(
    folder: Path,
    *,
    seed: int = SEED,
    counts: Mapping[str, int] = COUNTS,
    on_image: Callable[[int, int], object] | None = None,
) -> None:
    """Draw the sample into `folder`: images in train/, val/, test/, the truth in scenes/.

    A complete sample of this seed and these counts is left as it is, one of others is replaced,
    and a folder with anything else in it is refused. `on_image` is told how many images are
    done, of how many. The folder appears whole or not at all.
    """
    contents = {"version": VERSION, "seed": seed, "size": SIZE, "counts": dict(counts)}
    if _contents(folder) == contents:
        return
    if folder.exists() and _contents(folder) is None and any(folder.iterdir()):
        raise FileExistsError(f"{folder} holds something else than a cartoon sample")
    part = folder.with_name(f".{folder.name}.{getpid()}.part")
    try:
        _write_images(part, seed, counts, on_image)
        (part / "scenes" / "sample.json").write_text(json.dumps(contents, indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except OSError:
        # Another process may have finished the same sample meanwhile.
        if _contents(folder) != contents:
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _contents(folder: Path) -> Any:
    """What the sample in `folder` was drawn from, or None where there is no complete one."""
    try:
        return json.loads((folder / "scenes" / "sample.json").read_text())
    except (OSError, ValueError):
        return None


def _write_images(
    folder: Path,
    seed: int,
    counts: Mapping[str, int],
    on_image: Callable[[int, int], object] | None,
) -> None:
    """Draw every split; the index runs on from one to the next, so no two images are the same."""
    index, total = 0, sum(counts.values())
    for split, count in counts.items():
        images, scenes = folder / split, folder / "scenes" / split
        images.mkdir(parents=True)
        scenes.mkdir(parents=True)
        for _ in range(count):
            stem = f"cartoon_{index:05d}"
            image, scene, mask = draw(seed, index)
            image.save(images / f"{stem}.png", compress_level=3)
            (scenes / f"{stem}.json").write_text(json.dumps(asdict(scene)))
            Image.fromarray(mask).save(scenes / f"{stem}.png")
            index += 1
            if on_image is not None:
                on_image(index, total)


# ----------------------------------------------------------------------------------- reading


def scene_path(image: Path) -> Path:
    """Where the scene of an image of a written sample lies."""
    return image.parent.parent / "scenes" / image.parent.name / f"{image.stem}.json"


def has_scene(image: Path) -> bool:
    """Whether an image is one of a written sample of this version, of any seed and counts."""
    contents = _contents(image.parent.parent)
    of_this_version = isinstance(contents, dict) and contents.get("version") == VERSION
    return of_this_version and scene_path(image).is_file()


def read_scene(path: Path) -> Scene:
    """Read a scene back from its JSON file."""
    fields = json.loads(path.read_text())
    objects = [SceneObject(**{**thing, "box": tuple(thing["box"])}) for thing in fields["objects"]]
    return Scene(**{**fields, "objects": tuple(objects)})


def read_mask(path: Path) -> Bytes:
    """The mask beside a scene's JSON file: uint8 (size, size), k on object k's paint, else 0."""
    with Image.open(path.with_suffix(".png")) as mask:
        return np.array(mask)
