"""The split of a dataset into images for training, for validation and for the test.

Whether an image is held out depends on its content and a seed alone, so renaming a file or adding
one moves no other image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.console import info, shorten
from benchmark.data.finding import find_images
from benchmark.errors import UserError
from benchmark.files import read_json, sha256_of_bytes, sha256_of_file, sha256_of_json, write_json

HELD_OUT_FOR_TEST = 0.10  # share of all images
HELD_OUT_FOR_VALIDATION = 0.15  # share of the images that are not for the test
SPLIT_FOLDERS = ("train", "val", "test")


@dataclass(frozen=True)
class ImageFile:
    """An image file of a dataset.

    name: its path within the folder of the dataset, with forward slashes. path: the file itself.
    digest: the SHA-256 of its content.
    """

    name: str
    path: Path
    digest: str


@dataclass(frozen=True)
class Splits:
    """The image files of each split.

    train, val, test: the files. warnings: sentences for the user about files in two splits.
    """

    train: list[ImageFile]
    val: list[ImageFile]
    test: list[ImageFile]
    warnings: list[str] = field(default_factory=list)


def digest_of(images: Sequence[ImageFile]) -> str:
    """Hash a set of images by their contents, whatever their names and their order."""
    return sha256_of_json(sorted(image.digest for image in images))


class Digests:
    """The SHA-256 of files, stored by path, size and time of change so that none is read twice."""

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
        """Return the digest of a file, from the store if the file has not changed since."""
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        entry = self.known.get(str(path))
        if entry is None or entry[:2] != stamp:
            try:
                entry = [*stamp, sha256_of_file(path)]
            except OSError:
                # Decoding will fail too and name the file; until then its path identifies it.
                return sha256_of_bytes(str(path).encode())
            self.known[str(path)] = entry
            self.changed = True
        return str(entry[2])

    def save(self) -> None:
        """Write the store, if a digest was added."""
        if self.changed:
            write_json(self.store, self.known)
            self.changed = False


def scan(folder: Path, digests: Digests) -> list[ImageFile]:
    """List every image file below `folder` by name. UserError if there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: check the path.")
    return [
        ImageFile(path.relative_to(folder).as_posix(), path, digests.of(path.resolve()))
        for path in find_images(folder)
    ]


def split(dataset: list[ImageFile], tests: list[ImageFile], split_seed: int) -> Splits:
    """Split the images of `dataset` into those for training, for validation and for the test.

    tests: the images of a separate test folder, or none.

    Images below `val/` and `test/` belong to these splits. Of all others 10 % are held out for the
    test if there is no other test set, and 15 % of the rest for validation if there is no `val/`.
    An image that is in two splits stays in the later one of train, val, test.
    """
    folders = {
        name: [image for image in dataset if image.name.startswith(f"{name}/")]
        for name in SPLIT_FOLDERS
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
    # The images below test/ are not trained on even where a separate test folder replaces them.
    train = _without(train, test + folders["test"], "training", "the test", warnings)
    train = _without(train, val, "training", "validation", warnings)
    return Splits(train, val, test, warnings)


def _hold_out(
    images: list[ImageFile], share: float, seed: int, purpose: str
) -> tuple[list[ImageFile], list[ImageFile]]:
    """Return (held out, rest). Each image is drawn by its own content alone."""

    def held(image: ImageFile) -> bool:
        draw = int(sha256_of_json([seed, purpose, image.digest])[:13], 16) / 16**13
        return draw < share

    rest = [image for image in images if not held(image)]
    return [image for image in images if held(image)], rest


def _without(
    images: list[ImageFile], taken: list[ImageFile], purpose: str, other: str, warnings: list[str]
) -> list[ImageFile]:
    """Return `images` without the contents that `taken` has too, which a warning names."""
    digests = {image.digest for image in taken}
    doubles = [image.name for image in images if image.digest in digests]
    if doubles:
        warnings.append(
            f"Images for {purpose} that are also in {other} are left out of {purpose} "
            f"({len(doubles)}): {shorten(doubles)}."
        )
    return [image for image in images if image.digest not in digests]
