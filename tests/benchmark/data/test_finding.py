"""Every image file of a folder is found, and whatever is passed over is named."""

import os
from pathlib import Path

import pytest
from PIL import Image

from benchmark.data.finding import describe_passed_over, list_folder
from benchmark.data.reading import open_rgb


def test_every_image_is_found_and_no_hidden_file(tmp_path: Path) -> None:
    visible = ["A.JPG", "b.jpeg", "c.PNG", "d.webp", "e.bmp", "f.tif", "g.Tiff", "deep/er/h.jpg"]
    others = [".hidden.jpg", ".folder/i.jpg", "deep/.thumbs/j.png", "notes.txt", "k.psd", "jpg"]
    for name in visible + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in list_folder(tmp_path).images]
    assert sorted(found) == sorted(visible)
    assert found == [path.relative_to(tmp_path).as_posix() for path in list_folder(tmp_path).images]


def test_only_names_below_the_folder_make_a_file_hidden(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "Dataset"
    folder.mkdir(parents=True)
    (folder / "a.jpg").touch()
    assert [path.name for path in list_folder(folder).images] == ["a.jpg"]


def test_whatever_is_passed_over_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    for name in ("b.heic", "c.HEIC", "d.txt", "e"):
        (tmp_path / name).touch()
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))).touch()
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(3 * 10**9)  # sparse: it takes no space
    found = list_folder(tmp_path)
    assert [path.name for path in found.images] == ["a.png"]
    names = {"huge.png", "b.heic", "c.HEIC", "d.txt", "e", "lost.png", "pipe.png", "caf\\xe9.png"}
    assert found.passed_over.keys() == names
    assert "not UTF-8" in found.passed_over["caf\\xe9.png"]
    described = describe_passed_over(found.passed_over)
    assert described.startswith("2 (.heic: ") or "1 (.heic: " in described


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".tif", ".webp", ".jp2", ".avif"])
@pytest.mark.parametrize("name", ["photo", "photo.jpg_large", "photo.0001"])
def test_an_image_without_its_suffix_is_read_once_it_is_renamed_as_the_message_says(
    tmp_path: Path, suffix: str, name: str
) -> None:
    path, saved = tmp_path / name, tmp_path / f"saved{suffix}"
    Image.new("RGB", (20, 20), "red").save(saved)
    saved.rename(path)
    assert list_folder(tmp_path).passed_over[name].endswith(f"rename it to end in {suffix}")
    path.rename(path.with_name(f"{name}{suffix}"))
    (found,) = list_folder(tmp_path).images
    assert open_rgb(found).size == (20, 20)


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    far = tmp_path / "far"
    (far / "deep").mkdir(parents=True)
    (far / "deep" / "a.png").touch()
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "test").symlink_to(far)
    found = list_folder(folder)
    assert [path.relative_to(folder).as_posix() for path in found.images] == ["test/deep/a.png"]
    assert found.passed_over == {}


def test_no_folder_is_read_twice(tmp_path: Path) -> None:
    train, far = tmp_path / "data" / "train", tmp_path / "far"
    for folder in (train, far):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
    (train / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "all").symlink_to(train)  # comes first by name, but train is no link
    (far / "back").symlink_to(far)
    for name in ("x", "y"):
        (tmp_path / "data" / name).symlink_to(far)
    found = list_folder(tmp_path / "data")
    names = [path.relative_to(tmp_path / "data").as_posix() for path in found.images]
    assert names == ["train/a.png", "x/a.png"]
    assert found.passed_over.keys() == {"all", "train/loop", "y", "x/back"}
    assert found.passed_over["all"] == "a link to train, which is read already"


def test_a_link_with_the_name_of_a_split_is_read_under_that_name_too(tmp_path: Path) -> None:
    for part in ("photos/a", "photos/b"):
        (tmp_path / part).mkdir(parents=True)
        (tmp_path / part / "1.png").touch()
    (tmp_path / "test").symlink_to(tmp_path / "photos" / "b")
    (tmp_path / "photos" / "b" / "train").symlink_to(tmp_path / "photos")  # a loop
    (tmp_path / "photos" / "a" / "val").symlink_to(tmp_path / "photos" / "b")
    found = list_folder(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in found.images]
    expected = {"photos/a/1.png", "photos/b/1.png", "photos/a/val/1.png", "test/1.png"}
    assert expected <= set(names)
    assert len(names) < 12
