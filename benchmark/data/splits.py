"""The split of a dataset into images for training, for validation and for the test.

Folders named after a split are that split. Of all other images some are held out, each by its own
content and a seed, so renaming a file or adding one moves no other image.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from benchmark.console import info, shorten
from benchmark.data.manifest import ImageFile
from benchmark.files import sha256_of_json

HELD_OUT_FOR_TEST = 0.10  # share of all images
HELD_OUT_FOR_VALIDATION = 0.15  # share of the images that are not for the test

Split = Literal["train", "val", "test"]

_SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trainset", "traindata", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "validset"), "val"),
    **dict.fromkeys(("test", "tests", "testing", "testset", "testdata"), "test"),
    **dict.fromkeys(("eval", "evaluation", "holdout", "heldout"), "test"),
}
_WORDS_WITHOUT_MEANING = {
    *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pics"),
    *("set", "split", "splits", "data", "dataset", "folder", "dir", "dev", "the"),
    *("color", "colour", "rgb", "jpg", "jpeg", "png", "a", "b"),
}


@dataclass(frozen=True)
class Splits:
    """The image files of each split.

    train, val, test: the files. reserved: files that are in no split and must not be trained on.
    origins: how each split was found, in a few words. warnings: sentences for the user about
    folders that may mean something else than was understood.
    """

    train: list[ImageFile]
    val: list[ImageFile]
    test: list[ImageFile]
    reserved: list[ImageFile] = field(default_factory=list)
    origins: dict[Split, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def split(dataset: list[ImageFile], tests: list[ImageFile], split_seed: int) -> Splits:
    """Split the images of `dataset` into those for training, for validation and for the test.

    tests: the images of a separate test folder, or none.

    Images below a folder named after validation or test belong to these splits, wherever the folder
    is. Of all others 10 % are held out for the test if there is no other test set, and 15 % of the
    rest for validation if there is no folder for it; at least one each where there are enough.
    """
    folders = _SplitFolders([image.name for image in dataset])
    parts: dict[Split | None, list[ImageFile]] = defaultdict(list)
    unclear: list[ImageFile] = []
    for image in dataset:
        if folders.looks_like_test(image.name):
            unclear.append(image)
        else:
            parts[folders.split_of(image.name)].append(image)
    train, val, test = parts["train"] + parts[None], parts["val"], parts["test"]
    origins = folders.origins()
    reserved = unclear
    if tests:
        test, reserved = tests, [*test, *unclear]
        origins["test"] = "of the folder of test images"
    if not test:
        keep = 1 if val else 2  # one for training, and one for validation
        test, train = _hold_out(train, HELD_OUT_FOR_TEST, split_seed, "test", keep)
        origins["test"] = "held out"
    if not val:
        val, train = _hold_out(train, HELD_OUT_FOR_VALIDATION, split_seed, "val", keep=1)
        origins["val"] = "held out"
    return Splits(train, val, test, reserved, origins, folders.warnings())


def warn_of_splits_in_test(folder: Path, tests: Sequence[ImageFile]) -> None:
    """Warn if a folder of test images has folders of other splits, which are tested on too."""
    origins = _SplitFolders([image.name for image in tests]).origins()
    others = [origins[key] for key in ("train", "val") if key in origins]
    if others:
        info(
            f"Warning: all images below {folder} are test images, also those "
            f"{' and '.join(others)}."
        )


def _hold_out(
    images: list[ImageFile], share: float, seed: int, purpose: str, keep: int
) -> tuple[list[ImageFile], list[ImageFile]]:
    """Return (held out, rest). Each image is drawn by its own content alone.

    Only where that would hold out none, or leave fewer than `keep`, the lowest draws decide.
    """
    draws = {
        image.digest: int(sha256_of_json([seed, purpose, image.digest])[:13], 16) / 16**13
        for image in images
    }
    lowest = sorted(draws, key=draws.__getitem__)
    count = sum(draw < share for draw in draws.values())
    held = set(lowest[: max(0, min(max(count, 1), len(lowest) - keep))])
    rest = [image for image in images if image.digest not in held]
    return [image for image in images if image.digest in held], rest


# ---- folders that are named after a split --------------------------------------------------------


class _SplitFolders:
    """The folders of a dataset whose names say that they are a split.

    A name is `train`, `Validation`, `test_images`, `val2017` and the like. A name with further
    words, such as `flowers-test`, counts where a folder beside it has the same words and another
    split, such as `flowers-train`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        for name in names:
            for folder in _folders_of(name):
                self.counts[folder] += 1
        self.beside: dict[tuple[str, tuple[str, ...]], set[Split]] = defaultdict(set)
        for folder in self.counts:
            splits, words = _read_name(_last(folder))
            self.beside[_parent(folder), words] |= splits

    def split_of(self, name: str) -> Split | None:
        """The split of an image. One that is below two split folders is held back the most."""
        found = {self._split(folder) for folder in _folders_of(name)}
        return next((split for split in ("test", "val", "train") if split in found), None)

    def looks_like_test(self, name: str) -> bool:
        """Whether an image is in no split, and in a folder that may be meant as a test."""
        unclear = any(self._is_unclear(f) and "test" in _splits(f) for f in _folders_of(name))
        return unclear and self.split_of(name) != "test"

    def origins(self) -> dict[Split, str]:
        """Name the folders of each split that has some."""
        found: dict[Split, list[str]] = defaultdict(list)
        for folder in sorted(self.counts):
            if (split := self._split(folder)) is not None:
                found[split].append(f"{folder}/")
        return {split: f"of {shorten(folders)}" for split, folders in found.items()}

    def warnings(self) -> list[str]:
        """Sentences about folders that look like a split and are not taken as one."""
        found = []
        for folder in sorted(filter(self._is_unclear, self.counts)):
            count = f"{self.counts[folder]} image{'s' if self.counts[folder] != 1 else ''}"
            if "test" in _splits(folder):
                found.append(
                    f"The folder {folder} looks like a test and is not taken as one: its {count} "
                    "are neither trained nor tested on. Rename it to test, or name it with "
                    "--test_images; to train on it, give it another name."
                )
            else:
                split = min(_splits(folder))
                found.append(
                    f"The folder {folder} looks like a split and is not taken as one: its {count} "
                    f"belong to the images without a split. Rename it to {split} if it is one."
                )
        return found

    def _split(self, folder: str) -> Split | None:
        splits, words = _read_name(_last(folder))
        if len(splits) != 1 or (words and len(self.beside[_parent(folder), words]) < 2):
            return None
        return next(iter(splits))

    def _is_unclear(self, folder: str) -> bool:
        return bool(_splits(folder)) and self._split(folder) is None


def _folders_of(name: str) -> list[str]:
    """The folders that an image is below, from the outermost on: `a/b/c.png` → a, a/b."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _parent(folder: str) -> str:
    return folder.rpartition("/")[0]


def _last(folder: str) -> str:
    return folder.rpartition("/")[2]


def _splits(folder: str) -> frozenset[Split]:
    return _read_name(_last(folder))[0]


@cache
def _read_name(name: str) -> tuple[frozenset[Split], tuple[str, ...]]:
    """The splits that a folder's name mentions, and its other words: `my-Test2` → test, my."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", spaced)]
    splits = frozenset(_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS)
    others = [word for word in words if word not in {*_SPLIT_WORDS, *_WORDS_WITHOUT_MEANING}]
    return splits, tuple(others)
