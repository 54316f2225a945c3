"""Sources that need no network: the sample, scikit-image's photos, folders, and COCO's layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data.cartoon.sample import COUNTS, SEED, draw
from benchmark.data.importers import coco, photos
from benchmark.data.importing.finding import find_importers, importer_of
from benchmark.data.importing.writing import Limits
from benchmark.data.reading import is_grayscale, read_whole
from benchmark.errors import UserError
from tests.import_support import files_in, imported, jpeg, zip_of
from tests.web_support import serving


def test_the_sample_is_drawn_in_its_splits(tmp_path: Path) -> None:
    record = imported("cartoon", tmp_path / "d", Limits(images=10))
    assert record["splits"] == {"train": 8, "val": 1, "test": 1}
    name = next(file for file in files_in(tmp_path / "d") if file.startswith("test/"))
    index = int(Path(name).stem.removeprefix("cartoon_"))
    assert index >= COUNTS["train"] + COUNTS["val"]
    drawn = np.asarray(draw(SEED, index).image)
    assert np.array_equal(read_whole(tmp_path / "d" / name).transpose(1, 2, 0), drawn)


def test_the_photos_are_in_color_and_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = imported("photos", tmp_path / "d")
    assert record["images"] == len(photos.PHOTOS) == 8
    for file in files_in(tmp_path / "d"):
        assert not is_grayscale(read_whole(tmp_path / "d" / file))
    monkeypatch.setattr(photos, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="install it"):
        imported("photos", tmp_path / "e")


def test_a_folder_is_copied_with_its_splits_and_classes(
    tmp_path: Path, make_image: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "photos"
    for name in ("train/cat/1.jpg", "train/cat/sub/1.jpg", "test/dog/2.jpg", "3.JPG"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(jpeg(make_image(1, 40, 32)))
    (source / "notes.txt").write_text("no image")
    record = imported(f"folder:{source}", tmp_path / "d")
    expected = ["images/3.JPG", "test/dog/2.jpg", "train/cat/1.jpg", "train/sub/1.jpg"]
    assert files_in(tmp_path / "d") == expected
    assert record["skipped"] == {".txt: no image format": 1}
    monkeypatch.chdir(tmp_path)
    assert imported("./photos", tmp_path / "e")["images"] == 4  # and not scikit-image's
    with pytest.raises(UserError, match="There is no folder none"):
        imported("folder:none", tmp_path / "f")


def test_coco_has_no_split_and_no_class(
    tmp_path: Path, make_image: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"val2017/{i:012d}.jpg": jpeg(make_image(i, 40, 32)) for i in range(3)}
    with serving() as site:
        site.bodies["/zips/val2017.zip"] = zip_of(files)
        monkeypatch.setattr(coco, "URL", f"{site.address}/zips/val2017.zip")
        imported("coco-val2017", tmp_path / "d")
    assert files_in(tmp_path / "d") == [f"images/{i:012d}.jpg" for i in range(3)]


def test_each_file_is_a_kind_and_names_are_found(tmp_path: Path) -> None:
    found, broken = find_importers()
    assert not broken
    names = [name for kind in found.values() for name in kind.sets]
    assert len(names) == len(set(names)) == 11
    with pytest.raises(UserError, match="did you mean 'tiny-imagenet'"):
        importer_of("tiny-imagnet")
    with pytest.raises(UserError, match=r"no known set.*: known are .*stl10.*hf:OWNER/NAME"):
        importer_of("nothing like it")


def test_a_broken_kind_affects_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from benchmark.data import importers

    (tmp_path / "wrong.py").write_text("import nothing_of_this_name\n")
    monkeypatch.setattr(importers, "__path__", [*importers.__path__, str(tmp_path)])
    assert "cartoon" in importer_of("cartoon").sets
    assert "benchmark/data/importers/wrong.py cannot be used: " in capfd.readouterr().err
