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


def test_several_models_and_samples_give_files_and_a_sheet_of_each_photo(
    run: RunCommand, photos: Path
) -> None:
    options = ["--model", "unet,unetddim", "--set", "steps=2", "--samples", "2", "--out", "new"]
    code, out, err = run("colorize", "photos/*.*g", *options, "--format", "webp")
    assert code == 0, err
    labels = [f"{model}-sample{k}" for model in ("unet", "unetddim") for k in (0, 1)]
    files = {f"new/{name}-{label}.webp" for name in "ab" for label in labels}
    sheets = {"new/a-sheet.png", "new/b-sheet.png"}
    assert set(out.splitlines()) == files | sheets == set(map(str, Path("new").iterdir()))
    with Image.open("new/a-sheet.png") as sheet:
        assert sheet.width > 4 * sheet.height  # five columns, one row
    draws = [np.asarray(Image.open(f"new/a-unetddim-sample{k}.webp")) for k in (0, 1)]
    assert abs(draws[0].astype(int) - draws[1]).mean() > 1


def test_what_is_done_is_kept_and_an_interrupted_folder_goes_on(
    run: RunCommand, photos: Path
) -> None:
    arguments = ["colorize", "photos", "--model", "unet", "--out", "new"]
    assert run(*arguments)[0] == 0
    times = {path: path.stat().st_mtime_ns for path in Path("new").rglob("*.png")}
    first = min(times)
    first.unlink()
    code, out, err = run(*arguments)
    assert (code, out) == (0, f"{first}\n"), err
    assert "Kept, since they exist (2)" in err
    code, out, _ = run(*arguments)
    assert (code, out) == (0, "")
    kept = {path for path, then in times.items() if path.stat().st_mtime_ns == then}
    assert kept == {path for path in times if path != first}
    first.write_bytes(b"")  # not of this program, which writes files as a whole
    code, _, err = run(*arguments)
    assert code == 2
    assert "exists already" in err
    code, out, _ = run(*arguments, "--overwrite")
    assert len(out.splitlines()) == 3


def test_strength_scales_chroma_and_hints_give_colors(run: RunCommand, photos: Path) -> None:
    def colored(*more: str) -> np.ndarray:
        code, _, err = run(
            "colorize", "photos/b.png", "--model", "unet", "--out", "y.png", "--overwrite", *more
        )
        assert code == 0, err
        return np.asarray(Image.open("y.png")).astype(int)

    plain, gray = colored(), colored("--strength", "0")
    assert (gray.max(axis=2) - gray.min(axis=2)).max() <= 2
    assert (plain.max(axis=2) - plain.min(axis=2)).mean() > 2
    rgba = np.zeros((40, 50, 4), np.uint8)
    rgba[10:30, 10:40] = (220, 60, 60, 255)
    Image.fromarray(rgba).save("hints.png")
    hinted = colored("--strength", "0", "--hint", "hints.png")[12:28, 12:38]
    assert (hinted[..., 0] - hinted[..., 2]).mean() > 40
    Image.fromarray(rgba[:20]).save("hints.png")
    code, _, err = run("colorize", "photos/b.png", "--model", "unet", "--hint", "hints.png")
    assert code == 2
    assert "hints.png has 50×20 pixels and the photo 50×40" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["photos", "--model", "unet", "--hint", "h.png"], "--hint gives the colors of one photo"),
        (["photos", "--model", "unet,gan", "--run", "x"], "--run x belongs to one model"),
        (["photos", "--model", "unet,unett"], "unett"),
        (["photos/a.jpg", "--model", "unet,gan", "--out", "y.png"], "name a folder"),
        (["photos", "--model", "unet,gan", "--set", "steps=2"], "has the option 'steps'"),
        (["photos", "--model", "all"], "has no trained model"),
        (["photos/*.gif", "--model", "unet"], "There is no image photos/*.gif"),
    ],
)
def test_a_mistake_is_one_sentence(
    run: RunCommand, photos: Path, arguments: list[str], sentence: str
) -> None:
    code, out, err = run("colorize", *arguments, "--results", str(photos / "Results"))
    assert (code, out) == (2, "")
    assert sentence in err
    assert not list(photos.glob("*.png"))
