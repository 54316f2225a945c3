"""Writing of images: sizes, names, and what the project itself reads of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from benchmark.data.importing.contract import Item, Label, Source, Unusable, place_of, safe_name
from benchmark.data.importing.pixels import png_of
from benchmark.data.importing.writing import Limits, in_proportion, write_images
from benchmark.data.reading import open_rgb
from tests.import_support import files_in, jpeg

MakeImage = Callable[..., Image.Image]


def item(name: str, data: bytes, **more: object) -> Item:
    return Item(name, lambda: data, **more)  # type: ignore[arg-type]


def test_images_are_reduced_to_the_size_and_never_enlarged(
    tmp_path: Path, make_image: MakeImage
) -> None:
    wide, tall = make_image(1, 120, 80), make_image(2, 60, 90)
    small = jpeg(make_image(3, 30, 200))
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    wide.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    items = [
        item("wide.jpg", jpeg(wide)),
        item("tall.png", png_of(tall)),
        item("small.jpg", small),
        item("turned.jpg", (tmp_path / "turned.jpg").read_bytes()),
        item("no suffix", png_of(wide)),
    ]
    write_images(Source(items, ""), Limits(size=40), tmp_path / "d")
    folder = tmp_path / "d/images"
    assert files_in(folder) == ["no_suffix.png", "small.jpg", "tall.png", "turned.jpg", "wide.jpg"]
    assert (folder / "small.jpg").read_bytes() == small
    sizes = {path.stem: open_rgb(path).size for path in folder.iterdir()}
    del sizes["small"]
    assert sizes == {"wide": (60, 40), "tall": (40, 60), "turned": (40, 60), "no_suffix": (60, 40)}
    expected = tall.resize((40, 60), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(open_rgb(folder / "tall.png")), np.asarray(expected))
    with Image.open(folder / "wide.jpg") as written:
        quantization = written.quantization  # type: ignore[attr-defined]
        assert get_sampling(written) == 0  # color at full resolution
        reference = tmp_path / "q.jpg"
        make_image(5).save(reference, quality=95)
        assert quantization == Image.open(reference).quantization  # type: ignore[attr-defined]


def test_equal_names_are_told_apart_and_bad_ones_are_made_safe(
    tmp_path: Path, make_image: MakeImage
) -> None:
    data = jpeg(make_image(1))
    names = ["a.jpg", "A.JPG", "a.jpg", ".hidden.jpg", "../x.jpg", "été.jpg", "", "b.txt"]
    write_images(Source([item(n, data) for n in names], ""), Limits(), tmp_path / "d")
    assert files_in(tmp_path / "d/images") == sorted(
        [
            "a.jpg",
            "A+1.JPG",
            "a+2.jpg",
            "hidden.jpg",
            "x.jpg",
            "été.jpg",
            "unnamed.jpg",
            "b.txt.jpg",
        ]
    )


def test_an_unreadable_source_is_counted_and_the_others_are_written(
    tmp_path: Path, make_image: MakeImage
) -> None:
    def fail(error: Exception) -> bytes:
        raise error

    items = [
        Item("a.jpg", lambda: fail(Unusable("a reason"))),
        Item("b.jpg", lambda: fail(PermissionError(13, "denied"))),
        item("c.jpg", jpeg(make_image(1))),
    ]
    totals = write_images(Source(iter(items), ""), Limits(), tmp_path / "d")
    assert totals.skipped == {"a reason": 1, "its file cannot be read (denied)": 1}
    assert totals.images == 1


@given(st.text())
def test_a_safe_name_is_one_visible_name(text: str) -> None:
    name = safe_name(text)
    assert name
    assert not name.startswith(".")
    assert not set(name) & set("/\\\0\n:*?")
    assert len(name) <= 100
    assert safe_name(name) == name


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1), st.data())
def test_each_beginning_has_its_share_of_each_class(labels: list[str], data: st.DataObject) -> None:
    items = [Item(str(i), bytes, label=Label(label)) for i, label in enumerate(labels)]
    ordered = in_proportion(items)
    assert sorted(map(id, ordered)) == sorted(map(id, items))
    count = data.draw(st.integers(0, len(items)))
    for label in set(labels):
        share = labels.count(label) * count / len(labels)
        found = sum(i.label == Label(label) for i in ordered[:count])
        assert abs(found - share) <= 1.5


@pytest.mark.parametrize(
    ("path", "split", "folder"),
    [
        ("a/train/cat/images/1.jpg", "train", "cat"),
        ("val2017/1.jpg", "val", None),
        ("001/x.jpg", None, "001"),
        ("1.jpg", None, None),
        ("train/train/x.jpg", "train", None),
    ],
)
def test_folders_name_splits_and_classes(path: str, split: str | None, folder: str | None) -> None:
    found, label = place_of(Path(path))
    assert (found, label.folder if label else None) == (split, folder)
    assert Label("train").folder == "class_train"
    assert Label("train", "n04").folder == "n04_train"
