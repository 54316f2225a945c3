"""Where colored photos are written: a file for each coloring of a photo, never a photo itself."""

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.console import info, shorten
from benchmark.data.finding import describe_passed_over, list_folder
from benchmark.errors import UserError
from benchmark.inference.formats import by_suffix, format_of
from benchmark.results.folders import comparable

LONGEST_NAME = 255
"""The most bytes of a file's name on the usual file systems."""


SHEET = "sheet"
"""The label of the sheet of all colorings of a photo."""


@dataclass(frozen=True)
class Target:
    """A photo and the file that it is written to when it is colored.

    label: which coloring it is, such as the model's name; SHEET is that of all. frames: the strip
    and the animation of its sampling, or nothing.
    """

    photo: Path
    path: Path
    label: str
    frames: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are written."""
        return (self.path, *self.frames)

    @property
    def is_done(self) -> bool:
        """Whether all files were written: each appears as a whole, so an empty one is another's."""
        return all(_is_file(path) and path.stat().st_size > 0 for path in self.files)

    @classmethod
    def of(cls, photo: Path, path: Path, label: str, with_frames: bool) -> "Target":
        """The target that writes the photo to `path`, and its frames beside it."""
        ends = ("-frames.png", "-frames.webp") if with_frames and label != SHEET else ()
        frames = tuple(path.with_name(f"{path.stem}{end}") for end in ends)
        return cls(photo, path, label, frames)


def names_file(arguments: Sequence[Path], out: Path | None, labels: Sequence[str]) -> bool:
    """Whether `out` is the very file to write, and not a folder.

    UserError if it cannot be either.
    """
    if out is None or _is_folder(out):
        return False
    if len(arguments) == len(labels) == 1 and not _is_folder(arguments[0]):
        format_of(out)
        return True
    if os.path.lexists(out) or out.suffix.lower() in by_suffix():
        raise UserError(f"--out {out}: name a folder, since several files may be written.")
    return False


def plan_targets(
    arguments: Sequence[Path],
    out: Path | None,
    labels: Sequence[str],
    with_frames: bool,
    suffix: str = ".png",
) -> tuple[list[Target], list[str]]:
    """Return the targets of each photo, and what is wrong with arguments that name none.

    arguments: photos, folders whose images are meant, and patterns of names such as `*.jpg`. out: a
    file for a single photo and label, or a folder; None is the folder in which the program runs.
    labels: one for each coloring; with several there is also a SHEET. suffix: of the files in a
    folder. The structure below a named folder is kept, and files that would still share a name are
    numbered.
    Raises UserError if nothing can be colored, or if `out` cannot be meant so.
    """
    arguments = [path for argument in arguments for path in _expanded(argument)]
    folder = Path() if out is None else out
    if out is not None and names_file(arguments, out, labels):
        return _single(arguments[0], out, labels[0], with_frames)
    photos, failures = _find_photos(arguments)
    if not photos:
        for failure in failures[:-1]:
            info(f"Failed: {failure}")
        raise UserError(failures[-1])
    taken: dict[str, Path] = {}
    ends = dict.fromkeys(labels, suffix) | ({SHEET: ".png"} if len(labels) > 1 else {})
    targets = [
        _free_target(photo, folder / below, label, end, with_frames, taken)
        for photo, below in photos
        for label, end in ends.items()
    ]
    return targets, failures


def _expanded(argument: Path) -> list[Path]:
    """The files that a pattern matches, where the shell left it as it is."""
    text = str(argument)
    if os.path.lexists(argument) or not glob.has_magic(text):
        return [argument]
    found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207, which takes no absolute one
    return [Path(name) for name in found] or [argument]


def _single(
    photo: Path, out: Path, label: str, with_frames: bool
) -> tuple[list[Target], list[str]]:
    if not _is_file(photo):
        raise UserError(_missing(photo))
    return [Target.of(photo, out, label, with_frames)], []


def _missing(photo: Path) -> str:
    return f"There is no image {photo}: check the path."


def _find_photos(arguments: Sequence[Path]) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return each photo once with its folder below the named one, and the failures."""
    found: dict[Path, tuple[Path, Path]] = {}
    failures = []
    for argument in arguments:
        photos = list(_photos_of(argument))
        if not photos:
            failures.append(
                f"{argument} holds no image files: name another folder, or the files themselves."
                if _is_folder(argument)
                else _missing(argument)
            )
        for photo, below in photos:
            if photo.resolve() in found:
                info(f"{photo} is named twice and is colored once.")
            found.setdefault(photo.resolve(), (photo, below))
    return list(found.values()), failures


def _photos_of(argument: Path) -> Iterator[tuple[Path, Path]]:
    if _is_folder(argument):
        contents = list_folder(argument)
        if contents.passed_over:
            info(f"{argument}: passed over: {describe_passed_over(contents.passed_over)}.")
        for photo in contents.images:
            yield photo, photo.parent.relative_to(argument)
    elif _is_file(argument):
        yield argument, Path()


def _free_target(
    photo: Path,
    folder: Path,
    label: str,
    suffix: str,
    with_frames: bool,
    taken: dict[str, Path],
) -> Target:
    """Return the target of a photo in a folder, with a number if another photo's has its name.

    taken: the photo that each file is written for, by `_key`; that of this one is added.
    """
    number = 1
    first = ""
    while True:
        end = f"-{label}" if number == 1 else f"-{label}-{number}"
        stem = _fit(photo.stem, LONGEST_NAME - len(os.fsencode(f"{end}-frames.webp")))
        target = Target.of(photo, folder / f"{stem}{end}{suffix}", label, with_frames)
        keys = [_key(path) for path in target.files]
        others = [key for key in keys if key in taken]
        if not others:
            break
        first = first or f"{target.path} is that of {taken[others[0]]}"
        number += 1
    taken.update(dict.fromkeys(keys, photo))
    if first:
        info(f"{photo} is written to {target.path}, since {first}.")
    return target


def _fit(stem: str, most: int) -> str:
    """Shorten the stem of a name to at most `most` bytes."""
    while len(os.fsencode(stem)) > most:
        stem = stem[:-1]
    return stem


def _key(path: Path) -> str:
    """Return a text that is the same for two paths that may be one file."""
    return comparable(str(path.parent.resolve() / path.name))


def require_free(targets: Sequence[Target], overwrite: bool) -> None:
    """Raise UserError if a file to be written is one of the photos, or exists already.

    overwrite: whether a file that exists may be written over; a photo never is.
    """
    photos = {_identity(target.photo): target.photo for target in targets}
    existing = []
    for path in (path for target in targets for path in target.files):
        identity = _identity(path)
        photo = None if identity is None else photos.get(identity)
        if photo is not None:
            raise UserError(
                f"{path} is the photo {photo} itself, which is never written over: name another "
                "place with --out."
            )
        if _is_folder(path):
            raise UserError(f"{path} is a folder: name another place with --out.")
        if os.path.lexists(path):
            existing.append(str(path))
    if existing and not overwrite:
        verb = "exists" if len(existing) == 1 else "exist"
        raise UserError(
            f"{shorten(existing)} {verb} already: write over with --overwrite, or name another "
            "place with --out."
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what all paths of one file have in common, links and hard links among them.

    None if there is no such file.
    """
    status = _status(path)
    return None if status is None else (status.st_dev, status.st_ino)


def _is_folder(path: Path) -> bool:
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _is_file(path: Path) -> bool:
    status = _status(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def _status(path: Path) -> os.stat_result | None:
    """Return a file's status, or None if it does not exist. UserError if it cannot be told."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # such as a name that is too long
        raise UserError(f"{path} cannot be used: {error.strerror}.") from error
