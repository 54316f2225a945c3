"""Which image is for training, which for validation, which for the test.

A held-out image is chosen by its content and a seed, so renaming a file or adding one moves no
other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.console import info
from benchmark.data.reading import find_images
from benchmark.errors import UserError
from benchmark.files import read_json, sha256_of_bytes, sha256_of_file, sha256_of_json, write_json

HELD_OUT_FOR_VALIDATION = 0.15
HELD_OUT_FOR_TEST = 0.10
SPLIT_FOLDERS = ("train", "val", "test")


@dataclass(frozen=True)
class ImageFile:
    """A file: its name within its folder (POSIX), where it is, and the SHA-256 of its content."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True)
class Splits:
    """The images of each split, and what the user should be told about them."""

    train: list[ImageFile]
    val: list[ImageFile]
    test: list[ImageFile]
    warnings: list[str] = field(default_factory=list)


def digest_of(images: Sequence[ImageFile]) -> str:
    """A hash of a set of images: of their contents, whatever their names and order."""
    return sha256_of_json(sorted(image.digest for image in images))


class Digests:
    """SHA-256 of files, remembered by path, size and time so that nothing is read twice."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.known: dict[str, list[int | str]] = {}
        if store.exists():
            try:
                self.known = read_json(store)
            except UserError:
                info(f"{store} is damaged; the files are hashed again.")
        self.changed = False

    def of(self, path: Path) -> str:
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        entry = self.known.get(str(path))
        if entry is None or entry[:2] != stamp:
            try:
                entry = [*stamp, sha256_of_file(path)]
            except OSError:
                # Nor can it be decoded, where it is named; till then its path tells it apart.
                return sha256_of_bytes(str(path).encode())
            self.known[str(path)] = entry
            self.changed = True
        return str(entry[2])

    def save(self) -> None:
        if self.changed:
            write_json(self.store, self.known)
            self.changed = False


def scan(folder: Path, digests: Digests) -> list[ImageFile]:
    """Every image file below `folder`, in order of name. UserError if there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    return [
        ImageFile(path.relative_to(folder).as_posix(), path, digests.of(path.resolve()))
        for path in find_images(folder)
    ]


def split(dataset: list[ImageFile], tests: list[ImageFile], split_seed: int) -> Splits:
    """Share out the images of `Dataset/`; `tests` are those of `TestImages/`, or none.

    Images below `val/` and `test/` stay where they are. Of all others 10 % are held out for the
    test if there is no other test set, and 15 % of the rest for validation unless there is a
    `val/`. An image in two splits stays in the later of train, val, test.
    """
    folders = {
        name: [p for p in dataset if p.name.startswith(f"{name}/")] for name in SPLIT_FOLDERS
    }
    given = {image.name for images in folders.values() for image in images}
    rest = [image for image in dataset if image.name not in given]
    test, train, val = tests or folders["test"], folders["train"] + rest, folders["val"]
    if not test:
        test, train = _hold_out(train, HELD_OUT_FOR_TEST, split_seed, "test")
    if not val:
        val, train = _hold_out(train, HELD_OUT_FOR_VALIDATION, split_seed, "val")
    warnings: list[str] = []
    val = _without(val, test, "validation", "the test", warnings)
    # With TestImages/ in use, Dataset/test/ still is nobody's to train on.
    train = _without(train, test + folders["test"], "training", "the test", warnings)
    train = _without(train, val, "training", "validation", warnings)
    return Splits(train, val, test, warnings)


def _hold_out(
    images: list[ImageFile], share: float, seed: int, purpose: str
) -> tuple[list[ImageFile], list[ImageFile]]:
    """(held out, rest): each image decides for itself, by its content."""

    def held(image: ImageFile) -> bool:
        draw = int(sha256_of_json([seed, purpose, image.digest])[:13], 16) / 16**13
        return draw < share

    return [p for p in images if held(p)], [p for p in images if not held(p)]


def _without(
    images: list[ImageFile], taken: list[ImageFile], what: str, where: str, warnings: list[str]
) -> list[ImageFile]:
    digests = {image.digest for image in taken}
    doubles = [image.name for image in images if image.digest in digests]
    if doubles:
        more = f" and {len(doubles) - 5} more" if len(doubles) > 5 else ""
        warnings.append(
            f"{len(doubles)} of the images for {what} are in {where} too and were dropped: "
            f"{', '.join(doubles[:5])}{more}."
        )
    return [image for image in images if image.digest not in digests]
