"""run.json is read back unchanged or refused by name; `--weights` finds weights in three ways."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.results.folders import RunFolder
from benchmark.results.records import RunRecord
from benchmark.results.schema import read_record, write_record

Make = Callable[..., dict[str, Any]]


def test_a_record_is_read_back_unchanged(tmp_path: Path, make_record: Make) -> None:
    values = make_record({"lpips": None, "ssim": 0.1 + 0.2, "psnr": 1 / 3}, failed={"a.jpg": "no"})
    record = RunRecord.model_validate(values)
    write_record(tmp_path / "run.json", record)
    assert read_record(tmp_path / "run.json", RunRecord) == record
    assert json.loads((tmp_path / "run.json").read_text()) == values
    assert record.refusal is None


def _with(make_record: Make, key: str, value: Any) -> dict[str, Any]:
    """Return a record with another value at a key such as `metrics.ssim.mean`."""
    record = make_record()
    inner = record
    *outer, last = key.split(".")
    for part in outer:
        inner = inner[part]
    inner[last] = value
    return record


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema_version", 3),
        ("schema_version", "4"),
        ("seed", "8000"),
        ("seed", 1.5),
        ("n_scored", "4"),
        ("n_scored", None),
        ("kind", "oracle"),
        ("remark", "an unknown key"),
        ("weights.remark", "an unknown key"),
        ("metrics.ssim.mean", "0.9"),
        ("metrics.ssim.mean", math.nan),
        ("metrics.ssim.high", math.inf),
        ("metrics.ssim.direction", "sideways"),
        ("metrics.ssim.mean", None),  # without a reason
        ("timing.ms_per_image", math.nan),
        ("timing.ms_per_image", "fast"),
        ("failed", []),
        ("cost.parameters", "many"),
        ("cost.training_seconds", None),
        ("training_data.ab_mean", [1, "2"]),
    ],
)
def test_an_invalid_value_is_refused_with_its_file_and_key(
    tmp_path: Path, make_record: Make, key: str, value: Any
) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(_with(make_record, key, value)))  # json.dumps can write NaN
    with pytest.raises(UserError) as caught:
        read_record(path, RunRecord)
    assert str(path) in str(caught.value)
    assert key.removesuffix(".mean") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_value_is_refused(tmp_path: Path, make_record: Make) -> None:
    for key in make_record().keys() - {"schema_version", "pretrained", "outsider"}:
        values = make_record()
        del values[key]
        (tmp_path / "run.json").write_text(json.dumps(values))
        with pytest.raises(UserError, match=rf"run\.json .*{key}"):
            read_record(tmp_path / "run.json", RunRecord)


@pytest.mark.parametrize("content", ["", "[]", "null", '"text"', "{"])
def test_a_file_that_is_not_a_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json"):
        read_record(tmp_path / "run.json", RunRecord)


def test_incomplete_tests_and_unknown_weights_are_refused_in_tables(make_record: Make) -> None:
    def refusal(**changed: Any) -> str | None:
        return RunRecord.model_validate(make_record(**changed)).refusal

    assert refusal() is None
    assert refusal(kind="fixed", weights=None) is None
    assert refusal(n_scored=3) == "3 of 4 images scored"
    assert "weights" in (refusal(weights=None) or "")


def test_weights_are_found_by_name_number_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "Results", "unet", 8000)
    folder.weights.mkdir(parents=True)
    names = ("best", "last", "epoch_0009", "epoch_0010")
    for name in names:
        (folder.weights / f"{name}.safetensors").write_text("")
    other = tmp_path / "other.safetensors"
    other.write_text("")
    monkeypatch.chdir(tmp_path)
    expected = {"best": "best", "last": "last", "9": "epoch_0009", "10": "epoch_0010"}
    for which, stem in expected.items():
        assert folder.choose_weights(which) == folder.weights / f"{stem}.safetensors"
    assert folder.choose_weights(str(other)) == other
    assert folder.choose_weights("other.safetensors").resolve() == other
    for which in ("bset", "11", "missing.safetensors", str(tmp_path)):
        with pytest.raises(UserError) as caught:
            folder.choose_weights(which)
        assert repr(which) in str(caught.value)
        assert all(name in str(caught.value) for name in names)


def test_missing_weights_ask_for_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--mode train"):
        RunFolder(tmp_path, "unet", 8000).choose_weights("best")


def test_every_seed_and_every_run_has_its_own_folder(tmp_path: Path) -> None:
    paths = {RunFolder(tmp_path, run, seed).path for run in ("a", "b") for seed in (1, 2)}
    assert len(paths) == 4
    assert RunFolder(tmp_path, "unet", 7).path == tmp_path / "unet" / "seed-7"
