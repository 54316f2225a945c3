"""Downloads of files whose SHA-256 is known: a file is there as a whole, or not at all."""

import hashlib
import http.client
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.console import info, progress
from benchmark.errors import first_line
from benchmark.files import locked, replacing

PIECE = 2**20
"""Bytes that are read at once."""
TIMEOUT = 60
"""Seconds without a byte after which a download has failed."""
PAGE = (b"<", b"\xef\xbb\xbf<")
"""The first bytes of a web page, with and without a mark of UTF-8."""


class DownloadFailed(Exception):
    """The reason why a file could not be downloaded, as a part of a sentence."""


def download(url: str, path: Path, sha256: str) -> None:
    """Download a file unless it exists; two processes download it once.

    Raises DownloadFailed, and leaves nothing, unless the file has the expected SHA-256; UserError
    if it cannot be written.
    """
    with locked(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        info(f"Downloading {url} to {path}")
        with replacing(path) as part, part.open("wb") as stream:
            digest = hashlib.sha256()
            for piece in _pieces(url):
                digest.update(piece)
                stream.write(piece)
            if digest.hexdigest() != sha256:
                raise DownloadFailed(
                    f"its SHA-256 is {digest.hexdigest()[:8]}… and not {sha256[:8]}…, so it is "
                    "another file than the published one"
                )


def _pieces(url: str) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces, with a progress bar."""
    with _network_errors():
        response = urllib.request.urlopen(url, timeout=TIMEOUT)  # every URL is in the code
    length = response.headers.get("Content-Length")
    total, received = int(length) if length else 0, 0
    with response, progress(None, total, "downloading", "bytes") as bar:
        while True:
            with _network_errors():
                piece = response.read(PIECE)
            if not received and piece.lstrip().startswith(PAGE):
                raise DownloadFailed("the answer was a web page and not the file")
            if not piece:
                break
            received += len(piece)
            bar.update(len(piece))
            yield piece
    if received < total:
        raise DownloadFailed(f"it ended after {received} of {total} bytes")


@contextmanager
def _network_errors() -> Iterator[None]:
    """Tell errors of the network from those of the disk, since both are OSErrors."""
    try:
        yield
    except http.client.IncompleteRead as error:
        read = len(error.partial)
        raise DownloadFailed(f"it broke off, {read} bytes into its last piece") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadFailed(first_line(error)) from error


def is_page(path: Path) -> bool:
    """Whether a file begins as a web page does."""
    with path.open("rb") as stream:
        return stream.read(64).lstrip().startswith(PAGE)
