"""Image datasets of the Hugging Face hub, streamed with the optional library `datasets`."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from benchmark.data.importing.contract import (
    Importer,
    Item,
    Label,
    Source,
    Unusable,
    Workplace,
)
from benchmark.data.importing.pixels import png_of
from benchmark.data.split_names import Split, read_name
from benchmark.errors import UserError, first_line

PREFIX = "hf:"
SITE = "https://huggingface.co/datasets"


def open_hub(name: str, workplace: Workplace) -> Source:
    """Return the images of a dataset, `hf:OWNER/NAME`, or of one of its subsets, `…:SUBSET`.

    They are streamed in the order of the dataset, so that no more is downloaded than is used.
    UserError if the library is not installed, or the dataset cannot be had or has no images.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"{name} needs the library datasets: install it (pip install 'datasets>=3')."
        ) from error
    path, _, subset = name.removeprefix(PREFIX).partition(":")
    asked = _asked(name, partial(datasets.load_dataset, path, subset or None, streaming=True))
    splits = {title: _with_features(name, stream) for title, stream in asked.items()}
    return Source(
        _items(name, datasets, splits), f"{SITE}/{path}", _classes(name, datasets, splits)
    )


def _asked(name: str, ask: Callable[[], Any]) -> Any:
    """Return an answer of the hub. UserError for each error of the library, which has many."""
    try:
        return ask()
    except Exception as error:
        raise UserError(
            f"{name} cannot be had from the hub ({first_line(error)}): check the name and the "
            "connection."
        ) from error


def _with_features(name: str, stream: Any) -> Any:
    """Return a stream that knows its columns; where no file says them, its first rows do."""
    return stream if stream.features else _asked(name, stream._resolve_features)


def _column(features: Any, kind: Any) -> str | None:
    """Return the first column of a kind, such as datasets.Image."""
    return next((key for key, value in (features or {}).items() if isinstance(value, kind)), None)


def _classes(name: str, datasets: Any, splits: Any) -> list[Label] | None:
    """Return the classes of a dataset; none if it names none."""
    found: dict[str, Label] = {}
    for stream in splits.values():
        features = stream.features
        if _column(features, datasets.Image) is None:
            columns = ", ".join(features or {}) or "unknown"
            raise UserError(f"{name} has no column of images (its columns are {columns}).")
        key = _column(features, datasets.ClassLabel)
        found |= {label: Label(label) for label in features[key].names} if key else {}
    return list(found.values())


def _items(name: str, datasets: Any, splits: Any) -> Iterator[Item]:
    for title, stream in splits.items():
        image = _column(stream.features, datasets.Image)
        label = _column(stream.features, datasets.ClassLabel)
        names = stream.features[label].names if label else []
        split = _split_of(title) if len(splits) > 1 else None
        # Undecoded, so that the files are written as they are.
        rows = iter(stream.cast_column(image, datasets.Image(decode=False)))
        index = 0
        while (row := _asked(name, partial(next, rows, None))) is not None:
            number = row[label] if label else -1  # -1 is also that of hidden classes
            known = number is not None and 0 <= number < len(names)
            yield Item(
                _name_of(row[image], f"{title}_{index:07d}"),
                partial(_content, row[image]),
                split,
                Label(names[number]) if known else None,
            )
            index += 1


def _split_of(title: str) -> Split | None:
    splits, _ = read_name(title)
    return next(iter(splits)) if len(splits) == 1 else None


def _name_of(value: Any, otherwise: str) -> str:
    path = value.get("path") if isinstance(value, dict) else None
    return PurePosixPath(path).name if path else otherwise


def _content(value: Any) -> bytes:
    """Return the file of a row's image, which the library gives as bytes, or as a path."""
    if not isinstance(value, dict):
        if value is None:
            raise Unusable("a row without an image")
        return png_of(value)
    if value.get("bytes") is not None:
        return bytes(value["bytes"])
    if not value.get("path"):
        raise Unusable("a row without an image")
    import fsspec  # comes with the library, and opens what its paths mean: hf://, zip://

    try:
        with fsspec.open(value["path"], "rb") as stream:
            return bytes(stream.read())
    except Exception as error:
        raise Unusable(f"its file cannot be read ({first_line(error)})") from error


IMPORTER = Importer(
    open=open_hub,
    forms={"hf:OWNER/NAME": SITE},
    takes=lambda name: name.startswith(PREFIX),
)
