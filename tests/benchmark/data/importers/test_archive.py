"""Zip and tar archives, also hostile ones: only images are written, and only below the folder."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmark.data.importers.archive import expand, is_archive, open_archive
from benchmark.data.importing import archives
from benchmark.data.importing.writing import Limits
from benchmark.errors import UserError
from tests.import_support import files_in, imported, jpeg, tar_of, workplace, zip_of
from tests.web_support import serving

MakeImage = Callable[..., Image.Image]


def photos(make_image: MakeImage, count: int) -> list[bytes]:
    return [jpeg(make_image(seed, 40, 32)) for seed in range(count)]


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz"])
def test_an_archive_gives_its_files_with_their_splits_and_classes(
    tmp_path: Path, make_image: MakeImage, suffix: str
) -> None:
    one, two, three = photos(make_image, 3)
    files = {
        "set/train/red cat/images/1.jpg": one,
        "set/train/dog/1.jpg": two,
        "set/val/dog/1.jpg": three,
        "set/readme.txt": b"no image",
        "__MACOSX/set/._1.jpg": b"no image",
    }
    data = zip_of(files) if suffix == ".zip" else tar_of(files, "w" if suffix == ".tar" else "w:gz")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    record = imported(str(path), tmp_path / "d")
    assert files_in(tmp_path / "d") == [
        "train/dog/1.jpg",
        "train/red_cat/1.jpg",
        "val/dog/1.jpg",
    ]
    assert (tmp_path / "d/train/red_cat/1.jpg").read_bytes() == one
    assert record["classes"] == {"dog": 2, "red_cat": 1}
    assert path.exists()  # it is the user's own


HOSTILE = ("../out.jpg", "/tmp/out.jpg", "a/../../out.jpg", "..\\out.jpg", "C:\\out.jpg")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_member_is_written_outside(tmp_path: Path, make_image: MakeImage, kind: str) -> None:
    good, bad = photos(make_image, 2)
    files = {"good.jpg": good, **dict.fromkeys(HOSTILE, bad)}
    path = tmp_path / "in" / f"a.{kind}"
    path.parent.mkdir()
    path.write_bytes(zip_of(files) if kind == "zip" else tar_of(files))
    record = imported(str(path), tmp_path / "in/d")
    assert files_in(tmp_path) == ["in/" + path.name, "in/d/images/good.jpg", "in/d/import.json"]
    assert record["skipped"] == {"its path leads out of its archive": len(HOSTILE)}


def test_links_and_devices_are_not_followed(tmp_path: Path, make_image: MakeImage) -> None:
    (good,) = photos(make_image, 1)
    special = {}
    kinds = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dev": tarfile.CHRTYPE}
    for name, kind in {**kinds, "pipe": tarfile.FIFOTYPE}.items():
        member = tarfile.TarInfo(f"{name}.jpg")
        member.type, member.linkname = kind, "/etc/passwd"
        special[f"{name}.jpg"] = member
    (tmp_path / "a.tar").write_bytes(tar_of({"good.jpg": good, **special}))
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.jpg", good)
    for name, count in (("a.tar", 4), ("a.zip", 1)):
        record = imported(str(tmp_path / name), tmp_path / f"{name}.d")
        assert files_in(tmp_path / f"{name}.d") == ["images/good.jpg"]
        reason = "a link, a device or another special file in its archive"
        assert record["skipped"] == {reason: count}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_ends_the_import(
    tmp_path: Path, make_image: MakeImage, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "SMALL", 10**6)
    files = {"good.jpg": photos(make_image, 1)[0]} | {f"{i}.bmp": bytes(10**6) for i in range(4)}
    path = tmp_path / f"a.{kind}"
    path.write_bytes(zip_of(files) if kind == "zip" else tar_of(files, "w:gz"))
    with pytest.raises(UserError, match="decompresses to more than 200 times its size"):
        imported(str(path), tmp_path / "d")
    assert not (tmp_path / "d").exists()
    monkeypatch.setattr(archives, "SMALL", 10**8)
    monkeypatch.setattr(archives, "MOST_OF_MEMBER", 10**5)
    record = imported(str(path), tmp_path / "d")
    assert (record["images"], list(record["skipped"].values())) == (1, [4])


def test_what_cannot_be_used_is_counted_with_its_reason(
    tmp_path: Path, make_image: MakeImage
) -> None:
    (good,) = photos(make_image, 1)
    tiny = jpeg(make_image(0, 8, 8))
    files = {"a.jpg": good, "b.jpg": good[:300], "c.png": b"text", "d.psd": b"", "e.jpg": tiny}
    (tmp_path / "a.zip").write_bytes(zip_of(files))
    record = imported(str(tmp_path / "a.zip"), tmp_path / "d")
    assert files_in(tmp_path / "d") == ["images/a.jpg"]
    assert len(record["skipped"]) == 4
    assert record["skipped"]["not an image"] == 1
    assert record["skipped"]["8×8, smaller than 16 pixels"] == 1
    damaged = bytearray(zip_of({"a.jpg": good}))
    damaged[60] ^= 255  # within the content of its member
    (tmp_path / "b.zip").write_bytes(damaged)
    with pytest.raises(UserError, match=r"has no image that can be used\. Not used: 1 \(damaged"):
        imported(str(tmp_path / "b.zip"), tmp_path / "e")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.zip", b"PK\x03\x04 cut", "a.zip is damaged"),
        ("a.tar", b"<html>", "a.tar is a web page and not an archive"),
        ("a.tgz", b"\x1f\x8b cut", "a.tgz is damaged"),
        ("a.tar", b"text", "a.tar is damaged, or no zip or tar archive"),
        ("a.tar", b"", "a.tar is damaged"),
        ("none.zip", None, "There is no archive"),
        ("http://", None, "There is no archive|cannot be downloaded"),
    ],
)
def test_a_broken_archive_is_one_sentence(
    tmp_path: Path, name: str, data: bytes | None, reason: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    named = f"zip:{name}" if name == "http://" else str(tmp_path / name)
    with pytest.raises(UserError, match=reason):
        imported(named, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_cut_tar_gives_no_half_import(tmp_path: Path, make_image: MakeImage) -> None:
    data = tar_of({f"{i}.jpg": photo for i, photo in enumerate(photos(make_image, 5))})
    (tmp_path / "a.tar").write_bytes(data[: len(data) // 3 + 100])
    with pytest.raises(UserError, match=r"a\.tar is damaged"):
        imported(str(tmp_path / "a.tar"), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_shards_of_a_webdataset_are_read_until_the_limit(
    tmp_path: Path, make_image: MakeImage, capfd: pytest.CaptureFixture[str]
) -> None:
    assert expand("a-{08..10}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar"]
    with serving() as site:
        for shard in range(4):
            one, two, three = photos(make_image, 3)
            site.bodies[f"/shards-{shard:03d}.tar"] = tar_of(
                {
                    f"s{shard}/0.jpg": one,
                    f"s{shard}/0.cls": b"cat\n",
                    f"s{shard}/1.json": b'{"label": "dog", "caption": "a dog"}',
                    f"s{shard}/1.jpg": two,
                    f"s{shard}/2.txt": b"a caption is no class",
                    f"s{shard}/2.left.jpg": three,
                }
            )
        name = f"{site.address}/shards-{{000..003}}.tar"
        record = imported(name, tmp_path / "d", Limits(images=5))
        assert record["classes"] == {"cat": 2, "dog": 2, "s0": 1}
        assert site.asked == ["/shards-000.tar", "/shards-001.tar"]
        assert len(files_in(tmp_path / "d")) == 5
        chosen = imported(name, tmp_path / "e", Limits(classes=("dog",)))
        assert chosen["classes"] == {"dog": 4}
        capfd.readouterr()
        imported(name, tmp_path / "g", Limits(images=1, classes=("cat", "dgo")))
        assert "--classes dgo: no image of it came before the limit" in capfd.readouterr().err
        with pytest.raises(UserError, match=r"--classes dgo: .*'dog'"):
            imported(name, tmp_path / "f", Limits(classes=("dgo",)))


def test_a_downloaded_shard_makes_room_for_the_next(tmp_path: Path, make_image: MakeImage) -> None:
    with serving() as site, workplace(tmp_path) as place:
        for shard in range(3):
            site.bodies[f"/{shard}.tar"] = tar_of({"a.jpg": photos(make_image, 1)[0]})
        for _ in open_archive(f"{site.address}/{{0..2}}.tar", place).items:
            assert len(list(place.downloads.rglob("*.tar"))) == 1


def test_which_names_are_archives() -> None:
    for name in ("a.zip", "b/a.TGZ", "https://x.org/a.tar.gz?download=1", "zip:x", "tar:y"):
        assert is_archive(name)
    for name in ("a", "hf:a/b", "a.zip.txt"):
        assert not is_archive(name)


def test_an_encrypted_member_is_counted(tmp_path: Path, make_image: MakeImage) -> None:
    data = bytearray(zip_of({"a.jpg": photos(make_image, 1)[0], "b.jpg": b""}))
    for offset in (data.find(b"PK\x01\x02"), 0):  # the flag in both headers of a.jpg
        data[offset + (8 if offset else 6)] |= 1
    (tmp_path / "a.zip").write_bytes(io.BytesIO(data).getvalue())
    with pytest.raises(UserError, match="encrypted in its archive"):
        imported(str(tmp_path / "a.zip"), tmp_path / "d")
