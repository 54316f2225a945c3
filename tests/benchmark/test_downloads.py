"""Downloads: a file is there as a whole with its hash, or not at all, and the reason is named."""

from pathlib import Path
from threading import Thread

import pytest

from benchmark.downloads import DownloadFailed, download, is_page
from benchmark.errors import UserError
from benchmark.files import sha256_of_bytes
from tests.outsider_support import serving

BODY = bytes(range(256)) * 8000
SHA256 = sha256_of_bytes(BODY)


def left_in(folder: Path) -> list[str]:
    """Return the files of a folder except locks."""
    return [path.name for path in folder.iterdir() if not path.name.endswith(".lock")]


def test_a_file_is_downloaded_once(tmp_path: Path) -> None:
    path = tmp_path / "hub" / "a.pth"
    with serving() as site:
        site.bodies["/a.pth"] = BODY
        threads = [
            Thread(target=download, args=(f"{site.address}/a.pth", path, SHA256)) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert site.asked == ["/a.pth"]
    assert path.read_bytes() == BODY
    assert left_in(path.parent) == ["a.pth"]


@pytest.mark.parametrize(
    ("body", "cut", "reason"),
    [
        (b"<!DOCTYPE html><html>Sign in</html>", 0, "a web page and not the file"),
        (b"\n <html>", 0, "a web page"),
        (BODY, 100_000, r"it (broke off|ended after)"),
        (BODY[:-1] + b"x", 0, "its SHA-256 is .* another file than the published one"),
        (b"", 0, "its SHA-256 is"),
        (None, 0, "HTTP Error 404"),
    ],
)
def test_what_is_not_the_file_leaves_nothing(
    tmp_path: Path, body: bytes | None, cut: int, reason: str
) -> None:
    with serving() as site:
        site.cut = cut
        if body is not None:
            site.bodies["/a.pth"] = body
        with pytest.raises(DownloadFailed, match=reason) as caught:
            download(f"{site.address}/a.pth", tmp_path / "a.pth", SHA256)
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path) == []


def test_no_server_and_no_room_are_told_apart(tmp_path: Path) -> None:
    with serving() as site:
        address = site.address
        site.bodies["/a.pth"] = BODY
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match="is not a folder"):
            download(f"{address}/a.pth", tmp_path / "file" / "a.pth", SHA256)
    with pytest.raises(DownloadFailed, match="refused"):
        download(f"{address}/a.pth", tmp_path / "a.pth", SHA256)


def test_a_page_is_recognized(tmp_path: Path) -> None:
    for content, page in ((b"\xef\xbb\xbf<html>", True), (b"PK\x03\x04<", False), (b"", False)):
        (tmp_path / "a").write_bytes(content)
        assert is_page(tmp_path / "a") == page
