"""Downloads: a file is there as a whole with its hash, or not at all, and the reason is named."""

from pathlib import Path
from threading import Thread

import pytest

from benchmark import downloads
from benchmark.downloads import DownloadFailed, download, is_page
from benchmark.errors import UserError
from benchmark.files import sha256_of_bytes
from tests.web_support import serving

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


def test_a_download_that_breaks_off_goes_on_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAUSES", (0.0, 0.0))
    path = tmp_path / "a.zip"
    with serving() as site:
        site.bodies["/b.zip"], site.etag = BODY, '"1"'
        site.moved["/a.zip"] = f"{site.address}/b.zip"
        site.breaks = [1_200_000, 400_000]
        download(f"{site.address}/a.zip", path, SHA256, len(BODY))
        assert site.ranges[1::2] == [None, "bytes=1200000-", "bytes=1600000-"]
    assert path.read_bytes() == BODY
    assert left_in(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("changed", [False, True])
def test_the_next_call_goes_on_unless_the_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    monkeypatch.setattr(downloads, "PAUSES", ())
    path = tmp_path / "a.zip"
    with serving() as site:
        site.bodies["/a.zip"], site.etag, site.breaks = BODY, '"1"', [1000]
        with pytest.raises(DownloadFailed, match="the next try goes on after 1,000 bytes"):
            download(f"{site.address}/a.zip", path)
        assert sorted(left_in(tmp_path)) == [".a.zip.part", ".a.zip.part.json"]
        if changed:
            site.bodies["/a.zip"], site.etag = BODY[::-1], '"2"'
        download(f"{site.address}/a.zip", path)
        assert site.ranges == [None, "bytes=1000-"]
        assert path.read_bytes() == site.bodies["/a.zip"]
    assert left_in(tmp_path) == ["a.zip"]


def test_a_part_that_is_longer_than_the_file_is_started_again(tmp_path: Path) -> None:
    with serving() as site:
        site.bodies["/a.zip"], site.etag = BODY, '"1"'
        url = f"{site.address}/a.zip"
        (tmp_path / ".a.zip.part").write_bytes(BODY + b"more")
        (tmp_path / ".a.zip.part.json").write_text(f'{{"url": "{url}", "validator": "\\"1\\""}}')
        download(url, tmp_path / "a.zip", SHA256)
    assert (tmp_path / "a.zip").read_bytes() == BODY


@pytest.mark.parametrize(("claimed", "reason"), [(100, "it has 100 bytes"), (10**7, "of 10000000")])
def test_a_wrong_length_is_found(tmp_path: Path, claimed: int, reason: str) -> None:
    with serving() as site:
        site.bodies["/a.zip"], site.wrong_length = BODY, claimed
        with pytest.raises(DownloadFailed, match=reason):
            download(f"{site.address}/a.zip", tmp_path / "a.zip", size=len(BODY))
    assert left_in(tmp_path) == []


def test_an_interrupted_download_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads, "_pieces", stop)
    with serving() as site:
        site.bodies["/a.zip"], site.etag = BODY, '"1"'
        with pytest.raises(KeyboardInterrupt):
            download(f"{site.address}/a.zip", tmp_path / "a.zip")
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
