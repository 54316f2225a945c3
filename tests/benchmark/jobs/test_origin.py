"""Forgeries of how a model's images were made, each reported; what cannot be checked is listed."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.checkpoints import load_weights, save_weights
from benchmark.data.loading import load_test
from benchmark.data.manifest import Digests, digest_of, scan
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.sources import locate
from benchmark.evaluation import evaluate
from benchmark.evaluation.baselines import test_baselines
from benchmark.evaluation.named import TestImages
from benchmark.files import sha256_of_file
from benchmark.jobs.origin import Verification
from benchmark.jobs.verify import verify
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.table import MetricSuite
from benchmark.results.folders import RunFolder, TestFolder
from benchmark.results.records import (
    Cost,
    TrainingRecord,
    TrainingSet,
    WeightsUsed,
)
from benchmark.results.schema import write_record
from tests.leaderboard_support import COST
from tests.support import tiny_model

test_baselines.__test__ = False  # type: ignore[attr-defined]
CPU = torch.device("cpu")
REASON = "no network was given"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, fill_folder: Callable[..., list[Path]]) -> Path:
    """A folder with images, and with the results of a tiny sampler: two samples of each image."""
    top = tmp_path_factory.mktemp("made")
    fill_folder(top / "data" / "train", range(4))
    fill_folder(top / "data" / "test", range(10, 13))
    (top / "data" / "test" / "broken.png").write_bytes(b"no image")
    results = top / "Results"
    run = RunFolder(results, "unetddim", 8000)
    save_weights(run.weights_file("best"), tiny_model("unetddim"), "unetddim", 1)
    training_set = TrainingSet(
        name="data", n_train=4, n_val=1, n_unusable=0,
        manifest=digest_of(scan(top / "data" / "train", Digests(None)).files),
        ab_mean=[1.0, 2.0],
    )  # fmt: skip
    sources = locate(str(top / "data"), None, results)
    begun = TrainingRecord(
        model="unetddim", preset="quick",
        settings={"seed": 8000, "split_seed": 8000, "size": 32, "batch_size": 3},
        sources={}, images=sources.record(), training_data=training_set, train_digests=[],
    )  # fmt: skip
    write_record(run.settings, begun)
    write_record(run.cost, COST)
    weights = load_weights(run.weights_file("best"), "unetddim", CPU)
    model = weights.model
    sampling = model.resolve_sampling(model.sampling_class(steps=3))
    suite = MetricSuite(unavailable={"lpips": REASON, "kid": REASON})
    images = load_test(sources, Preprocessing(32), 8000)
    setup = evaluate.prepare(
        images, "data", TestImages.of(32), suite=suite, samples=2, batch_size=3
    )
    test_baselines(results, setup, training_set)
    candidate = evaluate.Candidate(
        run,
        "unetddim",
        sampling=sampling,
        sampling_changes=model.sampling_changes(sampling),
        weights=WeightsUsed(
            trained_as="unetddim", run="unetddim", file="weights/best.safetensors",
            sha256=weights.sha256, epoch=1,
        ),
        settings={**begun.settings, "preset": "quick"},
        training_data=training_set,
        cost=Cost.model_validate(COST),
    )  # fmt: skip
    evaluate.test(candidate, model, setup)
    return top


@pytest.fixture
def results(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the results, which a moved folder is, too."""

    def load(options: MetricOptions, lpips_weights: str | None = None) -> MetricSuite:
        return MetricSuite(options, unavailable={"lpips": REASON, "kid": REASON})

    monkeypatch.setattr("benchmark.jobs.verify.load_metric_suite", load)
    return Path(shutil.copytree(made / "Results", tmp_path / "moved"))


def folder_of(results: Path, run: str = "unetddim") -> TestFolder:
    (folder,) = TestFolder.named(run, results)
    return folder


def check(results: Path, run: str = "unetddim", dataset: Path | None = None) -> Verification:
    return verify(folder_of(results, run), str(dataset) if dataset else None, None, None)


def edit(path: Path, change: Change) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_a_test_stays_true_when_its_images_are_renamed(
    results: Path, made: Path, tmp_path: Path
) -> None:
    names = sorted(path.name for path in (made / "data" / "test").iterdir())
    (tmp_path / "renamed").mkdir()
    for name, other in zip(names, reversed(names), strict=True):
        shutil.copy(made / "data" / "test" / name, tmp_path / "renamed" / f"x{other}")
    found = verify(folder_of(results), None, str(tmp_path / "renamed"), None)
    assert found.faults == []


def test_a_test_of_a_model_cannot_be_called_a_submission(results: Path) -> None:
    nothing = {"weights": None, "settings": {}, "sampling": {}, "sampling_changes": []}
    nothing |= {"training_data": None, "cost": None, "timing": None}
    submission = {"lightness": "own", "resized": False}
    record = folder_of(results).record
    edit(record, lambda r: r.update(kind="submitted", submission=submission, **nothing))
    assert any("holds a training" in fault for fault in check(results).faults)


def test_weights_that_cannot_be_loaded_were_not_tested(results: Path) -> None:
    folder = folder_of(results)
    weights = results / "unetddim" / "seed-8000" / "weights" / "best.safetensors"
    weights.write_bytes(b"junk")
    sha256 = sha256_of_file(weights)
    edit(folder.record, lambda r: r["weights"].update(sha256=sha256))
    edit(folder.outputs_record, lambda r: r["provenance"].update(weights_sha256=sha256))
    assert any("cannot be loaded" in fault for fault in check(results).faults)


def test_honest_tests_are_true(results: Path, made: Path) -> None:
    for path in sorted(results.glob("*/")):
        if path.name[0] != ".":
            found = check(results, path.name, made / "data")
            assert found.faults == []
            assert any("LPIPS" in part or "lpips" in part for part in found.unchecked)
            assert not any("weights" in part.split(":")[0] for part in found.unchecked)


PRETRAINED = {"name": "resnet18", "data": "ImageNet-1k", "source": "x", "sha256": "0" * 64}
FORGERIES: dict[str, Change] = {
    "model": lambda r: r.update(model="unet"),
    "unknown model": lambda r: r.update(model="best"),
    "model with the same weights": lambda r: r.update(model="unetddpm"),
    "trained as": lambda r: r["weights"].update(trained_as="unet"),
    "epoch": lambda r: r["weights"].update(epoch=9),
    "hash of the weights": lambda r: r["weights"].update(sha256="0" * 64),
    "file of the weights": lambda r: r["weights"].update(file="weights/last.safetensors"),
    "sampling": lambda r: r["sampling"].update(steps=50),
    "sampling that does not exist": lambda r: r["sampling"].update(magic=1),
    "sampling left out": lambda r: r["sampling"].pop("steps"),
    "sampling_changes": lambda r: r.update(sampling_changes=[]),
    "other sampling_changes": lambda r: r["sampling_changes"].append("magic"),
    "settings": lambda r: r["settings"].update(epochs=1000),
    "setting left out": lambda r: r["settings"].pop("preset"),
    "training data": lambda r: r["training_data"].update(n_train=100_000),
    "pretraining": lambda r: r.update(pretrained=PRETRAINED),
    "cost": lambda r: r["cost"].update(training_seconds=1.0),
    "submission": lambda r: r.update(submission={"lightness": "own", "resized": False}),
    "failed left out": lambda r: r.update(failed={}),
    "failed too many": lambda r: r["failed"].update(other="damaged"),
    "reason of a failure": lambda r: r["failed"].update({"test/broken.png": "too hard"}),
    "reason": lambda r: r["metrics"]["lpips"].update(reason="skipped"),
    "reason of the mean": lambda r: r["samples"]["mean"]["lpips"].update(reason="skipped"),
    "reason of another metric": lambda r: r["metrics"]["kid"].update(reason="skipped"),
    "n": lambda r: r["metrics"]["ssim"].update(n=4),
    "samples": lambda r: r.update(samples=None),
    "timing": lambda r: r["timing"].update(ms_per_image=0.001),
    "device": lambda r: r["timing"].update(device="abacus"),
    "environment": lambda r: r["environment"].update(commit="0" * 40),
    "name of the protocol": lambda r: r["protocol"].update(name="easy-32"),
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_record_is_reported(results: Path, forge: Change) -> None:
    edit(folder_of(results).record, forge)
    assert check(results).faults


FIXED: dict[str, tuple[str, Change]] = {
    "gray as truth": ("gray", lambda r: r.update(model="ground truth")),
    "gray with weights": ("gray", lambda r: r.update(cost=COST.model_dump())),
    "mean of other data": ("mean-ab-*", lambda r: r["training_data"].update(ab_mean=[9.0, 9.0])),
    "mean of one number": ("mean-ab-*", lambda r: r["training_data"].update(ab_mean=[9.0])),
    "gray that was pretrained": ("gray", lambda r: r.update(pretrained=PRETRAINED)),
    "sampling of the truth": ("ground-truth", lambda r: r["sampling"].update(steps=3)),
}


@pytest.mark.parametrize(("run", "forge"), FIXED.values(), ids=FIXED)
def test_a_forged_reference_is_reported(results: Path, made: Path, run: str, forge: Change) -> None:
    (path,) = results.glob(run)
    edit(folder_of(results, path.name).record, forge)
    assert check(results, path.name, made / "data").faults


@pytest.mark.parametrize(
    "name", ["images/x.png", "samples/1/x.png", "samples/2/x.png", "images/a/b"]
)
def test_an_additional_file_is_reported(results: Path, name: str) -> None:
    path = folder_of(results).path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    assert any("is not of the test" in fault for fault in check(results).faults)


def test_images_of_other_weights_are_reported(results: Path) -> None:
    """Weights and all their hashes are exchanged together: only coloring shows it."""
    run, folder = RunFolder(results, "unetddim", 8000), folder_of(results)
    torch.manual_seed(1)
    model = tiny_model("unetddim", seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path = run.weights_file("best")
    save_weights(path, model, "unetddim", 1)
    sha256 = load_weights(path, "unetddim", CPU).sha256
    edit(folder.record, lambda r: r["weights"].update(sha256=sha256))
    edit(folder.outputs_record, lambda r: r["provenance"].update(weights_sha256=sha256))
    assert any("is not what unetddim makes" in fault for fault in check(results).faults)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def test_altered_weights_are_noticed_from_any_working_folder(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_a_byte(RunFolder(results, "unetddim", 8000).weights_file("best"))
    for place in (results, results.parent, results / "unetddim"):
        monkeypatch.chdir(place)
        found = check(Path(os.path.relpath(results)))
        assert any("not the weights that were tested" in fault for fault in found.faults)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("weights/best.safetensors", "the weights"),
        ("cost.json", "cost"),
        ("tests/*/colorized.json", "timing and environment"),
    ],
)
def test_what_cannot_be_checked_is_listed(results: Path, missing: str, named: str) -> None:
    for path in (results / "unetddim" / "seed-8000").glob(missing):
        path.unlink()
    found = check(results)
    assert found.faults == []
    assert any(part.startswith(named) for part in found.unchecked)


def test_after_another_training_to_the_same_weights_only_the_times_are_unchecked(
    results: Path,
) -> None:
    cost = results / "unetddim" / "seed-8000" / "cost.json"
    edit(cost, lambda c: c.update(training_finished="2030-01-01", training_seconds=1.0))
    found = check(results)
    assert found.faults == []
    (part,) = (part for part in found.unchecked if part.startswith("cost: "))
    assert "trained again since this test; test again" in part
    edit(cost, lambda c: c.update(parameters=1))
    assert any(fault.startswith("cost is") for fault in check(results).faults)


def test_a_poisoned_cache_changes_nothing(results: Path) -> None:
    for path in results.glob(".cache/v*/*.safetensors"):
        flip_a_byte(path)
    assert check(results).faults == []


def test_metrics_that_were_not_measured_then_are_not_false_now(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.leaderboard_support import MeanDifference

    def load(options: MetricOptions, lpips_weights: str | None = None) -> MetricSuite:
        return MetricSuite(options, {"lpips": MeanDifference()}, {"kid": REASON})

    monkeypatch.setattr("benchmark.jobs.verify.load_metric_suite", load)
    found = check(results)
    assert found.faults == []
    assert any(part.startswith("lpips") for part in found.unchecked)
