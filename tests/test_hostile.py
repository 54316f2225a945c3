"""Hostile image files end no command in a traceback, and none takes long or much memory."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.hostile import hostile_files, odd_entries

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
MOST_SECONDS, MOST_BYTES = 60, 2 * 10**9
SMALL = ("--size", "32", "--preset", "quick", "--epochs", "1", "--wandb", "disabled")


@dataclass(frozen=True)
class Finished:
    """A command that has ended. seconds: of a processor; peak: the most memory, in bytes."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int


def run_alone(folder: Path, *arguments: str | Path) -> Finished:
    """Run main.py in a process of its own, without a network's weights, and measure it."""
    command = [sys.executable, ROOT / "main.py", *arguments]
    changed = {"OMP_NUM_THREADS": "1", "TORCH_HOME": str(folder), "http_proxy": "http://[::]:9"}
    env = {**os.environ, **changed, "https_proxy": "http://[::]:9"}
    env.pop("CHROMABENCH_LPIPS", None)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=env, cwd=folder)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    texts = [(folder / name).read_text("utf-8", "replace") for name in ("out", "err")]
    unit = 1 if sys.platform == "darwin" else 1024
    seconds = used.ru_utime + used.ru_stime  # whatever else the machine does
    return Finished(process.returncode, *texts, seconds, used.ru_maxrss * unit)


def check(done: Finished, *codes: int) -> None:
    """Check what holds for every command."""
    print(f"{done.seconds:.0f} s, {done.peak / 1e9:.2f} GB, exit code {done.code}")
    assert "Traceback" not in done.err, done.err[-3000:]
    assert not re.search(r"\w+Warning: |warnings\.warn", done.err), done.err[-3000:]
    assert done.code in codes, done.err[-3000:]
    assert done.seconds < MOST_SECONDS
    assert done.peak < MOST_BYTES


@pytest.fixture(scope="module")
def dataset(
    tmp_path_factory: pytest.TempPathFactory,
    make_image: Callable[..., Image.Image],
    fill_folder: Callable[..., list[Path]],
) -> Path:
    """A dataset whose folders train/ and test/ hold hostile files beside good ones."""
    folder = tmp_path_factory.mktemp("hostile") / "data"
    for part, seeds in (("train", range(12)), ("val", range(20, 24)), ("test", range(30, 34))):
        fill_folder(folder / part, seeds)
    for part, seed in (("train", 40), ("test", 41)):
        for name, content in hostile_files(make_image(seed, 48, 40)):
            path = folder / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    odd_entries(folder / "train", (folder / "train" / "image_000.png").read_bytes())
    return folder


@pytest.fixture(scope="module")
def trained(dataset: Path) -> Path:
    """The results of a training on hostile files, which is checked here."""
    options = ["--mode", "train", "--dataset", dataset, "--results", dataset.parent / "Results"]
    check(run_alone(dataset.parent, "--model", "unet", *options, *SMALL), 0)
    return dataset.parent / "Results"


def hostile_names(dataset: Path) -> set[str]:
    """The names of the hostile test files."""
    test = dataset / "test"
    files = {path.relative_to(test).as_posix() for path in test.rglob("*") if path.is_file()}
    return {name for name in files if not name.startswith("image_")}


def test_a_check_accounts_for_every_file(
    dataset: Path, tmp_path: Path, make_image: Callable[..., Image.Image]
) -> None:
    done = run_alone(tmp_path, "data", "check", dataset, "--size", "32", "--out", tmp_path)
    check(done, 1)
    record = json.loads((tmp_path / "check.json").read_text("utf-8"))
    given = {f"train/{name}" for name in record["passed_over"]}
    copied = tmp_path / "again"
    copied.mkdir()
    for name, reason in odd_entries(copied, b"").items():
        assert reason in record["passed_over"][f"train/{name}"], given
    used = sum(split["used"] for split in record["splits"].values())
    assert record["skipped"] == record["files"] + len(record["passed_over"]) - used
    assert len(record["unreadable"]) > 200
    assert all(record["unreadable"].values())
    turned = {Path(name).name for name in record["unreadable"] if "turned" in name}
    assert not turned


def test_arrays_hold_every_image_that_can_be_used(dataset: Path, tmp_path: Path) -> None:
    done = run_alone(tmp_path, "data", "to-npz", dataset, tmp_path / "arrays", "--size", "32")
    check(done, 0)
    metadata = json.loads((tmp_path / "arrays" / "metadata.json").read_text("utf-8"))
    counted = 0
    for part in ("train", "test"):
        with np.load(tmp_path / "arrays" / f"{part}.npz", allow_pickle=False) as arrays:
            assert arrays["rgb"].shape[1:] == (32, 32, 3)
            assert len(arrays["rgb"]) == len(arrays["grayscale"]) == len(arrays["labels"])
            counted += len(arrays["rgb"])
    assert counted > 200
    assert sum(metadata["left_out"].values()) > 200


def test_a_training_lists_every_file_that_it_leaves_out(dataset: Path, trained: Path) -> None:
    with (trained / "unet" / "seed-8000" / "file_report.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    left_out = [row["file"] for row in rows if row["treatment"] != "used"]
    assert len(left_out) > 150
    assert all(row["reason"] for row in rows)


def test_a_test_accounts_for_every_file(dataset: Path, trained: Path) -> None:
    done = run_alone(dataset.parent, "--model", "unet", "--mode", "test", "--results", trained)
    check(done, 0)
    (folder,) = (trained / "unet" / "seed-8000" / "tests").iterdir()
    with (folder / "file_report.csv").open(encoding="utf-8", newline="") as file:
        left_out = {r["file"] for r in csv.DictReader(file) if r["treatment"] != "used"}
    with (folder / "per_image.csv").open(encoding="utf-8", newline="") as file:
        scored = {row["file"] for row in csv.DictReader(file)}
    assert len(hostile_names(dataset)) >= 300
    assert {f"test/{name}" for name in hostile_names(dataset)} <= left_out | scored
    assert not left_out & scored
    check(run_alone(dataset.parent, "verify", "unet", "--results", trained), 0)


def test_inputs_are_written_for_the_files_that_can_be_used(dataset: Path, trained: Path) -> None:
    out = dataset.parent / "inputs"
    options = ["--truth", dataset / "test", "--size", "32", "--results", trained]
    check(run_alone(dataset.parent, "inputs", out, *options), 0)
    assert 4 < len(list(out.iterdir())) < len(hostile_names(dataset))
    done = run_alone(dataset.parent, "score", out, "--name", "mine", *options)
    check(done, 0)
    assert "mine" in done.out


def test_a_hostile_output_of_another_program_is_scored_or_named(
    dataset: Path, tmp_path: Path, make_image: Callable[..., Image.Image], run: Callable[..., tuple]
) -> None:
    truth, outputs = tmp_path / "truth", tmp_path / "outputs"
    for folder in (truth, outputs):
        folder.mkdir()
    make_image(41, 48, 48).save(truth / "0.png")
    options = ["--truth", str(truth), "--size", "32", "--results", str(tmp_path / "Results")]
    for name in sorted(hostile_names(dataset)):
        hostile = outputs / f"0{Path(name).suffix}"
        hostile.write_bytes((dataset / "test" / name).read_bytes())
        begun = time.process_time()
        code, _, err = run("score", str(outputs), "--name", "mine", "--resize", *options)
        assert code in (0, 2), name
        assert code == 0 or str(outputs) in err, name
        assert time.process_time() - begun < MOST_SECONDS, name
        hostile.unlink()


def test_colorize_writes_or_names_every_hostile_photo(dataset: Path, trained: Path) -> None:
    out = dataset.parent / "colored"
    options = ["--model", "unet", "--results", trained, "--device", "cpu"]
    done = run_alone(dataset.parent, "colorize", dataset / "test", "--out", out, *options)
    check(done, 1)
    assert len(done.out.splitlines()) > 20
