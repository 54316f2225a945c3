"""Any zip or tar archive, a path or an address, and the shards of a WebDataset."""

import re
from collections.abc import Iterator

from benchmark.data.importing.archives import fetch, tar_items, zip_items
from benchmark.data.importing.contract import Importer, Item, Source, Workplace

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
PREFIXES = ("zip:", "tar:")
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
ZIP_MAGIC = b"PK"


def is_archive(name: str) -> bool:
    """Whether a name is that of an archive, by its prefix or by its suffix."""
    path = name.partition("?")[0].partition("#")[0]
    return name.startswith(PREFIXES) or path.lower().endswith(SUFFIXES)


def open_archive(name: str, workplace: Workplace) -> Source:
    """Return the images of an archive, or of several with a range such as `{000..003}`.

    Shards are read, and downloaded, one after another, so that a limit gets no more than it needs.
    """
    addresses = expand(name[4:] if name.startswith(PREFIXES) else name)
    first = fetch(addresses[0], workplace)
    with first.open("rb") as stream:
        packed = stream.read(2) == ZIP_MAGIC
    if packed and len(addresses) == 1:
        return Source(zip_items(first, workplace), name)

    def items() -> Iterator[Item]:
        for address in addresses:
            path = fetch(address, workplace)
            yield from zip_items(path, workplace) if packed else tar_items(path)
            if workplace.downloads in path.parents:  # it makes room for the next one
                path.unlink()

    return Source(items(), name)


def expand(name: str) -> list[str]:
    """Return the names that a range means: `a-{08..10}.tar` → a-08.tar, a-09.tar, a-10.tar."""
    found = RANGE.search(name)
    if found is None:
        return [name]
    first, last = found.groups()
    numbers = range(int(first), int(last) + 1)
    before, after = name[: found.start()], name[found.end() :]
    return [
        name for number in numbers for name in expand(f"{before}{number:0{len(first)}d}{after}")
    ] or [name]


IMPORTER = Importer(
    open=open_archive,
    forms={"zip:ADDRESS": "", "tar:ADDRESS": ""},
    takes=is_archive,
)
