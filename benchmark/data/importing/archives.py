"""Reading of zip and tar archives, also hostile ones: nothing is unpacked, members are read.

The place of a written image is never a path of its archive, so no member can be written elsewhere.
What an archive decompresses to is bounded, whatever it says of itself.
"""

import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from benchmark.data.decoding.formats import remedy_for, suffixes
from benchmark.data.importing.contract import (
    Item,
    Label,
    Unusable,
    Workplace,
    place_of,
    safe_name,
    without_common_place,
)
from benchmark.downloads import DownloadFailed, download, is_page
from benchmark.errors import UserError, first_line
from benchmark.files import sha256_of_bytes

MOST_OF_MEMBER = 256 * 10**6
"""Bytes of a member that are read; no photo is as large."""
MOST_OF_ARCHIVE = 200 * 10**9
"""Bytes that an archive may decompress to."""
MOST_RATIO = 200
"""How many times its own size an archive may decompress to; photos hardly compress."""
SMALL = 100 * 10**6
"""Bytes that every archive may decompress to, whatever its own size."""
GZIP_MAGIC = b"\x1f\x8b"
LABELS_OF_JSON = ("class_name", "label_name", "class", "label", "cls")
"""The keys of a WebDataset sample's JSON that name its class, the most readable first."""

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)


class _Budget:
    """Counts what an archive decompresses to. UserError beyond what is stated above."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spent = 0
        self.most = min(MOST_OF_ARCHIVE, max(SMALL, MOST_RATIO * path.stat().st_size))

    def spend(self, count: int) -> None:
        """Count bytes."""
        self.spent += count
        if self.spent > self.most:
            raise UserError(
                f"{self.path.name} decompresses to more than {MOST_RATIO} times its size, or more "
                f"than {MOST_OF_ARCHIVE // 10**9} GB, and may be made to fill the disk: unpack it "
                "with another program and import its folder."
            )


class _Counted(io.RawIOBase):
    """A stream whose bytes count in a budget."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self._stream, self._budget = stream, budget

    def readable(self) -> bool:
        """Whether the stream can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, and count."""
        data = self._stream.read(len(buffer))
        self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)


# ---- getting and opening -------------------------------------------------------------------------


def fetch(address: str, workplace: Workplace, **expected: Any) -> Path:
    """Return the file of an archive, which is downloaded if it is an http or https address.

    expected: `sha256` and `size`, where they are known. UserError if it cannot be had.
    """
    if not is_address(address):
        path = Path(address)
        if not path.is_file():
            raise UserError(f"There is no archive {address}: check the path.")
        return path
    name = safe_name(PurePosixPath(address.partition("?")[0].partition("#")[0]).name)
    # Two addresses may end in the same name, and what one left must not be taken for the other.
    path = workplace.downloads / sha256_of_bytes(address.encode())[:12] / name
    try:
        download(address, path, **expected)
    except (DownloadFailed, ValueError) as failure:  # ValueError: it is no address at all
        raise UserError(
            f"{address} cannot be downloaded ({failure}): check the address and the connection, "
            "and try again."
        ) from failure
    workplace.cleanup.callback(path.unlink, missing_ok=True)
    return path


def is_address(name: str) -> bool:
    """Whether a name is an http or https address."""
    return name.lower().startswith(("http://", "https://"))


def _unreadable(path: Path, error: Exception | None = None) -> UserError:
    if is_page(path):
        return UserError(f"{path.name} is a web page and not an archive: get the archive itself.")
    why = f" ({first_line(error)})" if error else ""
    return UserError(f"{path.name} is damaged, or no zip or tar archive{why}: get it again.")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn errors of a damaged archive into one sentence."""
    try:
        yield
    except DAMAGE as error:
        raise _unreadable(path, error) from error


def open_zip(path: Path, workplace: Workplace) -> tuple[zipfile.ZipFile, _Budget]:
    """Open a zip archive until the import ends. UserError if it is none."""
    with _readable(path):
        archive = workplace.cleanup.enter_context(zipfile.ZipFile(path))
    return archive, _Budget(path)


# ---- zip -----------------------------------------------------------------------------------------


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: _Budget) -> bytes:
    """Return the content of a member. Unusable if it is damaged, encrypted or far too large."""
    try:
        with archive.open(member) as stream:
            data = stream.read(MOST_OF_MEMBER + 1)  # the size in its header may be a lie
    except RuntimeError as error:
        raise Unusable("encrypted in its archive") from error
    except (*DAMAGE, NotImplementedError) as error:
        raise Unusable("damaged in its archive, or packed by an unknown method") from error
    budget.spend(len(data))
    if len(data) > MOST_OF_MEMBER:
        raise Unusable(f"larger than {MOST_OF_MEMBER // 10**6} MB")
    return data


def _path_of(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))  # some programs of Windows write these


def is_unsafe(name: str) -> bool:
    """Whether a member's path leads out of the folder of its archive."""
    path = _path_of(name)
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"


def zip_items(path: Path, workplace: Workplace) -> list[Item]:
    """List the images of a zip archive, each with the split and class that its folders name."""
    archive, budget = open_zip(path, workplace)
    members = [member for member in archive.infolist() if not member.is_dir()]
    return without_common_place(
        [
            _member_item(
                member.filename,
                partial(read_member, archive, member, budget),
                is_link=(member.external_attr >> 16) & 0o170000 == 0o120000,
            )
            for member in members
            if _is_candidate(member.filename)
        ]
    )


def _is_candidate(name: str) -> bool:
    """Whether a member is an image, or one that its user could make an image of."""
    path = _path_of(name)
    hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts)
    suffix = path.suffix.lower()
    return not hidden and (suffix in suffixes() or bool(remedy_for(suffix)))


def _member_item(name: str, read: Callable[[], bytes], *, is_link: bool) -> Item:
    """Return the item of a member; one that is not to be read says so when it is."""
    path = _path_of(name)
    reason = ""
    if is_link:
        reason = "a link, a device or another special file in its archive"
    elif is_unsafe(name):
        reason = "its path leads out of its archive"
    elif path.suffix.lower() not in suffixes():
        reason = f"{path.suffix}: {remedy_for(path.suffix)}"
    split, label = (None, None) if is_unsafe(name) else place_of(path)
    return Item(path.name, refusing(reason) if reason else read, split, label)


def refusing(reason: str) -> Callable[[], bytes]:
    def read() -> bytes:
        raise Unusable(reason)

    return read


# ---- tar, and shards of a WebDataset -------------------------------------------------------------


def tar_items(path: Path) -> Iterator[Item]:
    """Yield the images of a tar archive, also a compressed one, in their order.

    The members of a WebDataset sample have names that agree up to their first dot: its class is
    that of its .cls file, or what its .json file names; otherwise it is that of the folders. Its
    .txt file is a caption and names no class. UserError if the archive is damaged.
    """
    budget = _Budget(path)
    sample: list[Item] = []
    texts: dict[str, bytes] = {}
    held, key = 0, ""
    with _readable(path), _open_tar(path, budget) as archive:
        for member in archive:
            if not (_is_candidate(member.name) or _is_annotation(member.name)) or member.isdir():
                continue
            if _key_of(member.name) != key or held > MOST_OF_MEMBER:
                yield from _labeled(sample, texts)
                sample, texts, held, key = [], {}, 0, _key_of(member.name)
            data = _read_tar_member(archive, member)
            held += len(data or b"")
            if _is_annotation(member.name):
                texts[PurePosixPath(member.name).suffix] = data or b""
            else:
                sample.append(_tar_item(member, data))
        yield from _labeled(sample, texts)
    if budget.spent % tarfile.BLOCKSIZE:  # the library takes a cut header for the end
        raise _unreadable(path)


@contextmanager
def _open_tar(path: Path, budget: _Budget) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file) if packed else file
        counted = io.BufferedReader(_Counted(stream, budget), 2**20)
        with tarfile.open(fileobj=counted, mode="r|") as archive:
            yield archive


def _key_of(name: str) -> str:
    folder, _, base = name.rpartition("/")
    return f"{folder}/{base.partition('.')[0]}"


def _is_annotation(name: str) -> bool:
    return name.endswith((".cls", ".json"))


def _read_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    """Return the content of an ordinary member, which is None if it is far too large."""
    if not _is_ordinary(member) or member.size > MOST_OF_MEMBER:
        return None
    stream = archive.extractfile(member)
    return stream.read() if stream is not None else None


def _is_ordinary(member: tarfile.TarInfo) -> bool:
    # The holes of a sparse file are read as zeros that no budget counts.
    return member.isreg() and not member.issparse()


def _tar_item(member: tarfile.TarInfo, data: bytes | None) -> Item:
    if _is_ordinary(member) and data is None:
        return Item(member.name, refusing(f"larger than {MOST_OF_MEMBER // 10**6} MB"))
    return _member_item(member.name, lambda: data or b"", is_link=not _is_ordinary(member))


def _labeled(sample: list[Item], texts: dict[str, bytes]) -> Iterator[Item]:
    """Yield the images of a sample with the class that its annotations name."""
    label = _label_of(texts)
    for item in sample:
        yield Item(item.name, item.read, item.split, label or item.label)


def _label_of(texts: dict[str, bytes]) -> Label | None:
    name: Any = texts.get(".cls", b"").decode("utf-8", "replace").strip()
    if not name and ".json" in texts:
        try:
            values = json.loads(texts[".json"])
        except (ValueError, RecursionError):
            values = {}
        known = values if isinstance(values, dict) else {}
        named = (known.get(key) for key in LABELS_OF_JSON)
        name = next((value for value in named if isinstance(value, int | str)), "")
    return Label(str(name)) if str(name) else None
