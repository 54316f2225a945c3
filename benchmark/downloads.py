"""Downloads: a file is there as a whole, or not at all; one that breaks off is resumed."""

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.console import info, progress
from benchmark.errors import first_line
from benchmark.files import locked, replacing, sha256_of_file, write_error, write_json

PIECE = 2**20
"""Bytes that are read at once."""
TIMEOUT = 60
"""Seconds without a byte after which a connection has failed."""
PAUSES = (1.0, 5.0, 15.0)
"""Seconds before each further try of a download that broke off without a new piece."""
PAGE = (b"<", b"\xef\xbb\xbf<")
"""The first bytes of a web page, with and without a mark of UTF-8."""
AGENT = "ChromaBench"
"""The name by which servers are asked; some refuse that of Python's library."""
RANGE_NOT_SATISFIABLE = 416


class DownloadFailed(Exception):
    """The reason why a file could not be downloaded, as a part of a sentence."""


class _BrokeOff(DownloadFailed):
    """A connection that ended before the file did, so that the rest can be asked for."""


def download(url: str, path: Path, sha256: str | None = None, size: int | None = None) -> None:
    """Download a file unless it exists; two processes download it once.

    sha256, size (bytes): what the file must have, where they are known.

    A download that breaks off goes on where it ended, in this call or in the next one, if the
    server can tell that its file is still the same (ETag or Last-Modified) and serves ranges; what
    there is of it lies beside the file as `.NAME.part`. Ctrl-C removes it.

    Raises DownloadFailed, and leaves nothing under the name of the file, unless it has the expected
    hash and size; UserError if it cannot be written.
    """
    with locked(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        info(f"Downloading {url} to {path}")
        part = _Part(path, url)
        try:
            _fetch(url, part)
            _require_expected(part.path, sha256, size)
            with replacing(path) as whole:
                os.replace(part.path, whole)
        except OSError as error:
            raise write_error(part.path, error) from error
        except _BrokeOff as failure:
            if part.validator is None:
                raise
            received = part.received
            raise DownloadFailed(
                f"{failure}; the next try goes on after {received:,} bytes"
            ) from failure
        finally:
            part.remove_unless_resumable()


@dataclass
class _Part:
    """What there is of a file that is being downloaded, and what its server calls this version.

    target: the file. url: where it comes from. validator: its ETag or the time of its last change;
    None if a rest of it could be that of another version. resumable: whether the part is worth
    keeping.
    """

    target: Path
    url: str
    validator: str | None = None
    resumable: bool = False

    def __post_init__(self) -> None:
        with suppress(OSError, ValueError, AttributeError):
            known = json.loads(self._notes.read_text(encoding="utf-8"))
            if known.get("url") == self.url and self.path.is_file():
                self.validator = known.get("validator")

    @property
    def path(self) -> Path:
        """The file of the part."""
        return self.target.with_name(f".{self.target.name}.part")

    @property
    def _notes(self) -> Path:
        return self.target.with_name(f".{self.target.name}.part.json")

    @property
    def received(self) -> int:
        """The number of bytes that can be gone on from."""
        return self.path.stat().st_size if self.validator and self.path.is_file() else 0

    def begin(self, validator: str | None) -> None:
        """Start from nothing, with a version of the file."""
        self.validator = validator
        self.path.write_bytes(b"")
        write_json(self._notes, {"url": self.url, "validator": validator})

    def remove_unless_resumable(self) -> None:
        """Remove the part and its notes, unless the next download can go on from it."""
        with suppress(OSError):
            if not self.resumable:
                self.path.unlink(missing_ok=True)
            if not self.path.exists():
                self._notes.unlink(missing_ok=True)


def _fetch(url: str, part: _Part) -> None:
    """Receive a file, and go on as often as new pieces come."""
    tries = 0
    while True:
        before = part.received
        try:
            _receive(url, part)
            return
        except _BrokeOff as failure:
            tries = 0 if part.received >= before + PIECE else tries + 1
            if part.validator is None or tries > len(PAUSES):
                part.resumable = part.validator is not None
                raise
            info(f"The download of {url} stopped ({failure}): it goes on.")
            time.sleep(PAUSES[max(tries - 1, 0)])


def _receive(url: str, part: _Part) -> None:
    """Receive the rest of a file, or all of it if there is no part of the same version."""
    response = _open(url, part)
    start = _start_of(response) or 0
    if not start:
        part.begin(_validator_of(response))
    length = response.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else 0
    received = start
    with (
        response,
        part.path.open("ab") as stream,
        progress(None, total, "downloading", "bytes") as bar,
    ):
        bar.update(start)
        for piece in _pieces(response):
            if not received and piece.lstrip().startswith(PAGE):
                raise DownloadFailed("the answer was a web page and not the file")
            stream.write(piece)
            received += len(piece)
            bar.update(len(piece))
    if received < total:
        raise _BrokeOff(f"it ended after {received} of {total} bytes")


def _open(url: str, part: _Part) -> Any:
    """Ask for what is missing of a file. A server that has no such range is asked for all of it."""
    headers = {"User-Agent": AGENT}
    if part.received and part.validator:
        headers |= {"Range": f"bytes={part.received}-", "If-Range": part.validator}
    # The addresses are those of the code, or http and https ones that the user typed.
    request = urllib.request.Request(url, headers=headers)
    try:
        with _network_errors():
            response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except DownloadFailed as failure:
        if part.received and getattr(failure.__cause__, "code", 0) == RANGE_NOT_SATISFIABLE:
            part.validator = None
            return _open(url, part)
        raise
    if _start_of(response) in (None, part.received):
        return response
    response.close()  # another range than was asked for
    if not part.received:
        raise DownloadFailed("the answer was a part of the file")
    part.validator = None
    return _open(url, part)


def _start_of(response: Any) -> int | None:
    """Return the place of the first byte of an answer in its file, None for a whole file."""
    if response.status != http.client.PARTIAL_CONTENT:
        return None
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _validator_of(response: Any) -> str | None:
    """Return what tells whether a file is the same later; a weak ETag does not say that of bytes.

    The time of the last change does where there is no ETag (RFC 9110, 13.1.5).
    """
    etag: str | None = response.headers.get("ETag")
    if response.headers.get("Accept-Ranges", "").lower() == "none":
        return None
    if etag is not None:
        return None if etag.startswith("W/") else etag
    return response.headers.get("Last-Modified")


def _pieces(response: Any) -> Iterator[bytes]:
    """Yield the bytes of an answer in pieces."""
    while True:
        with _network_errors():
            piece = response.read(PIECE)
        if not piece:
            return
        yield piece


@contextmanager
def _network_errors() -> Iterator[None]:
    """Tell errors of the network from those of the disk, since both are OSErrors."""
    try:
        yield
    except http.client.IncompleteRead as error:
        read = len(error.partial)
        raise _BrokeOff(f"it broke off, {read} bytes into its last piece") from error
    except urllib.error.HTTPError as error:
        kind = _BrokeOff if error.code >= 500 else DownloadFailed  # the server may recover
        raise kind(first_line(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokeOff(first_line(error)) from error


def _require_expected(path: Path, sha256: str | None, size: int | None) -> None:
    """Raise DownloadFailed for a file that is not the published one, as far as that is known."""
    if sha256 is not None and (found := sha256_of_file(path)) != sha256:
        raise DownloadFailed(
            f"its SHA-256 is {found[:8]}… and not {sha256[:8]}…, so it is another file than the "
            "published one"
        )
    if size is not None and (bytes_of := path.stat().st_size) != size:
        raise DownloadFailed(f"it has {bytes_of:,} bytes and not {size:,}")


def is_page(path: Path) -> bool:
    """Whether a file begins as a web page does."""
    with path.open("rb") as stream:
        return stream.read(64).lstrip().startswith(PAGE)
