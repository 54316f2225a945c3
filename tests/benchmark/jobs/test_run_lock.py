"""A run is trained by one process at a time; --overwrite starts over whatever is in its folder."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.files import PART, ROOT, locked
from benchmark.jobs.run_lock import delete_run, lock_run, require_places
from benchmark.results.folders import RunFolder
from tests.support import RunCommand


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with weights and the lock of a test."""
    run = RunFolder(tmp_path / "out", "unet", 8000)
    (run.tests / "sample").mkdir(parents=True)
    (run.tests / "sample" / ".lock").touch()
    run.weights.mkdir()
    run.weights_file("best").write_text("weights")
    return run


def test_a_run_that_another_process_trains_is_neither_trained_nor_deleted(
    run: RunCommand, options: list[str], folder: RunFolder
) -> None:
    with locked(folder.lock):
        for more in ([], ["--overwrite"]):
            code, out, err = run("--model", "unet", "--mode", "train", *options, *more)
            assert (code, out) == (2, "")
            assert f"{folder.path} is in use by another process" in err
            assert "--run" in err
            assert err.count("\n") == 1
    assert folder.weights_file("best").exists()
    assert not folder.settings.exists()


def test_who_holds_a_run_is_named_and_a_dead_process_holds_none(
    run: RunCommand, options: list[str], folder: RunFolder, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    code = (
        "import pathlib, sys, time\n"
        "from benchmark.jobs.run_lock import lock_run\n"
        "from benchmark.results.folders import RunFolder\n"
        "with lock_run(RunFolder(pathlib.Path(sys.argv[1]), 'unet', 8000)):\n"
        "    pathlib.Path(sys.argv[2]).touch()\n"
        "    time.sleep(600)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.results), str(ready)], cwd=ROOT
    )
    try:
        while not ready.exists():
            assert other.poll() is None
            time.sleep(0.05)
        code, _, err = run("--model", "unet", "--mode", "train", *options)
        assert code == 2
        named = f"is in use by process {other.pid} on {socket.gethostname()}, since 20"
        assert named in err
    finally:
        other.kill()
        other.wait()
    assert folder.holder.exists()
    with lock_run(folder):
        assert str(os.getpid()) in folder.holder.read_text()
    assert not folder.holder.exists()


@pytest.mark.parametrize("answer", ["y", "n", None])
def test_a_run_that_took_long_is_deleted_with_consent_alone(
    run: RunCommand,
    options: list[str],
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
) -> None:
    row = {"epoch": 1, "step": 1, "images_per_second": 1, "learning_rate": 1}
    folder.history.write_text(json.dumps({**row, "seconds": 601}) + "\n")
    train = ["--model", "unet", "--mode", "train", *options, "--overwrite"]
    if answer is not None:
        monkeypatch.setattr("benchmark.jobs.overwriting.confirm", lambda _: answer == "y")
    code, _, err = run(*train)
    if answer == "y":
        assert code == 0, err
        return
    assert code == 2
    assert folder.weights_file("best").read_text() == "weights"
    if answer == "n":
        assert "is kept: leave --overwrite out" in err
    else:
        assert "took 10 minutes to train: add --yes to --overwrite" in err
        code, _, err = run(*train, "--yes")
        assert code == 0, err


def test_the_lock_outlives_the_deletion_of_the_run(folder: RunFolder) -> None:
    with lock_run(folder):
        delete_run(folder)
        with pytest.raises(UserError, match="in use"), lock_run(folder):
            pass
    assert [*RunFolder.all_of(folder.results, "unet")] == []


def test_a_run_that_is_tested_is_not_deleted(folder: RunFolder) -> None:
    with (
        locked(folder.tests / "sample" / ".lock"),
        pytest.raises(UserError, match="another process tests this run"),
    ):
        delete_run(folder)
    assert folder.weights_file("best").exists()
    delete_run(folder)
    assert not folder.path.exists()


def test_what_was_left_half_written_goes_when_a_run_is_locked(folder: RunFolder) -> None:
    left = [folder.path / f"{PART}a.json", folder.weights / f"{PART}b.safetensors"]
    for path in left:
        path.touch()
    with lock_run(folder):
        assert not any(path.exists() for path in left)


def test_nothing_outside_is_deleted_through_links(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    folder.path.rename(outside)
    folder.path.symlink_to(outside)
    delete_run(folder)
    assert "is a link: what it leads to is not deleted" in capsys.readouterr().err
    assert not os.path.lexists(folder.path)
    assert (outside / "weights/best.safetensors").exists()

    folder.path.mkdir()
    folder.weights.symlink_to(outside)
    delete_run(folder)
    assert (outside / "weights/best.safetensors").exists()


def test_a_deletion_that_fails_is_one_sentence(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(UserError, match=r"cannot be deleted .Read-only file system"):
        delete_run(folder)


Spoil = Callable[[RunFolder], object]
OBSTACLES: dict[str, Spoil] = {
    "file for the run": lambda run: run.path.write_text("x"),
    "dangling link": lambda run: run.path.symlink_to("nowhere"),
    "file for a folder": lambda run: (run.path.mkdir(), run.weights.write_text("x")),
    "folder for a file": lambda run: run.settings.mkdir(parents=True),
    "submission": lambda run: (run.path.mkdir(), run.submission.write_text("{}")),
    "empty settings": lambda run: (run.path.mkdir(), run.settings.write_text("")),
    "damaged state": lambda run: (run.path.mkdir(), run.state.write_text("x")),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_overwrite_starts_over_whatever_is_in_the_run(
    run: RunCommand, options: list[str], tmp_path: Path, obstacle: str
) -> None:
    folder = RunFolder(tmp_path / "out", "unet", 8000)
    folder.path.parent.mkdir(parents=True)
    OBSTACLES[obstacle](folder)
    train = ["--model", "unet", "--mode", "train", *options]
    code, _, err = run(*train)
    assert (code, err.count("Error: "), "Traceback" in err) == (2, 1, False)
    assert str(folder.path) in err
    assert "--overwrite" in err
    code, _, err = run(*train, "--overwrite")
    assert code == 0, err
    require_places(folder)


def test_list_names_a_damaged_run_and_goes_on(run: RunCommand, folder: RunFolder) -> None:
    folder.cost.write_text("")
    code, out, err = run("list", "--results", str(folder.results))
    assert code == 0
    (line,) = (line for line in out.splitlines() if line.split()[0] == "unet")
    assert line.split()[1] == "damaged"
    assert f"unet: {folder.cost} cannot be read as JSON" in err
    assert len(out.splitlines()) > 1
