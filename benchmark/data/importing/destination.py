"""The folder that images are imported into: what it holds, and how an import gets its place.

An import is written below a hidden folder of the destination and moved at the end, so that an
interrupted one leaves nothing.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from benchmark.data.finding import list_folder
from benchmark.data.importing.contract import Workplace
from benchmark.errors import UserError
from benchmark.files import locked, remove, write_error
from benchmark.results.schema import Amount, Count, Strict, read_record, write_record

RECORD = "import.json"
WORK = ".import-"
DOWNLOADS = ".downloads"
LOCK = ".import.lock"


class ImportSettings(Strict):
    """What was asked for. None, or no classes: all of them; size None: files as they are."""

    name: str
    limit: Count | None
    max_mb: Amount | None
    classes: list[str]
    size: Count | None


class ImportRecord(Strict):
    """What import.json says: totals, images of each split and class, and the settings.

    bytes: of all images. skipped: images that cannot be used, by reason. stopped_by: the limit that
    ended the import; None if all images of the source are there. folders: what it wrote beside
    itself.
    """

    remedy: ClassVar[str] = "Name another folder with --to."

    schema_version: Literal[1] = 1
    origin: str
    settings: ImportSettings
    finished: str
    images: Count
    bytes: Count
    splits: dict[str, Count]
    classes: dict[str, Count]
    skipped: dict[str, Count]
    stopped_by: Literal["limit", "max_mb"] | None
    folders: list[Annotated[str, Field(pattern=r"^[^/\\.][^/\\]*$")]]  # never a path


def holds(folder: Path, settings: ImportSettings, *, overwrite: bool) -> bool:
    """Whether a folder holds this very import already, as a whole.

    UserError if it holds other images, which an import must not mix with: those of another import
    unless they are to be overwritten, and the user's own in any case.
    """
    count = len(list_folder(folder).images)
    if not os.path.lexists(folder / RECORD):
        if count:
            raise UserError(
                f"{folder} holds {count} images that no import wrote: name another folder with "
                "--to, or move them."
            )
        return False
    record = read_record(folder / RECORD, ImportRecord)
    if count > record.images:
        raise UserError(
            f"{folder} holds {count - record.images} images more than its import of "
            f"{record.settings.name} wrote: move them, or name another folder with --to."
        )
    if overwrite or not count:
        return False
    if record.settings != settings or count < record.images:
        raise UserError(
            f"{folder} holds an import of {record.settings.name} with {count} images: name another "
            "folder with --to, or replace it with --overwrite."
        )
    return True


@contextmanager
def workplace_in(folder: Path) -> Iterator[Workplace]:
    """Yield a place for temporary files, which is removed whatever happens in the block.

    A folder that did not exist, and in which nothing was written, is removed, too.
    """
    existed = folder.exists()
    in_use = f"{folder} is being imported into by another process: wait until that has ended."
    try:
        with locked(folder / LOCK, in_use), ExitStack() as cleanup:
            for left in folder.glob(f"{WORK}*/"):  # of a process that was killed
                remove(left)
            work = Path(tempfile.mkdtemp(prefix=WORK, dir=folder))
            cleanup.callback(shutil.rmtree, work, ignore_errors=True)
            cleanup.callback(_remove_finished, folder / DOWNLOADS)
            yield Workplace(work, folder / DOWNLOADS, cleanup)
    except OSError as error:
        raise write_error(folder, error) from error
    finally:
        with suppress(OSError):
            if not existed and list(folder.iterdir()) == [folder / LOCK]:
                (folder / LOCK).unlink()
                folder.rmdir()


def _remove_finished(downloads: Path) -> None:
    """Remove the folders of downloads without a part that the next import can go on from."""
    for folder in downloads.glob("*/"):
        if not any(folder.glob(".*.part")):
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        downloads.rmdir()


def put_in_place(written: Path, record: ImportRecord, folder: Path, work: Path) -> None:
    """Move what was written into the destination, in place of what an earlier import wrote.

    If that fails or is interrupted, the destination is as it was.
    """
    old = work / "old"
    old.mkdir()
    earlier: Sequence[str] = []
    if os.path.lexists(folder / RECORD):
        earlier = [*read_record(folder / RECORD, ImportRecord).folders, RECORD]
    write_record(written / RECORD, record)
    if hasattr(os, "sync"):
        os.sync()  # the images are on the disk before they get their place
    moves = [(folder / name, old / name) for name in earlier if os.path.lexists(folder / name)]
    moves += [(written / name, folder / name) for name in [*record.folders, RECORD]]
    done = []
    try:
        for source, target in moves:
            os.replace(source, target)
            done.append((source, target))
    except BaseException as error:
        for source, target in reversed(done):
            os.replace(target, source)
        if isinstance(error, OSError):
            raise write_error(target, error) from error
        raise
