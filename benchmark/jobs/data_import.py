"""Imports of images: a known set, a dataset of the hub, an archive or a folder becomes a folder."""

from pathlib import Path

from benchmark.console import info
from benchmark.data.importing.destination import (
    ImportRecord,
    ImportSettings,
    holds,
    put_in_place,
    workplace_in,
)
from benchmark.data.importing.finding import importer_of
from benchmark.data.importing.writing import Limits, Totals, describe_skipped, write_images
from benchmark.errors import Interrupted, UserError
from benchmark.results.environment import now


def import_images(name: str, folder: Path, limits: Limits, *, overwrite: bool = False) -> None:
    """Import the images of a source into a folder, as a whole or not at all.

    name: as `data import` takes it.

    Raises UserError for a source that cannot be had or gives no image, and if the folder holds
    other images; Interrupted after Ctrl-C, when nothing is left.
    """
    importer = importer_of(name)
    settings = ImportSettings(
        name=name,
        limit=limits.images,
        max_mb=limits.megabytes,
        classes=list(limits.classes),
        size=limits.size,
    )
    if holds(folder, settings, overwrite=overwrite):
        info(f"{folder} holds this import already; --overwrite writes it again.")
        return
    try:
        with workplace_in(folder) as workplace:
            written = workplace.folder / "new"
            written.mkdir()
            source = importer.open(name, workplace)
            totals = write_images(source, limits, written)
            _require_images(name, totals)
            record = _record_of(settings, source.origin, totals, written)
            put_in_place(written, record, folder, workplace.folder)
    except KeyboardInterrupt as stop:
        raise Interrupted(f"The import was stopped: nothing was written to {folder}.") from stop
    _report(totals, folder)


def _require_images(name: str, totals: Totals) -> None:
    """Raise UserError if no image was written."""
    if totals.images:
        return
    if totals.stopped_by == "max_mb":
        raise UserError("--max_mb: the first image has more bytes; name more.")
    reasons = " ".join(describe_skipped(totals.skipped))
    raise UserError(f"{name} has no image that can be used. {reasons}".strip())


def _record_of(
    settings: ImportSettings, origin: str, totals: Totals, written: Path
) -> ImportRecord:
    return ImportRecord(
        origin=origin,
        settings=settings,
        finished=now(),
        images=totals.images,
        bytes=totals.bytes,
        splits=dict(sorted(totals.splits.items())),
        classes=dict(sorted(totals.classes.items())),
        skipped=dict(totals.skipped.most_common()),
        stopped_by=totals.stopped_by,
        folders=sorted(path.name for path in written.iterdir()),
    )


def _report(totals: Totals, folder: Path) -> None:
    for sentence in describe_skipped(totals.skipped):
        info(sentence)
    parts = [_counted(totals.images, "image")]
    if totals.classes:
        parts.append(f"of {_counted(len(totals.classes), 'class', 'es')}")
    option = {"limit": "--limit", "max_mb": "--max_mb"}.get(totals.stopped_by or "")
    ended = f"; {option} ended the import" if option else ""
    info(f"Imported {' '.join(parts)}, {totals.bytes / 10**6:,.1f} MB, into {folder}{ended}.")


def _counted(count: int, noun: str, plural: str = "s") -> str:
    return f"{count:,} {noun}{plural if count != 1 else ''}"
