"""Where colored photos are written: apart from each other, and never over a photo."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmark.errors import UserError
from benchmark.inference.targets import plan_targets, require_free


@pytest.fixture
def folder(
    tmp_path: Path, make_image: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The working folder: photos/ with four images, of which two and two have the same stem."""
    for name in ("a.jpg", "a.png", "sub/a.png", "sub/b.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        make_image(1).save(tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*arguments: str, out: str | None = None, frames: bool = False) -> list[str]:
    paths = [Path(argument) for argument in arguments]
    targets, failures = plan_targets(paths, Path(out) if out else None, ["unet"], frames)
    assert not failures
    return [str(path) for target in targets for path in target.files]


def test_photos_of_one_name_are_written_apart(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert names("photos/a.jpg") == ["a-unet.png"]
    assert names("photos/a.jpg", out="photos") == ["photos/a-unet.png"]
    assert names("photos/a.jpg", "photos/sub/a.png") == ["a-unet.png", "a-unet-2.png"]
    assert "photos/sub/a.png is written to a-unet-2.png" in capsys.readouterr().err
    # Below a named folder its structure is kept.
    expected = ["new/a-unet.png", "new/a-unet-2.png", "new/sub/a-unet.png", "new/sub/b-unet.png"]
    assert names("photos", out="new") == expected
    assert names("photos", "photos/a.jpg", "photos/../photos", out="new") == expected
    assert "photos/a.jpg is named twice" in capsys.readouterr().err


def test_files_that_some_file_systems_take_for_one_are_apart(
    folder: Path, make_image: Callable[..., Image.Image]
) -> None:
    for name in ("É.png", "é.jpg", "e\u0301.bmp"):
        make_image(1).save(folder / name)
    made = names("É.png", "é.jpg", "e\u0301.bmp")
    assert [name[-6:] for name in made] == ["et.png", "-2.png", "-3.png"]
    # Two folders of the output are one.
    (folder / "photos/twin").mkdir()
    make_image(1).save(folder / "photos/twin/b.png")
    (folder / "new/sub").mkdir(parents=True)
    (folder / "new/twin").symlink_to("sub")
    assert names("photos", out="new")[-1] == "new/twin/b-unet-2.png"


def test_frames_are_apart_too(folder: Path, make_image: Callable[..., Image.Image]) -> None:
    make_image(1).save(folder / "a-unet-frames.png")
    (folder / "b").mkdir()
    make_image(1).save(folder / "b/a.png")
    made = names("photos/a.jpg", "b/a.png", frames=True)
    assert len(set(made)) == 6
    targets, _ = plan_targets([Path("a-unet-frames.png"), Path("b/a.png")], None, ["unet"], True)
    with pytest.raises(UserError, match=r"is the photo a-unet-frames\.png itself"):
        require_free(targets, overwrite=True)


def test_a_long_name_is_shortened(folder: Path, make_image: Callable[..., Image.Image]) -> None:
    long = "é" * 125
    make_image(1).save(folder / f"{long}.png")
    (name,) = names(f"{long}.png")
    assert name.startswith("é" * 100)
    assert name.endswith("-unet.png")
    (folder / name).touch()  # the file system takes it


@pytest.mark.parametrize("link", ["", "soft", "hard", "folder"])
def test_a_photo_is_never_written_over(folder: Path, link: str) -> None:
    photo = Path("photos/a.png")
    out = Path("out.png")
    if link == "":
        out = Path("photos/sub/../a.png")
    elif link == "soft":
        out.symlink_to(photo)
    elif link == "hard":
        os.link(photo, out)
    else:
        Path("linked").symlink_to("photos")
        out = Path("linked/a.png")
    targets, _ = plan_targets([photo], out, ["unet"], False)
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"is the photo photos/a\.png itself"):
            require_free(targets, overwrite)


def test_no_photo_of_the_command_is_written_over(
    folder: Path, make_image: Callable[..., Image.Image]
) -> None:
    make_image(1).save(folder / "photos/a-unet.png")
    targets, _ = plan_targets([Path("photos")], Path("photos"), ["unet"], False)
    with pytest.raises(UserError, match=r"is the photo photos/a-unet\.png itself"):
        require_free(targets, overwrite=True)


def test_other_files_are_written_over_only_if_asked(folder: Path) -> None:
    targets, _ = plan_targets([Path("photos")], None, ["unet"], False)
    require_free(targets, overwrite=False)
    Path("a-unet.png").touch()
    Path("a-unet-2.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"a-unet\.png, a-unet-2\.png exist already.*--overwrite"):
        require_free(targets, overwrite=False)
    require_free(targets, overwrite=True)


@pytest.mark.parametrize(
    ("arguments", "out", "sentence"),
    [
        (["photos/a.jpg"], "colored", r"--out colored: .*folder that exists.*\.jpg"),
        (["photos/a.jpg"], "y.gif", r"--out y\.gif: .*\.png, \.jpg"),
        (["photos"], "y.png", "--out y.png: name a folder"),
        (["photos/a.jpg", "photos/a.png"], "photos/a.jpg", "name a folder"),
        (["none.jpg"], None, "There is no image none.jpg"),
        (["none.jpg"], "y.png", "There is no image none.jpg"),
        (["empty"], None, "empty holds no image files"),
        (["x" * 300], None, "File name too long"),
        (["photos/a.jpg"], "x" * 300 + ".png", "File name too long"),
        (["pipe"], None, "There is no image pipe"),
    ],
)
def test_a_mistake_is_told_before_anything_is_computed(
    folder: Path, arguments: list[str], out: str | None, sentence: str
) -> None:
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match=sentence):
        names(*arguments, out=out)
