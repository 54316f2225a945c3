"""Files are written completely or not at all, and a user's mistake is reported in one sentence."""

import errno
import hashlib
import json
import math
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from benchmark import files
from benchmark.errors import UserError


def test_json_is_read_as_it_was_written(tmp_path: Path) -> None:
    value = {"name": "Grün ↑", "values": [1, 2.5, None, True], "nested": {"a": []}}
    files.write_json(tmp_path / "new" / "folder" / "file.json", value)
    assert files.read_json(tmp_path / "new" / "folder" / "file.json") == value
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["file.json"]


def test_names_that_are_no_utf8_are_read_as_they_were_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xc3\xa9.png")
    files.write_json(tmp_path / "file.json", {name: [name]})
    assert files.read_json(tmp_path / "file.json") == {name: [name]}
    assert (tmp_path / "file.json").read_bytes().decode()


def test_written_files_have_the_default_permissions(tmp_path: Path) -> None:
    files.write_text(tmp_path / "ours.txt", "")
    (tmp_path / "plain.txt").write_text("")
    assert (tmp_path / "ours.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, fault: type[BaseException]
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with files.replacing(path) as part:
            part.write_text("half of the n")
            raise fault

    with pytest.raises(fault):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_reported_in_one_sentence_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half(self: Path, text: str, **options: Any) -> int:
        with self.open("w") as stream:
            stream.write(text[: len(text) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(UserError, match="No space left on device") as caught:
        files.write_text(path, "new and long")
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_parent_that_is_a_file_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file" / "run.json", tmp_path / "file" / "deeper" / "run.json"):
        with pytest.raises(UserError) as caught:
            files.write_text(path, "text")
        assert str(path) in str(caught.value)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_folder_without_write_permission_is_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:  # simulated, since root may write everywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(UserError, match="Permission denied"):
        files.write_text(tmp_path / "file.txt", "text")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_not_written_to_json(tmp_path: Path, number: float) -> None:
    path = tmp_path / "file.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, {"value": [number]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.sha256_of_json(number)
    assert list(tmp_path.iterdir()) == []


BROKEN = [b"", b"{", b"\xff\xfe\x00", b"{'a': 1}", b"[" * 100_000, b"1" * 5000]


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: str(content[:8]))
def test_broken_json_is_reported_in_one_sentence_that_names_the_file(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"file\.json"):
        files.read_json(path)


def test_missing_json_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        files.read_json(tmp_path / "file.json")


def test_hashes_are_sha256(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    (tmp_path / "file").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert files.sha256_of_file(tmp_path / "file") == files.sha256_of_bytes(content) == expected


def test_the_hash_of_json_depends_on_its_content_and_not_on_the_order_of_keys() -> None:
    value = {"b": [1, 2], "a": {"y": 1.5, "x": None}}
    shuffled = json.loads('{"a": {"x": null, "y": 1.5}, "b": [1, 2]}')
    assert files.sha256_of_json(value) == files.sha256_of_json(shuffled)
    assert files.sha256_of_json(value) != files.sha256_of_json({**value, "b": [2, 1]})


@pytest.mark.parametrize("kind", ["folder", "dangling link", "named pipe"])
def test_what_is_no_file_is_reported_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file.json"
    make = {
        "folder": path.mkdir,
        "dangling link": lambda: path.symlink_to("nowhere"),
        "named pipe": lambda: os.mkfifo(path),
    }
    make[kind]()
    with pytest.raises(UserError, match=r"file\.json cannot be read: it is"):
        files.read_json(path)


def test_content_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    flush, rename = os.fsync, os.replace

    def note_flush(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        flush(handle)

    def note_rename(source: Path, target: Path) -> None:
        order.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(os, "replace", note_rename)
    files.write_text(tmp_path / "file.txt", "text")
    assert order == ["file", "rename", "folder"]


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "a." + "b" * 253, "ü" * 127])
def test_names_as_long_as_the_file_system_allows_are_written(tmp_path: Path, name: str) -> None:
    files.write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_only_temporary_files_of_programs_that_have_ended_are_removed(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".part-old.png", ".part-new.png", ".old.png"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, time.time() - 2 * files.STALE_AFTER))
    with files.replacing(tmp_path / "file.txt") as part:
        assert part.name.startswith(files.PART)
        part.touch()
    assert sorted(tmp_path.iterdir()) == sorted([new, other, tmp_path / "file.txt"])
    files.remove_temporary(tmp_path)
    assert not new.exists()


HOLD = """
import sys
from pathlib import Path
from benchmark.files import locked
with locked(Path(sys.argv[1]), "in use"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_process_and_not_by_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, cwd=files.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UserError, match=r"^in use$"), files.locked(path, "in use"):
            pass
        other.kill()
    with files.locked(path, "in use"):
        pass


def test_a_lock_that_cannot_be_written_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / ".lock", tmp_path / "folder"):
        with pytest.raises(UserError, match=f"{path} cannot be written"), files.locked(path):
            pass
