"""The contract of a kind of import: a name becomes a source of images, each with its place.

Nothing here imports torch or numpy.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from benchmark.data.split_names import Split, read_name

LONGEST_NAME = 100
"""Characters of a file's or folder's name, of which a file system takes 255 bytes."""


class Unusable(Exception):
    """The reason why an image of a source cannot be used, in a few words."""


@dataclass(frozen=True)
class Label:
    """The class of an image.

    name: readable, such as `goldfish`. code: the code of the class in its set, such as the WordNet
    ID `n01443537`; empty if it has none.
    """

    name: str
    code: str = ""

    @property
    def folder(self) -> str:
        """The name of the folder of the class: `n01443537_goldfish`."""
        name = safe_name(self.name)
        splits, others = read_name(name)
        if splits and not others and not self.code:
            return f"class_{name}"  # a class called train is no split
        return f"{safe_name(self.code)}_{name}" if self.code else name

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which `--classes` knows the class, as `plain_name` writes them."""
        found = (self.name, self.code, self.folder)
        return tuple(plain_name(name) for name in found if name)


@dataclass(frozen=True)
class Item:
    """An image of a source.

    name: of its file, with a suffix if it has one. read: returns the content of the file, or raises
    Unusable. split, label: where the set says them.
    """

    name: str
    read: Callable[[], bytes]
    split: Split | None = None
    label: Label | None = None


@dataclass(frozen=True)
class Source:
    """The images of a source.

    items: a sequence where their list is known without reading them; otherwise they are read in
    their order. classes: all of them; None if they become known by reading. origin: where the
    images come from, for the record.
    """

    items: Iterable[Item]
    origin: str
    classes: Sequence[Label] | None = None


@dataclass(frozen=True)
class Workplace:
    """What a source may use while it is read.

    folder: for temporary files, removed at the end. downloads: for archives, which stay only if a
    download broke off and can be resumed. cleanup: closes what the source has opened.
    """

    folder: Path
    downloads: Path
    cleanup: ExitStack


@dataclass(frozen=True)
class Importer:
    """A kind of source.

    open: returns the source of a name, or raises UserError. sets: the names of its sets, and where
    each comes from. forms: other names that it takes, in the notation of the help. takes: whether
    a name has one of these forms.
    """

    open: Callable[[str, Workplace], Source]
    sets: Mapping[str, str] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)
    takes: Callable[[str], bool] = lambda name: False


def safe_name(text: str) -> str:
    """Return a name for a file or a folder, which is never hidden, empty or a path."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in text)
    return re.sub(r"_+", "_", kept)[:LONGEST_NAME].strip("._") or "unnamed"


def plain_name(text: str) -> str:
    """Return a name by which classes are compared: without case, and with `_` for other signs."""
    return safe_name(text).replace("-", "_").casefold()


def place_of(path: PurePath) -> tuple[Split | None, Label | None]:
    """Return the split and the class that the folders of a path name: `a/train/cat/images/1.jpg`.

    The class is the innermost folder that is no split and says more than `images` does.
    """
    split: Split | None = None
    label: Label | None = None
    for folder in path.parts[:-1]:
        splits, others = read_name(folder)
        if len(splits) == 1 and not others:
            split = split or next(iter(splits))
        elif others or not any(letter.isalpha() for letter in folder):
            label = Label(folder)
    return split, label


def without_common_place(items: Sequence[Item]) -> list[Item]:
    """Drop a split or a class that all items have.

    Such a class is the folder that holds a whole archive; and a dataset of validation images alone
    could not be trained on.
    """
    splits = {item.split for item in items}
    labels = {item.label for item in items}
    return [
        replace(
            item,
            split=item.split if len(splits) > 1 else None,
            label=item.label if len(labels) > 1 else None,
        )
        for item in items
    ]
