"""Writing the images of a source: class filter, limits, resizing, and what cannot be used."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image

from benchmark.console import info, progress, shorten
from benchmark.data.decoding.formats import LONGEST_SIGNATURE, suffix_for, suffixes
from benchmark.data.importing.contract import Item, Label, Source, Unusable, plain_name, safe_name
from benchmark.data.reading import UnusableImage, open_rgb
from benchmark.errors import UserError, did_you_mean
from benchmark.files import write_error

MEGABYTE = 10**6
WITHOUT_PLACE = "images"
"""The folder of images that have neither a split nor a class."""
LOSSY = {".jpg", ".webp", ".avif", ".jp2"}
"""What `suffix_for` calls files that lose detail in any case: they are resized to JPEG."""


@dataclass(frozen=True)
class Limits:
    """What of a source is imported, and how.

    images, megabytes (10⁶ bytes): the most that is written; None for all. classes: the names or
    codes of classes; empty for all. size: the short side of larger images in pixels; None leaves
    the files as they are.
    """

    images: int | None = None
    megabytes: float | None = None
    classes: tuple[str, ...] = ()
    size: int | None = None


@dataclass
class Totals:
    """What was written: images and their bytes, images of each split and class, and what was not.

    skipped: the number of images that cannot be used, by reason. stopped_by: the limit that ended
    the import, or None if the source ended first.
    """

    images: int = 0
    bytes: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    stopped_by: Literal["limit", "max_mb"] | None = None


def write_images(source: Source, limits: Limits, folder: Path) -> Totals:
    """Write the images of a source below a folder, as SPLIT/CLASS/NAME where these are known.

    UserError for a class that the source does not have, or if the disk is full.
    """
    items: Iterable[Item] = source.items
    classes, most = source.classes, limits.images
    if classes is None and isinstance(items, Sequence):
        classes = list(dict.fromkeys(item.label for item in items if item.label))
    wanted = _Wanted(limits.classes, classes)
    totals, names = Totals(), defaultdict[Path, Counter[str]](Counter)
    if isinstance(items, Sequence):
        items = in_proportion([item for item in items if wanted.takes(item.label)])
        most = min(len(items), most or len(items))
    with progress(None, most or 0, "importing") as bar:
        for item in items:
            if not wanted.takes(item.label):
                continue
            place = folder.joinpath(item.split or "", item.label.folder if item.label else "")
            place = place if place != folder else folder / WITHOUT_PLACE
            try:
                path = _write(item, place, names[place], limits.size)
            except (Unusable, UnusableImage) as error:
                totals.skipped[str(error)] += 1
                continue
            if not _count(item, path, totals, limits):
                break
            bar.update()
            if totals.images == limits.images:
                totals.stopped_by = "limit"
                break
        else:
            wanted.require_all_seen()
    for name in wanted.unseen():
        info(f"Warning: --classes {name}: no image of it came before the limit.")
    return totals


def in_proportion(items: Sequence[Item]) -> list[Item]:
    """Order items so that each beginning of the list has its share of each split and class."""
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.split or "", item.label.folder if item.label else ""].append(item)
    places = [
        ((rank + 0.5) / len(group), key, rank)
        for key, group in groups.items()
        for rank in range(len(group))
    ]
    return [groups[key][rank] for _, key, rank in sorted(places)]


def _count(item: Item, path: Path, totals: Totals, limits: Limits) -> bool:
    """Count a written image; one that is too much for the megabytes is removed, and False."""
    size = path.stat().st_size
    if limits.megabytes is not None and totals.bytes + size > limits.megabytes * MEGABYTE:
        path.unlink()
        totals.stopped_by = "max_mb"
        return False
    totals.images += 1
    totals.bytes += size
    if item.split:
        totals.splits[item.split] += 1
    if item.label:
        totals.classes[item.label.folder] += 1
    return True


def _write(item: Item, folder: Path, names: Counter[str], size: int | None) -> Path:
    """Write an image that can be used, and return its path; otherwise nothing is written.

    names: how often each stem was used in the folder. Raises Unusable or UnusableImage.
    """
    try:
        data = item.read()
    except OSError as error:
        raise Unusable(f"its file cannot be read ({error.strerror or error})") from error
    written = PurePosixPath(item.name)
    known = written.suffix.lower() in suffixes()
    suffix = written.suffix if known else suffix_for(data[:LONGEST_SIGNATURE]) or ".jpg"
    stem = safe_name(written.stem if known else written.name)
    number = names[stem.casefold()]
    names[stem.casefold()] += 1
    path = folder / f"{f'{stem}+{number}' if number else stem}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        image = open_rgb(path)
        if size is not None and min(image.size) > size:
            lossy = suffix_for(data[:LONGEST_SIGNATURE]) in LOSSY
            path.unlink()
            path = path.with_suffix(".jpg" if lossy else ".png")
            _save_reduced(image, size, path)
    except UnusableImage:
        path.unlink()
        raise
    except OSError as error:
        raise write_error(path, error) from error
    return path


def _save_reduced(image: Image.Image, size: int, path: Path) -> None:
    """Write an image whose short side is `size` pixels, with color at full resolution."""
    share = size / min(image.size)
    width, height = (max(size, round(side * share)) for side in image.size)
    reduced = image.resize((width, height), Image.Resampling.LANCZOS)
    if path.suffix == ".jpg":
        reduced.save(path, "JPEG", quality=95, subsampling=0)
    else:
        reduced.save(path, "PNG")


class _Wanted:
    """The classes that are imported, by the names that the user gave."""

    def __init__(self, names: Sequence[str], classes: Sequence[Label] | None) -> None:
        self.names = {plain_name(name): name for name in names}
        self.seen: dict[str, Label] = {}
        if classes is not None:
            self.seen = {label.folder: label for label in classes}
            self.require_all_seen()

    def takes(self, label: Label | None) -> bool:
        """Whether images of a class are imported; the class becomes a known one."""
        if label is not None:
            self.seen.setdefault(label.folder, label)
        return not self.names or (
            label is not None and not self.names.keys().isdisjoint(label.names)
        )

    def unseen(self) -> list[str]:
        """Return the names, as the user wrote them, that are those of no known class."""
        known = {name for label in self.seen.values() for name in label.names}
        return [written for name, written in self.names.items() if name not in known]

    def require_all_seen(self) -> None:
        """Raise UserError for a name that is that of no known class."""
        unknown = self.unseen()
        if not unknown:
            return
        if not self.seen:
            raise UserError(f"--classes {unknown[0]}: the images have no classes; leave it out.")
        readable = [name for label in self.seen.values() for name in (label.name, label.code)]
        near = did_you_mean(unknown[0], [name for name in readable if name])
        some = shorten([label.name for label in self.seen.values()])
        raise UserError(
            f"--classes {unknown[0]}: there is no such class{near or f'; the classes are {some}.'}"
        )


def describe_skipped(skipped: Counter[str]) -> Iterator[str]:
    """Yield a sentence about each of the most frequent reasons."""
    for reason, count in skipped.most_common(5):
        yield f"Not used: {count} ({reason})."
    if len(skipped) > 5:
        yield f"Not used for other reasons: {sum(skipped.values())} in all, in import.json."
