"""Tiny ImageNet from a local server, in the layout of the real archive."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmark.data.importers import tiny_imagenet
from benchmark.data.importing import archives, writing
from benchmark.data.importing.writing import Limits
from benchmark.errors import Interrupted, UserError
from tests.import_support import files_in, imported, jpeg, zip_of
from tests.web_support import Site, serving

WNIDS = {"n01": "goldfish, Carassius auratus", "n02": "European fire salamander", "n03": "bullfrog"}
FOLDERS = {"n01_goldfish", "n02_European_fire_salamander", "n03_bullfrog"}
NAME = "tiny-imagenet"


@pytest.fixture
def site(make_image: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server of an archive of 12 training, 6 validation and 2 test images."""
    root = tiny_imagenet.ROOT
    files = {
        f"{root}/wnids.txt": "\n".join(WNIDS).encode(),
        f"{root}/words.txt": b"".join(f"{k}\t{v}\n".encode() for k, v in WNIDS.items())
        + b"n99\tnothing\n",
    }
    table = ""
    for row, wnid in enumerate(WNIDS):
        files[f"{root}/train/{wnid}/{wnid}_boxes.txt"] = b"0 0 1 1"
        for index in range(4):
            data = jpeg(make_image(10 * row + index, 64, 64))
            files[f"{root}/train/{wnid}/images/{wnid}_{index}.JPEG"] = data
        for index in (2 * row, 2 * row + 1):
            table += f"val_{index}.JPEG\t{wnid}\t0\t0\t63\t63\n"
            files[f"{root}/val/images/val_{index}.JPEG"] = jpeg(make_image(100 + index, 64, 64))
    files[f"{root}/val/val_annotations.txt"] = table.encode()
    for index in range(2):
        files[f"{root}/test/images/test_{index}.JPEG"] = jpeg(make_image(200 + index, 64, 64))
    with serving() as site:
        site.bodies["/tiny-imagenet-200.zip"] = zip_of(files)
        monkeypatch.setattr(tiny_imagenet, "URL", f"{site.address}/tiny-imagenet-200.zip")
        monkeypatch.setattr(tiny_imagenet, "SHA256", None)
        yield site


def test_all_images_get_the_folders_of_their_splits_and_classes(
    tmp_path: Path, site: Site, make_image: Callable[..., Image.Image]
) -> None:
    folder = tmp_path / "d"
    record = imported(NAME, folder)
    assert record["images"] == 20
    assert record["splits"] == {"train": 12, "val": 6, "test": 2}
    assert record["classes"] == dict.fromkeys(sorted(FOLDERS), 6)
    assert record["stopped_by"] is None
    assert record["skipped"] == {}
    files = files_in(folder)
    assert len(files) == 20
    assert record["bytes"] == sum((folder / file).stat().st_size for file in files)
    # The very bytes of the archive, and a class of the validation's table.
    assert (folder / "train/n02_European_fire_salamander/n02_3.JPEG").read_bytes() == jpeg(
        make_image(13, 64, 64)
    )
    assert "val/n03_bullfrog/val_5.JPEG" in files
    assert "test/test_1.JPEG" in files
    assert imported(NAME, folder) == record  # it is there already
    assert len(site.asked) == 1


@pytest.mark.parametrize("limit", [1, 10, 20])
def test_the_limit_of_images_is_exact_and_shared_out(
    tmp_path: Path, site: Site, limit: int
) -> None:
    record = imported(NAME, tmp_path / "d", Limits(images=limit))
    assert record["images"] == len(files_in(tmp_path / "d")) == limit
    assert record["stopped_by"] == "limit"
    if limit == 10:
        assert record["splits"] == {"train": 6, "val": 3, "test": 1}
        assert set(record["classes"]) == FOLDERS


def test_the_limit_of_megabytes_is_that_of_written_bytes(tmp_path: Path, site: Site) -> None:
    most = 5 * len(jpeg(Image.new("RGB", (64, 64)))) / 10**6
    record = imported(NAME, tmp_path / "d", Limits(megabytes=most))
    assert 0 < record["bytes"] <= most * 10**6
    sizes = [(tmp_path / "d" / file).stat().st_size for file in files_in(tmp_path / "d")]
    assert (record["images"], record["bytes"]) == (len(sizes), sum(sizes))
    assert record["stopped_by"] == "max_mb"
    with pytest.raises(UserError, match="the first image has more bytes"):
        imported(NAME, tmp_path / "e", Limits(megabytes=1e-6))
    assert not (tmp_path / "e").exists()


def test_classes_are_named_by_their_code_or_their_name(tmp_path: Path, site: Site) -> None:
    chosen = Limits(classes=("n01", "european fire-salamander"))
    record = imported(NAME, tmp_path / "d", chosen)
    assert set(record["classes"]) == {"n01_goldfish", "n02_European_fire_salamander"}
    assert record["images"] == 12
    with pytest.raises(UserError, match="'bullfrog'") as caught:
        imported(NAME, tmp_path / "e", Limits(classes=("bulfrog",)))
    assert str(caught.value).startswith("--classes bulfrog: there is no such class")
    assert not (tmp_path / "e").exists()


def test_after_ctrl_c_nothing_is_left(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "d"
    written = []
    real = writing.open_rgb

    def interrupted(path: Path) -> Image.Image:
        written.append(path)
        if len(written) == 3:
            signal.raise_signal(signal.SIGINT)
        return real(path)

    monkeypatch.setattr(writing, "open_rgb", interrupted)
    with pytest.raises(Interrupted, match="nothing was written"):
        imported(NAME, folder)
    assert not folder.exists()
    assert not list(tmp_path.iterdir())


def test_a_download_that_broke_off_is_gone_on_with(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark import downloads

    monkeypatch.setattr(downloads, "PAUSES", ())
    site.etag, site.breaks = '"1"', [5000]
    with pytest.raises(UserError, match="goes on after 5,000 bytes"):
        imported(NAME, tmp_path / "d")
    assert [Path(file).name for file in files_in(tmp_path / "d")] == [
        ".tiny-imagenet-200.zip.part",
        ".tiny-imagenet-200.zip.part.json",
    ]
    assert imported(NAME, tmp_path / "d")["images"] == 20
    assert site.ranges == [None, "bytes=5000-"]
    assert len(files_in(tmp_path / "d")) == 20


def test_another_archive_or_a_page_is_refused(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for body, reason in (
        (zip_of({"a/b.txt": b""}), "is not Tiny ImageNet: .*wnids.txt is missing"),
        (b"<html>Sign in</html>", "a web page and not the file"),
        (b"PK no archive", "tiny-imagenet-200.zip is damaged"),
    ):
        site.bodies["/tiny-imagenet-200.zip"] = body
        with pytest.raises(UserError, match=reason):
            imported(NAME, tmp_path / "d")
        assert not (tmp_path / "d").exists()
    monkeypatch.setattr(tiny_imagenet, "SHA256", "0" * 64)
    with pytest.raises(UserError, match="another file than the published one"):
        imported(NAME, tmp_path / "d")
    assert archives.is_address(tiny_imagenet.URL)
