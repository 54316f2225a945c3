"""Copies of test images are found in whatever file they are, and not trained on."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from PIL import Image

from benchmark.colorizer import Colorizer
from benchmark.data.cache import ImageSet
from benchmark.data.loading import load_test, load_training, overlap
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.sources import Sources, locate
from benchmark.evaluation.baselines import Gray
from benchmark.settings import Settings

SIZE = 32


class Plain(Settings):
    """The settings that every model has."""

    model_class: ClassVar[type[Colorizer]] = Gray


def sources_of(tmp_path: Path, folder: Path, tests: Path | None = None) -> Sources:
    return locate(str(folder), str(tests) if tests else None, tmp_path / "Results")


def names(images: ImageSet) -> set[str]:
    return {image.name for image in images.files}


def copy_as(source: Path, kind: str, to: Path) -> Path:
    """Write the same pixels in another file; returns it."""
    image = Image.open(source)
    if kind == "bytes":
        shutil.copy(source, to.with_suffix(".png"))
    elif kind == "comment":
        to.with_suffix(".png").write_bytes(source.read_bytes() + b"trailing bytes")
    elif kind == "webp":
        image.save(to.with_suffix(".webp"), lossless=True)
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(to.with_suffix(".tif"), exif=exif)
    else:
        image.save(to.with_suffix(f".{kind}"))
    return next(to.parent.glob(f"{to.name}.*"))


@pytest.mark.parametrize("kind", ["bytes", "comment", "webp", "bmp", "tif", "ppm", "turned"])
def test_a_copy_of_a_test_image_is_not_trained_on(
    tmp_path: Path, images_folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    copy = copy_as(images_folder / "image_005.png", kind, tests / "other")
    sources = sources_of(tmp_path, images_folder, tests)
    data = load_training(sources, Plain(size=SIZE))
    assert "image_005.png" not in names(data.train) | names(data.val)
    assert len(data.train) + len(data.val) == 23
    named = rf"image_005\.png \(as {copy.name}\)"
    message = rf"Warning: images of \w+ that are in the test too .*\(1\): {named}"
    assert re.search(message, capsys.readouterr().err)
    assert names(load_test(sources, Preprocessing(SIZE), 8000)) == {copy.name}


@pytest.mark.parametrize("change", ["compressed", "resized", "mirrored"])
def test_an_image_that_looks_like_a_test_image_is_not_trained_on(
    tmp_path: Path,
    make_image: Callable[..., Image.Image],
    change: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for part, seeds in (("train", range(12)), ("val", range(20, 24)), ("test", range(30, 34))):
        (tmp_path / "data" / part).mkdir(parents=True)
        for seed in seeds:
            make_image(seed, 64, 64).save(tmp_path / "data" / part / f"{seed}.png")
    sources = sources_of(tmp_path, tmp_path / "data")
    load_training(sources, Plain(size=SIZE))
    assert "look like" not in capsys.readouterr().err
    image = make_image(5, 64, 64)
    if change == "resized":
        image = image.resize((90, 90), Image.Resampling.LANCZOS)
    elif change == "mirrored":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image.save(tmp_path / "data" / "test" / "copy.jpg", quality=60)
    data = load_training(sources, Plain(size=SIZE))
    assert "look like images of the test" in (said := capsys.readouterr().err)
    assert "train/5.png (as test/copy.jpg)" in said
    assert len(data.train) == 11
    assert data.training_set.n_near_copies == 1
    data = load_training(sources, Plain(size=SIZE, drop_near_copies=False))
    assert "kept, as drop_near_copies=false asks (1): train/5.png" in capsys.readouterr().err
    assert (len(data.train), data.training_set.n_near_copies) == (12, None)


def test_test_images_that_were_trained_on_are_found_in_other_files(
    tmp_path: Path, images_folder: Path
) -> None:
    data = load_training(sources_of(tmp_path, images_folder), Plain(size=SIZE))
    trained = data.train.files[0].path
    tests = tmp_path / "later"
    tests.mkdir()
    Image.open(trained).save(tests / "a.bmp")
    shutil.copy(data.train.files[1].path, tests / f"b{data.train.files[1].path.suffix}")
    Image.new("RGB", (32, 32), "red").save(tests / "new.png")
    record = SimpleNamespace(train_digests=data.train_digests, train_contents=data.train_contents)
    images = load_test(sources_of(tmp_path, images_folder, tests), Preprocessing(SIZE), 8000)
    found = overlap(images, record)  # type: ignore[arg-type]
    assert [Path(name).stem for name in found] == ["a", "b"]
