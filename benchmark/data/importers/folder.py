"""A folder of images on this machine."""

from pathlib import Path

from benchmark.data.finding import list_folder
from benchmark.data.importing.archives import refusing
from benchmark.data.importing.contract import (
    Importer,
    Item,
    Source,
    Workplace,
    place_of,
    without_common_place,
)
from benchmark.errors import UserError

PREFIX = "folder:"


def open_folder(name: str, _: Workplace) -> Source:
    """Return the images below a folder, each with the split and class that its folders name."""
    folder = Path(name.removeprefix(PREFIX))
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: check the path.")
    found = list_folder(folder)
    items: list[Item] = []
    for path in found.images:
        split, label = place_of(path.relative_to(folder))
        items.append(Item(path.name, path.read_bytes, split, label))
    items = without_common_place(items)
    items += [Item(path, refusing(reason)) for path, reason in found.passed_over.items()]
    return Source(items, str(folder.resolve()))


IMPORTER = Importer(
    open=open_folder,
    forms={"folder:PATH": ""},
    takes=lambda name: name.startswith(PREFIX) or Path(name).is_dir(),
)
