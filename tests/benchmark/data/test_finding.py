"""Every image file of a folder is found, and whatever is passed over is named."""

from pathlib import Path

from benchmark.data.finding import find_images


def test_every_image_is_found_and_no_hidden_file(tmp_path: Path) -> None:
    visible = ["A.JPG", "b.jpeg", "c.PNG", "d.webp", "e.bmp", "f.tif", "g.Tiff", "deep/er/h.jpg"]
    others = [".hidden.jpg", ".folder/i.jpg", "deep/.thumbs/j.png", "notes.txt", "k.gif", "jpg"]
    for name in visible + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert sorted(found) == sorted(visible)
    assert found == [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]


def test_only_names_below_the_folder_make_a_file_hidden(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "Dataset"
    folder.mkdir(parents=True)
    (folder / "a.jpg").touch()
    assert [path.name for path in find_images(folder)] == ["a.jpg"]
