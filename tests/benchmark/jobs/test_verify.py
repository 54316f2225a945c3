"""Verification: an unchanged test passes, and everything that was tampered with is reported."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from benchmark.data.sources import locate_test
from benchmark.errors import UserError
from benchmark.evaluation.named import TestImages
from benchmark.files import sha256_of_bytes, sha256_of_file
from benchmark.jobs.origin import Verification
from benchmark.jobs.submit import Entry, submit
from benchmark.jobs.verify import verify
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.table import MetricSuite
from benchmark.results.folders import TestFolder

REASON = "no network was given"
NOTHING = MetricSuite(unavailable={"lpips": REASON, "kid": REASON})


@pytest.fixture(autouse=True)
def without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(options: MetricOptions, lpips_weights: str | None = None) -> MetricSuite:
        return MetricSuite(options, unavailable=NOTHING.unavailable)

    monkeypatch.setattr("benchmark.jobs.verify.load_metric_suite", load)


@pytest.fixture
def truth(tmp_path: Path, fill_folder: Callable[..., list[Path]]) -> Path:
    fill_folder(tmp_path / "truth", range(4))
    return tmp_path / "truth"


@pytest.fixture
def test(tmp_path: Path, truth: Path, fill_folder: Callable[..., list[Path]]) -> Path:
    """The folder of a test: other images, submitted under the names of the ground truth."""
    others = fill_folder(tmp_path / "others", range(10, 14))
    for path, name in zip(others, sorted(truth.iterdir()), strict=True):
        path.rename(path.with_name(name.name))
    results = tmp_path / "Results"
    entry = Entry(tmp_path / "others", "program", 0, resize=True, lightness="own")
    submit(entry, locate_test(None, str(truth), results), TestImages.of(32), results, NOTHING)
    (folder,) = TestFolder.named("program", results)
    return folder.path


def check(test: Path) -> Verification:
    return verify(TestFolder(test), None, None, None)


def edit(test: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Tamper with run.json."""
    record = json.loads((test / "run.json").read_text())
    change(record)
    (test / "run.json").write_text(json.dumps(record))


def edit_table(test: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Tamper with per_image.csv, and change its hash in run.json accordingly."""
    table = change(pd.read_csv(test / "per_image.csv", dtype={"sample": str}))
    content = table.to_csv(index=False).encode()
    (test / "per_image.csv").write_bytes(content)
    edit(test, lambda record: record.update(per_image_sha256=sha256_of_bytes(content)))


def test_an_unchanged_test_passes_and_no_file_is_written(test: Path) -> None:
    before = {path: path.read_bytes() for path in test.rglob("*") if path.is_file()}
    assert check(test).faults == []
    assert {path: path.read_bytes() for path in test.rglob("*") if path.is_file()} == before


def test_a_mean_that_is_not_that_of_the_values_is_reported(test: Path) -> None:
    edit(test, lambda record: record["metrics"]["delta_e2000"].update(mean=1.0))
    (fault,) = check(test).faults
    assert fault.startswith("mean of delta_e2000 is 1.0 in run.json")


def test_a_value_that_is_not_that_of_the_image_is_reported(test: Path) -> None:
    def better(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(ssim=table["ssim"] + 0.01 * (table.index == 2))

    edit_table(test, better)
    fault = check(test).faults[0]
    assert "ssim of image_002.png" in fault
    assert "1 of 4 values" in fault


def test_an_edited_image_is_reported_even_with_a_matching_hash(test: Path, truth: Path) -> None:
    path = test / "images/image_001.png"
    with Image.open(truth / "image_001.png") as image:
        image.resize((32, 32)).save(path)
    assert check(test).faults == ["images/image_001.png is not the image that was scored."]

    def rehash(table: pd.DataFrame) -> pd.DataFrame:
        hashes = [*table["output_sha256"]]
        hashes[1] = sha256_of_file(path)
        return table.assign(output_sha256=hashes)

    edit_table(test, rehash)
    assert any("of image_001.png" in fault for fault in check(test).faults)


def test_an_image_left_out_is_reported(test: Path) -> None:
    edit_table(test, lambda table: table.drop(index=0))
    assert "does not have the 4 images" in check(test).faults[0]


def test_a_missing_image_file_is_reported(test: Path) -> None:
    (test / "images/image_003.png").unlink()
    assert check(test).faults == ["images/image_003.png is missing."]


def test_an_image_in_another_folder_is_reported(test: Path) -> None:
    """Neither verify nor the gallery follows paths outside the test."""

    def point_elsewhere(table: pd.DataFrame) -> pd.DataFrame:
        truth = next(test.parents[3].glob("ground-truth/seed-0/tests/*")) / "images"
        paths, hashes = [*table["output"]], [*table["output_sha256"]]
        paths[0] = os.path.relpath(truth / "image_000.png", test)
        hashes[0] = sha256_of_file(truth / "image_000.png")
        return table.assign(output=paths, output_sha256=hashes)

    edit_table(test, point_elsewhere)
    (fault,) = check(test).faults
    assert "an output elsewhere than in images/" in fault


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("metrics", "ssim", "label"), "LPIPS"),
        (("metrics", "ssim", "direction"), "down"),
        (("metrics", "ssim", "n"), 99_999),
        (("n_scored",), 3),
        (("kind",), "fixed"),
        (("run",), "unet"),
        (("seed",), 1),
        (("submission",), None),
        (("protocol_hash",), "0" * 64),
    ],
    ids=str,
)
def test_values_that_can_be_derived_from_others_are_compared(
    test: Path, key: tuple[str, ...], value: object
) -> None:
    def forge(record: dict[str, Any]) -> None:
        *outer, last = key
        for part in outer:
            record = record[part]
        record[last] = value

    edit(test, forge)
    assert check(test).faults


def test_a_calibration_of_images_without_painted_objects_is_reported(test: Path) -> None:
    estimate = {"value": 0.0, "low": None, "high": None}
    overall = {
        "n_objects": 1, "n_images": 1, "shares": {}, "total_variation": estimate,
        "truth": 0.0, "perfect": 0.0, "perfect_high": 0.0,
    }  # fmt: skip
    calibration = {
        "n_samples": 1, "n_left_out": 0, "probabilities": {}, "overall": overall, "kinds": {},
        "per_object": None, "per_object_perfect": None,
    }  # fmt: skip
    edit(test, lambda record: record.update(calibration=calibration))
    (fault,) = check(test).faults
    assert "calibration" in fault


def test_renamed_ground_truth_images_are_recognized(test: Path, truth: Path) -> None:
    """By the hash of their contents."""
    for path in sorted(truth.iterdir()):
        path.rename(path.with_name(f"renamed_{path.name}"))
    assert check(test).faults == []


@pytest.mark.parametrize("file", ["run.json", "per_image.csv"])
def test_a_truncated_file_is_reported(test: Path, file: str) -> None:
    content = (test / file).read_text()
    (test / file).write_text(content[: len(content) // 2])
    (fault,) = check(test).faults
    assert file in fault


def test_a_changed_protocol_is_reported(test: Path) -> None:
    edit(test, lambda record: record["protocol"].update(size=16))
    (fault,) = check(test).faults
    assert "protocol" in fault


def test_other_ground_truth_images_are_refused(
    test: Path, tmp_path: Path, fill_folder: Callable[..., list[Path]]
) -> None:
    fill_folder(tmp_path / "unrelated", range(20, 24))
    with pytest.raises(UserError, match="--truth"):
        verify(TestFolder(test), None, str(tmp_path / "unrelated"), None)


def test_metrics_that_cannot_be_measured_are_named_as_unchecked(test: Path) -> None:
    def add_lpips(record: dict[str, Any]) -> None:
        record["metrics"]["lpips"].update(mean=0.1, std=0.0, low=0.1, high=0.1, n=4, reason=None)

    edit(test, add_lpips)
    assert "has no lpips" in check(test).faults[0]
    edit_table(test, lambda table: table.assign(lpips=0.1))
    verification = check(test)
    assert verification.faults == []
    assert any("LPIPS" in part for part in verification.unchecked)


def test_a_test_is_found_by_the_name_of_its_run_and_by_its_folders(test: Path) -> None:
    results = test.parents[3]
    assert [folder.path for folder in TestFolder.named("program", results)] == [test]
    for folder in (test, test.parents[1], test.parents[2]):
        assert [found.path for found in TestFolder.named(str(folder), results)] == [test]
    with pytest.raises(UserError, match="nobody"):
        TestFolder.named("nobody", results)
