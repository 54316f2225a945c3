"""`colorize` on the command line: several photos, what is printed, what a failure leaves."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.inference.photo import PhotoColorizer
from benchmark.jobs import colorize
from tests.support import RunCommand, tiny_model


@pytest.fixture
def photos(
    tmp_path: Path, make_image: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The working folder, which holds photos/ with three images, and tiny untrained models."""

    def load(trained: colorize.Trained) -> PhotoColorizer:
        model = tiny_model(trained.model)
        sampling = model.sampling_class(**trained.sampling)
        return PhotoColorizer(model, 32, trained.folder.seed, sampling, torch.device("cpu"))

    monkeypatch.setattr(colorize, "load_colorizer", load)
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.jpg", "photos/b.png", "photos/sub/a.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        make_image(1, 50, 40).save(name)
    return tmp_path


def test_a_photo_that_fails_stops_no_other(run: RunCommand, photos: Path) -> None:
    (photos / "photos/broken.jpg").write_bytes(b"no image")
    code, out, err = run(
        "colorize", "photos", "none.jpg", "--model", "unet", "--out", "new", "--device", "cpu"
    )
    assert code == 1
    written = ["new/a-unet.png", "new/b-unet.png", "new/sub/a-unet.png"]
    assert out.splitlines() == written
    assert sorted(map(str, Path("new").rglob("*.png"))) == written
    assert "Failed: photos/broken.jpg cannot be used: " in err
    assert err.count("broken.jpg") == 1
    assert "Failed: There is no image none.jpg" in err
    assert "2 of 5 could not be colored." in err
    with Image.open(written[0]) as image:
        assert image.size == (50, 40)


@pytest.mark.parametrize("arguments", [["broken.jpg"], ["broken.jpg", "none.jpg", "broken2.jpg"]])
def test_the_code_is_2_if_nothing_could_be_colored(
    run: RunCommand, photos: Path, arguments: list[str]
) -> None:
    for name in ("broken.jpg", "broken2.jpg"):
        (photos / name).write_bytes(b"no image")
    code, out, err = run("colorize", *arguments, "--model", "unet")
    assert (code, out) == (2, "")
    for name in arguments:
        assert name in err
    assert "Traceback" not in err


def test_a_name_that_is_no_utf8_is_printed_with_replacements(run: RunCommand, photos: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    (photos / "photos/a.jpg").rename(photos / name)
    code, out, err = run("colorize", name, "--model", "unet")
    assert code == 0, err
    assert out == "caf\\udce9-unet.png\n"
    assert (photos / os.fsdecode(b"caf\xe9-unet.png")).is_file()


def test_options_of_the_output(run: RunCommand, photos: Path) -> None:
    model = ["--model", "unetddim", "--set", "steps=2"]
    code, out, err = run(
        "colorize", "photos/a.jpg", *model, "--out", "y.jpg", "--quality", "80", "--frames"
    )
    assert code == 0, err
    assert out == "y.jpg\n"
    names = {"y.jpg", "y-frames.png", "y-frames.webp"}
    assert {path.name for path in photos.iterdir()} == {*names, "photos"}
    for more, sentence in (
        ([], "y.jpg, y-frames.png, y-frames.webp exist already"),
        (["--overwrite"], None),
        (["--overwrite", "--out", "y.png", "--quality", "80"], "--quality belongs to"),
        (["--run", "../x"], "--run '../x'"),
        (["--seed", "-1"], "--seed"),
        (["--quality", "0"], "--quality"),
    ):
        arguments = ["colorize", "photos/a.jpg", *model, "--out", "y.jpg", "--frames", *more]
        code, _, err = run(*arguments)
        assert code == (2 if sentence else 0), err
        assert sentence is None or sentence in err


def test_metadata_that_is_left_out_is_counted(
    run: RunCommand, photos: Path, make_image: Callable[..., Image.Image]
) -> None:
    for name in ("c.jpg", "d.jpg"):
        make_image(1).save(name, comment=b"a comment", exif=b"Exif\0\0junk")
    code, _, err = run("colorize", "c.jpg", "d.jpg", "photos/b.png", "--model", "unet")
    assert code == 0, err
    assert "left out, with the number of photos: comment (2)." in err
    assert "c.jpg: its metadata is damaged" in err
    assert "photos/b.png" not in err


def test_a_long_photo_is_compressed_for_the_network(
    run: RunCommand, photos: Path, make_image: Callable[..., Image.Image]
) -> None:
    make_image(1, 16, 1700).save("long.png")
    code, _, err = run("colorize", "long.png", "--model", "unet", "--out", "y.png")
    assert code == 0, err
    assert "one side is more than 100 times the other" in err
    with Image.open("y.png") as image:
        assert image.size == (16, 1700)
        assert np.asarray(image).std() > 0
    code, _, err = run("colorize", "photos/a.jpg", "--model", "unet", "--out", "z.png")
    assert code == 0
    assert "times the other" not in err
