"""Datasets of the hub, through a stand-in of the library `datasets`: no hub is asked."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from benchmark.data.importing.writing import Limits
from benchmark.errors import UserError
from tests.import_support import files_in, imported, jpeg

Row = dict[str, Any]


class ImageColumn:
    """Stands for datasets.Image."""

    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    """Stands for datasets.ClassLabel."""

    names = ("cat", "dog", "train")


class Stream:
    """Stands for an IterableDataset; counts the rows that are read."""

    def __init__(self, rows: list[Row], features: dict[str, Any] | None = None) -> None:
        self.rows, self.read = rows, 0
        self.features = features if features is not None else {}
        self.resolved = {"label": ClassLabel(), "photo": ImageColumn()}

    def _resolve_features(self) -> "Stream":
        self.features = self.resolved
        return self

    def cast_column(self, name: str, kind: ImageColumn) -> "Stream":
        assert (name, kind.decode) == ("photo", False)
        return self

    def __iter__(self) -> Iterator[Row]:
        for row in self.rows:
            self.read += 1
            if isinstance(row, Exception):
                raise row
            yield row


@pytest.fixture
def splits(make_image: Callable[..., Image.Image]) -> dict[str, Stream]:
    """A dataset of three splits: paths or none, a hidden class, an image that is no file."""
    photos = [jpeg(make_image(seed, 40, 32)) for seed in range(6)]
    rows = [
        {"photo": {"bytes": data, "path": f"a/{index}.jpg" if index % 2 else None}, "label": index}
        for index, data in enumerate(photos[:3])
    ]
    others = [
        {"photo": {"bytes": photos[3], "path": None}, "label": -1},
        {"photo": make_image(4, 40, 32), "label": None},
        {"photo": {"bytes": None, "path": None}, "label": 0},
        {"photo": None, "label": 0},
        {"photo": {"bytes": b"text", "path": "b.jpg"}, "label": 0},
    ]
    return {"train": Stream(rows), "validation": Stream(others), "extra": Stream(rows[:1])}


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch, splits: dict[str, Stream]) -> None:
    """Install the stand-in."""

    def load_dataset(path: str, subset: str | None, *, streaming: bool) -> dict[str, Stream]:
        assert streaming
        if (path, subset) != ("owner/set", "small"):
            raise ValueError("Dataset 'x' does not exist\non the Hub")
        return splits

    module = SimpleNamespace(load_dataset=load_dataset, Image=ImageColumn, ClassLabel=ClassLabel)
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_rows_become_files_with_their_splits_and_classes(
    tmp_path: Path, make_image: Callable[..., Image.Image]
) -> None:
    record = imported("hf:owner/set:small", tmp_path / "d")
    assert files_in(tmp_path / "d") == [
        "cat/extra_0000000.jpg",
        "train/cat/train_0000000.jpg",
        "train/class_train/train_0000002.jpg",  # no split is read into the name of a class
        "train/dog/1.jpg",
        "val/validation_0000000.jpg",
        "val/validation_0000001.png",
    ]
    assert record["skipped"] == {"a row without an image": 2, "not an image": 1}
    assert record["origin"] == "https://huggingface.co/datasets/owner/set"
    assert (tmp_path / "d/train/dog/1.jpg").read_bytes() == jpeg(make_image(1, 40, 32))


def test_no_more_rows_are_read_than_the_limit_needs(
    tmp_path: Path, splits: dict[str, Stream]
) -> None:
    assert imported("hf:owner/set:small", tmp_path / "d", Limits(images=2))["images"] == 2
    assert [stream.read for stream in splits.values()] == [2, 0, 0]
    chosen = imported("hf:owner/set:small", tmp_path / "e", Limits(classes=("Dog",)))
    assert chosen["classes"] == {"dog": 1}


def test_a_dataset_of_one_split_has_no_folder_for_it(
    tmp_path: Path, splits: dict[str, Stream]
) -> None:
    del splits["validation"], splits["extra"]
    record = imported("hf:owner/set:small", tmp_path / "d")
    assert record["folders"] == ["cat", "class_train", "dog"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hf:owner/none", "cannot be had from the hub .*does not exist.: check the name"),
        ("hf:owner/set:small", "has no column of images .its columns are text."),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path, splits: dict[str, Stream], name: str, reason: str
) -> None:
    splits["train"].features = {"text": io}
    with pytest.raises(UserError, match=reason) as caught:
        imported(name, tmp_path / "d")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "d").exists()


def test_a_connection_that_ends_leaves_nothing(tmp_path: Path, splits: dict[str, Stream]) -> None:
    splits["train"].rows.append(ConnectionError("reset"))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="ConnectionError: reset"):
        imported("hf:owner/set:small", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_without_the_library_one_sentence_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"needs the library datasets: install it \(pip install"):
        imported("hf:owner/set", tmp_path / "d")
