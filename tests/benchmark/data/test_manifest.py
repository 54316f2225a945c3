"""A manifest has every image file of a folder, with the hash of its content."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data import manifest
from benchmark.data.manifest import Digests, ImageFile, digest_of, scan
from benchmark.errors import UserError
from benchmark.files import sha256_of_bytes


def image(content: int, name: str | None = None) -> ImageFile:
    name = name or f"{content}.jpg"
    return ImageFile(name, Path("/dataset") / name, sha256_of_bytes(str(content).encode()))


def test_the_digest_of_a_set_depends_on_contents_and_not_on_names_or_order() -> None:
    images = [image(n) for n in range(10)]
    renamed = [image(n, f"b/{n}.png") for n in reversed(range(10))]
    assert digest_of(images) == digest_of(renamed)
    assert digest_of(images) != digest_of(images[1:])
    assert digest_of(images) != digest_of([*images, images[0]])
    assert digest_of(images) != digest_of([*images[1:], image(99)])


PARTS = st.sampled_from(["a", "B b", "é", "…", "#1", "train", "x.y", "-n", "%20", "0"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(st.dictionaries(NAMES, st.binary(max_size=4), max_size=8), st.sampled_from([".png", ".JPG"]))
def test_every_file_of_any_folder_is_listed_once_with_its_digest(
    contents: dict[str, bytes], suffix: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        folder.mkdir()
        written = {}
        for stem, content in contents.items():
            path = folder / f"{stem}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written[path.relative_to(folder).as_posix()] = sha256_of_bytes(content)
        store = Digests(Path(name) / "digests.json")
        for digests in (store, store, Digests(None)):  # hashed, known, and hashed again
            found = scan(folder, digests)
            assert {file.name: file.digest for file in found.files} == written
            assert len(found.files) == len(written)
            assert found.passed_over == {}
        expected = [ImageFile(n, folder / n, digest) for n, digest in written.items()]
        assert digest_of(found.files) == digest_of(expected)


def test_a_folder_is_listed_by_name_with_the_digests_of_its_files(
    tmp_path: Path, images_folder: Path
) -> None:
    (images_folder / "notes.txt").write_text("not an image")
    deep = images_folder / "a" / "b"
    deep.mkdir(parents=True)
    shutil.copy(images_folder / "image_000.png", deep / "again.PNG")
    manifest = scan(images_folder, Digests(tmp_path / "digests.json"))
    assert [*manifest.passed_over] == ["notes.txt"]
    found = manifest.files
    assert [file.name for file in found] == sorted(file.name for file in found)
    assert found[0].name == "a/b/again.PNG"
    assert len(found) == 25
    for file in found:
        assert file.digest == sha256_of_bytes(file.path.read_bytes())
    assert found[0].digest == next(file.digest for file in found if file.name == "image_000.png")


def test_a_missing_folder_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        scan(tmp_path / "missing", Digests(tmp_path / "digests.json"))


def test_files_are_hashed_once_and_again_after_a_change(
    tmp_path: Path, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return sha256_of_bytes(path.read_bytes())

    monkeypatch.setattr(manifest, "sha256_of_file", counted)

    def listed() -> tuple[list[ImageFile], int]:
        read.clear()
        digests = Digests(tmp_path / "cache" / "digests.json")
        found = scan(images_folder, digests).files
        digests.save()
        return found, len(read)

    first, n = listed()
    assert n == 24
    assert listed() == (first, 0)
    changed = images_folder / "image_003.png"
    changed.write_bytes(changed.read_bytes() + b"\0")
    os.utime(changed, ns=(1, 1))
    second, n = listed()
    assert n == 1
    assert [a == b for a, b in zip(first, second, strict=True)].count(False) == 1


def test_a_file_without_permission_does_not_stop_the_others(
    tmp_path: Path, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:  # simulated, since root may read everything
        if path.name == "image_003.png":
            raise PermissionError(13, "Permission denied")
        return sha256_of_bytes(path.read_bytes())

    monkeypatch.setattr(manifest, "sha256_of_file", refuse)
    digests = Digests(tmp_path / "digests.json")
    found = scan(images_folder, digests).files
    assert len(found) == len({file.digest for file in found}) == 24
    # Decoding reports the file. Once it is readable, it has its real digest.
    monkeypatch.undo()
    again = scan(images_folder, digests).files
    assert [a == b for a, b in zip(found, again, strict=True)].count(False) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"a": 1}', b'{"a": [1, 2, 3]}', b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "cut", "list", "null", "number", "types", "binary", "deep"],
)
def test_a_damaged_store_of_digests_is_made_again(
    tmp_path: Path, images_folder: Path, content: bytes
) -> None:
    store = tmp_path / "digests.json"
    expected = scan(images_folder, Digests(store))
    store.write_bytes(content)
    digests = Digests(store)
    assert scan(images_folder, digests) == expected
    digests.save()
    assert Digests(store).known == digests.known


def test_a_changed_digit_in_the_store_of_digests_changes_no_digest(
    tmp_path: Path, images_folder: Path
) -> None:
    store = tmp_path / "digests.json"
    digests = Digests(store)
    expected = scan(images_folder, digests)
    digests.save()
    digest = expected.files[0].digest
    other = digest.translate(str.maketrans("01", "10"))
    store.write_text(store.read_text().replace(digest, other))
    assert scan(images_folder, Digests(store)) == expected


def test_a_store_that_cannot_be_written_stops_nothing(
    tmp_path: Path, images_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("a file in the place of the folder")
    digests = Digests(tmp_path / "cache" / "digests.json")
    assert len(scan(images_folder, digests).files) == 24
    digests.save()
    assert "are not kept" in capsys.readouterr().err
