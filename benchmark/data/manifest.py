"""The manifest of a dataset: its image files, each with the hash of its content."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError, model_validator

from benchmark.console import info
from benchmark.data.finding import list_folder
from benchmark.errors import UserError
from benchmark.files import read_json, sha256_of_bytes, sha256_of_file, sha256_of_json, write_json


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
class Manifest:
    """The image files of a folder, by name, and why its other files are passed over, by name."""

    files: list[ImageFile]
    passed_over: dict[str, str]


Selection = Callable[[Sequence[str]], Sequence[str]]
"""Chooses some of the names of image files; it may raise UserError."""


def digest_of(images: Sequence[ImageFile]) -> str:
    """Hash a set of images by their contents, whatever their names and their order."""
    return sha256_of_json(sorted(image.digest for image in images))


DIGESTS = "digests.json"


class DigestStore(BaseModel):
    """digests.json: size, time of change in ns, and SHA-256 of each file, by its path.

    sha256: of all of that.
    """

    files: dict[str, tuple[int, int, str]]
    sha256: str

    @model_validator(mode="after")
    def _is_as_written(self) -> "DigestStore":
        if self.sha256 != sha256_of_json(self.files):
            raise ValueError("its checksum is another")
        return self


class Digests:
    """The SHA-256 of files, stored by path, size and time of change so that none is read twice.

    store: the file of the digests; without one, every file is read.
    """

    def __init__(self, store: Path | None) -> None:
        self.store = store
        self.known: dict[str, tuple[int, int, str]] = {}
        if store is not None and store.exists():
            try:
                self.known = DigestStore.model_validate(read_json(store)).files
            except (UserError, ValidationError):
                info(f"{store} is damaged; the files are hashed again.")
        self.changed = False

    def of(self, path: Path) -> str:
        """Return the digest of a file, from the store if the file has not changed since."""
        try:
            stat = path.stat()
            entry = self.known.get(str(path))
            if entry is None or entry[:2] != (stat.st_size, stat.st_mtime_ns):
                entry = (stat.st_size, stat.st_mtime_ns, sha256_of_file(path))
                self.known[str(path)] = entry
                self.changed = True
            return entry[2]
        except OSError:
            # Decoding will fail too and name the file; until then its path identifies it.
            return sha256_of_bytes(str(path).encode())

    def save(self) -> None:
        """Write the store, if a digest was added."""
        if self.changed and self.store is not None:
            try:
                store = DigestStore(files=self.known, sha256=sha256_of_json(self.known))
                write_json(self.store, store.model_dump(mode="json"))
            except UserError as error:  # no reason to stop: the files are hashed again
                info(f"Hashes of files are not kept: {error}")
            self.changed = False


def scan(folder: Path, digests: Digests, selection: Selection | None = None) -> Manifest:
    """List the image files below `folder` by name, all or those that `selection` chooses.

    Raises UserError if there is no such folder, and what `selection` raises.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: check the path.")
    contents = list_folder(folder)
    paths = {path.relative_to(folder).as_posix(): path for path in contents.images}
    chosen = [*paths] if selection is None else selection([*paths])
    files = [ImageFile(name, paths[name], digests.of(paths[name].resolve())) for name in chosen]
    return Manifest(files, contents.passed_over)
