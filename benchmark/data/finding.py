"""Finding the image files of a folder, and naming the files that are passed over."""

import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.decoding.formats import (
    LONGEST_SIGNATURE,
    remedy_for,
    suffix_for,
    suffixes,
)
from benchmark.data.split_names import Split, splits_in
from benchmark.errors import UserError

MOST_BYTES = 2 * 10**9  # no image that is read is as large; to hash the file would take minutes


@dataclass(frozen=True)
class FolderContents:
    """The files below a folder, without hidden ones.

    images: the image files, in order of name. passed_over: why a file or a folder is not read, by
    its name, which is its path within the folder with forward slashes.
    """

    images: list[Path]
    passed_over: dict[str, str]


def list_folder(folder: Path) -> FolderContents:
    """List the files below a folder. Which files are images is decided by their suffix.

    Links to folders are followed. No folder is read twice, except under the names of two splits. A
    missing folder has no files.
    """
    walk = _Walk(folder)
    images = [path for path in walk.files() if walk.is_image(path)]
    return FolderContents(sorted(images), dict(sorted(walk.passed_over.items())))


def describe_passed_over(passed_over: Mapping[str, str]) -> str:
    """Count the files that are passed over, by reason: `3 (.heic: …), 1 (.txt: …)`."""
    counts = Counter(passed_over.values()).most_common()
    return ", ".join(f"{count} ({reason})" for reason, count in counts)


def require_image_files(what: str, folder: Path) -> FolderContents:
    """List the files below a folder that was named by `what`, such as an option.

    UserError, which begins with `what`, if it does not exist or holds no image.
    """
    if folder.is_file():
        raise UserError(f"{what}: {folder} is a file; name a folder of images.")
    if not folder.is_dir():
        raise UserError(f"{what}: the folder {folder} does not exist; check the path.")
    found = list_folder(folder)
    if not found.images:
        others = describe_passed_over(found.passed_over)
        raise UserError(
            f"{what}: the folder {folder} holds no image that is read"
            f"{f', but {others}' if others else ''}; add images."
        )
    return found


class _Walk:
    """One walk through a folder, which remembers what it has seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passed_over: dict[str, str] = {}
        self.seen: dict[tuple[int, int], dict[frozenset[Split], str]] = {}

    def files(self) -> Iterator[Path]:
        """Yield every file. Real folders come before links, so that these are the repetitions."""
        folders, links = [self.folder], list[Path]()
        while folders or links:
            folder = folders.pop() if folders else links.pop(0)
            if not self._enter(folder):
                continue
            for path in self._entries(folder):
                if not path.is_dir():
                    yield path
                elif path.is_symlink():
                    links.append(path)
                else:
                    folders.append(path)

    def is_image(self, path: Path) -> bool:
        """Whether a file is to be read; otherwise its reason is noted."""
        try:
            status = path.stat()
        except OSError as error:
            dangling = path.is_symlink() and not path.exists()
            reason = f"cannot be opened: {error.strerror or error}"
            self._pass(path, "a link that leads nowhere" if dangling else reason)
            return False
        if not stat.S_ISREG(status.st_mode):
            self._pass(path, "not an ordinary file")
        elif not _is_text(str(path.relative_to(self.folder))):
            self._pass(path, "its name is not UTF-8: rename it")
        elif status.st_size > MOST_BYTES:
            self._pass(path, f"larger than {MOST_BYTES // 10**9} GB")
        elif path.suffix.lower() not in suffixes():
            self._pass(path, f"{path.suffix or 'no suffix'}: {_remedy_for(path)}")
        else:
            return True
        return False

    def _enter(self, folder: Path) -> bool:
        try:
            status = folder.stat()
        except OSError:
            return False
        name = self._name(folder)
        names, splits = self.seen.setdefault((status.st_dev, status.st_ino), {}), splits_in(name)
        parent = folder.absolute().parent.resolve()
        is_loop = folder.is_symlink() and parent.is_relative_to(folder.resolve())
        # Under the name of another split a folder is read once more: its images belong to it, too.
        if names and (is_loop or not splits or splits in names):
            first = next(iter(names.values()))
            self._pass(folder, f"a link to {first}, which is read already")
            return False
        names.setdefault(splits, name)
        return True

    def _entries(self, folder: Path) -> list[Path]:
        try:
            return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except OSError as error:
            if folder != self.folder:
                self._pass(folder, f"cannot be opened: {error.strerror or error}")
            return []

    def _name(self, path: Path) -> str:
        # A name that is not UTF-8 holds surrogates, which could be neither printed nor stored.
        name = path.relative_to(self.folder).as_posix()
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def _pass(self, path: Path, reason: str) -> None:
        self.passed_over[self._name(path)] = reason


def _remedy_for(path: Path) -> str:
    """What helps with a file whose suffix is not that of an image that is read."""
    if remedy := remedy_for(path.suffix):
        return remedy
    try:
        with path.open("rb") as stream:
            suffix = suffix_for(stream.read(LONGEST_SIGNATURE))
    except OSError:
        suffix = ""
    return f"an image; rename it to end in {suffix}" if suffix else "no image format"


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
