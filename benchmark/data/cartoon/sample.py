"""The built-in sample `cartoon`: images drawn from a seed, with the truth about their colors.

Most colors follow from shape and context: grass is green, roofs are red, a sun near the horizon
means a sunset. Some objects, such as cars, have one of several paints at random. All paints have
the same L*, and nothing else in an image depends on the choice, so L* does not contain it. The best
answer of a regression is the mean of the paints, a dull brown; a generative model chooses a paint.
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

VERSION = 2  # of the drawings; raise it with every change of an image
SIZE = 96
SEED = 2016
COUNTS: Mapping[str, int] = MappingProxyType({"train": 1200, "val": 150, "test": 150})

PAINT_CHROMA = 54.0
FILM_GRAIN = 0.7  # standard deviation in L*


@dataclass(frozen=True)
class Paint:
    """A paint.

    lab: its color. probability: how often it is drawn, the same for every object and scene.
    """

    lab: Lab
    probability: float

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The color as 8-bit sRGB."""
        red, green, blue = lab_to_srgb(np.array(self.lab)).tolist()
        return red, green, blue


def _paint(hue: float, probability: float) -> Paint:
    """Return a paint of the common lightness and chroma; `hue` is an angle in degrees."""
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
    """An object in an image.

    kind: what it is, such as `car`. box: (left, top, right, bottom) in pixels; parts of the object
    may be hidden. ambiguous: whether its paint is random. paint: the name of its paint, or None.
    mask: the value in the image's mask of those of its visible pixels that are wholly painted,
    of which there may be none; 0 for an object without paint.
    """

    kind: str
    box: tuple[int, int, int, int]
    ambiguous: bool
    paint: str | None
    mask: int


@dataclass(frozen=True)
class Scene:
    """The content of an image.

    version, seed, index: those from which it was drawn. size: its side in pixels.
    place, season, time: its setting. objects: all objects in it.
    """

    version: int
    seed: int
    index: int
    size: int
    place: str
    season: str
    time: str
    objects: tuple[SceneObject, ...]


class Drawing(NamedTuple):
    """A drawn image.

    image: the image. scene: its content. mask: (size, size), k on the paint of object k, else 0.
    """

    image: Image.Image
    scene: Scene
    mask: Bytes


# ----------------------------------------------------------------------------------- drawing


def draw(seed: int, index: int, size: int = SIZE) -> Drawing:
    """Draw image `index` of the sample of `seed`, which depends on these and on `size` alone."""
    shape_rng, paint_rng, grain_rng = (np.random.default_rng([seed, index, k]) for k in range(3))
    setting = random_setting(shape_rng)
    canvas = Canvas(size, shape_rng, LIGHTS[setting.time])
    draw_place(canvas, setting)
    probabilities = [paint.probability for paint in PAINTS.values()]
    count = sum(obj.number > 0 for obj in canvas.placed)
    names = [str(name) for name in paint_rng.choice(list(PAINTS), count, p=probabilities)]
    grain = grain_rng.normal(0, FILM_GRAIN, (size, size)).astype(np.float32)
    pixels = canvas.render([PAINTS[name].lab[1:] for name in names], grain)
    objects = []
    for kind, box, number in canvas.placed:
        paint = names[number - 1] if number else None
        objects.append(SceneObject(kind, box, paint is not None, paint, number))
    place, season, time = setting.place, setting.season, setting.time
    scene = Scene(VERSION, seed, index, size, place, season, time, tuple(objects))
    return Drawing(Image.fromarray(pixels), scene, canvas.mask())


# ----------------------------------------------------------------------------------- writing


def write_sample(
    folder: Path,
    *,
    seed: int = SEED,
    counts: Mapping[str, int] = COUNTS,
    on_image: Callable[[int, int], object] | None = None,
) -> None:
    """Draw the sample into `folder`: images in train/, val/ and test/, scenes and masks in scenes/.

    seed: the seed of all images. counts: how many images each split has. on_image: called after
    each image with the number of finished images and that of all.

    A complete sample of this seed and these counts is kept, another sample is replaced, and a
    folder with other files raises FileExistsError. The folder is written as a whole or not at all.
    """
    contents = {"version": VERSION, "seed": seed, "size": SIZE, "counts": dict(counts)}
    if _contents(folder) == contents:
        return
    if folder.exists() and _contents(folder) is None and any(folder.iterdir()):
        raise FileExistsError(f"{folder} holds files that are not of the sample cartoon")
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
    """Return what the sample in `folder` was drawn from, or None without a complete sample."""
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
    """Draw every split. The index goes on from split to split, so no two images are the same."""
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
    """Return the path of the scene of an image of a written sample."""
    return image.parent.parent / "scenes" / image.parent.name / f"{image.stem}.json"


def is_written_in(folder: Path) -> bool:
    """Whether a folder holds a written sample of any version, such as a copy of one."""
    return isinstance(_contents(folder), dict)


def has_scene(image: Path) -> bool:
    """Whether an image belongs to a written sample of this version, with any seed and counts."""
    contents = _contents(image.parent.parent)
    of_this_version = isinstance(contents, dict) and contents.get("version") == VERSION
    return of_this_version and scene_path(image).is_file()


def read_scene(path: Path) -> Scene:
    """Read a scene from its JSON file."""
    fields = json.loads(path.read_text())
    objects = [SceneObject(**{**obj, "box": tuple(obj["box"])}) for obj in fields["objects"]]
    return Scene(**{**fields, "objects": tuple(objects)})


def read_mask(path: Path) -> Bytes:
    """Read the mask beside a scene's JSON file: uint8 (size, size), as in `Drawing`."""
    with Image.open(path.with_suffix(".png")) as mask:
        return np.array(mask)
