"""Two processes on one test: one waits and says for what, both end well, and nothing is lost."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmark.evaluation.evaluate import lock
from benchmark.files import ROOT
from benchmark.results.folders import TestFolder
from benchmark.results.records import RunRecord
from benchmark.results.schema import read_record
from tests.support import RunCommand

WAITING = "is in use by another process: waiting until that has ended."


@contextmanager
def both(arguments: list[str], folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Start the same command line in two processes, without network."""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    where = {**os.environ, **nowhere, "TORCH_HOME": str(folder / "torch"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "main.py", *arguments]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=where,
            text=True,
            stdout=subprocess.PIPE,
            stderr=(folder / f"messages-{number}").open("w"),
        )
        for number in range(2)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def messages(folder: Path) -> list[str]:
    return [(folder / f"messages-{number}").read_text() for number in range(2)]


def run_both(arguments: list[str], test: TestFolder, folder: Path) -> list[str]:
    """Run both while this process has the test; let them go on when both wait. Returns tables."""
    with both(arguments, folder) as started:
        with lock(test):
            until = time.monotonic() + 120
            while not all(WAITING in text for text in messages(folder)):
                assert time.monotonic() < until, messages(folder)
                assert all(process.poll() is None for process in started), messages(folder)
                time.sleep(0.1)
        printed = [process.communicate(timeout=120)[0] for process in started]
        assert [process.returncode for process in started] == [0, 0], messages(folder)
    for text in messages(folder):
        lines = [line for line in text.splitlines() if f"{test.path} {WAITING}" in line]
        assert 1 <= len(lines) <= 2  # for this process, then perhaps for the other one
        assert "Traceback" not in text
    return printed


def rows(results: Path) -> set[str]:
    with (results / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        return {row["run"] for row in csv.DictReader(stream)}


def test_two_scorings_of_one_run(
    run: RunCommand, tmp_path: Path, fill_folder: Callable[..., list[Path]]
) -> None:
    truth, results = tmp_path / "truth", tmp_path / "Results"
    fill_folder(truth, range(5))
    where = ["--truth", str(truth), "--size", "32", "--results", str(results)]
    assert run("inputs", str(tmp_path / "inputs"), *where)[0] == 0
    score = ["score", str(tmp_path / "inputs"), "--name", "program", *where]
    assert run(*score)[0] == 0
    (test,) = TestFolder.named("program", results)
    expected = read_record(test.record, RunRecord)
    test.record.unlink()
    tables = run_both(score, test, tmp_path)
    assert all("| program, submitted " in table for table in tables)
    record = read_record(test.record, RunRecord)
    assert record.per_image_sha256 == expected.per_image_sha256
    measured = {key for key, score in record.metrics.items() if score.mean is not None}
    assert "ssim" in measured
    assert all(record.metrics[key] == expected.metrics[key] for key in measured)
    assert not test.partial_scores.exists()
    assert rows(results) == {"program", "gray", "ground-truth"}


@pytest.mark.slow
def test_two_tests_of_one_model(run: RunCommand, options: list[str], tmp_path: Path) -> None:
    model = ["--model", "unet", *options]
    assert run(*model)[0] == 0
    (test,) = TestFolder.named("unet", tmp_path / "out")
    expected, images = read_record(test.record, RunRecord), sorted(test.images.iterdir())
    test.record.unlink()
    for path in images[1:]:
        path.unlink()
    run_both([*model, "--mode", "test"], test, tmp_path)
    record = read_record(test.record, RunRecord)
    assert sorted(test.images.iterdir()) == images
    assert record.metrics.keys() == expected.metrics.keys()
    assert record.metrics["ssim"].mean == pytest.approx(expected.metrics["ssim"].mean, abs=1e-4)
    assert "unet" in rows(tmp_path / "out")
