"""A test of colorizers: the fixed rows, what is missing and why, one picture, wrong paths."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import metrics
from benchmark import evaluation
from benchmark.baselines import GroundTruth, MeanAb
from benchmark.color import join, rgb_from_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.data.cache import Pictures
from benchmark.data.manifest import Picture
from benchmark.figures import save_png
from benchmark.results import RunRecord, read_record


class Coarse(nn.Module):
    """A stand-in for Inception: the colours on a grid of 4×4."""

    def forward(self, rgb8: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(rgb_from_8bit(rgb8), 4).flatten(1)


MISSING = {"lpips": "left out here", "kid": "left out here, too"}
NOTHING = metrics.Instruments(missing=MISSING)
SET = {"name": "photos", "n_train": 12, "manifest": "c" * 64, "ab_mean": [3.0, 9.0]}


def pictures(count: int) -> Pictures:
    """Soft colours, as if they had been read from files."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    rgb8 = (nn.functional.interpolate(coarse, (32, 32), mode="bilinear") * 255).byte()
    files = [Picture(f"{row}.png", Path(f"{row}.png"), f"{row:064d}") for row in range(count)]
    return Pictures(files, rgb8, {})


def prepare(
    count: int = 6, instruments: metrics.Instruments = NOTHING, **options: Any
) -> evaluation.Test:
    return evaluation.prepare(pictures(count), "soft", 32, instruments=instruments, **options)


def records(results: Path) -> dict[str, RunRecord]:
    found = [read_record(path) for path in results.glob("*/seed-0/tests/*/run.json")]
    return {record.run: record for record in found}


def test_the_fixed_rows_are_complete_records(tmp_path: Path) -> None:
    evaluation.test_baselines(tmp_path, prepare(), SET)
    found = records(tmp_path)
    assert {record.model for record in found.values()} == {"grey", "mean ab", "ground truth"}
    for record in found.values():
        assert record.metrics.keys() == metrics.METRICS.keys()
        assert record.refusal is None
        for key, score in record.metrics.items():
            if key in MISSING:
                assert (score.mean, score.n, score.reason) == (None, 0, MISSING[key])
            else:
                assert score.n == 6
    truth, grey = found["ground-truth"].metrics, found["grey"].metrics
    for key, metric in metrics.METRICS.items():
        if metric.perfect is not None and key not in MISSING:
            assert truth[key].mean == pytest.approx(metric.perfect, abs=2e-5)
    assert grey["ab_divergence"].mean > 0.1  # type: ignore[operator]
    assert grey["ab_divergence"].low is None
    assert grey["ssim"].low < grey["ssim"].mean < grey["ssim"].high  # type: ignore[operator]


def test_what_is_scored_are_the_files_as_written(tmp_path: Path) -> None:
    on = prepare()
    evaluation.test_baselines(tmp_path, on, {})
    (folder,) = (tmp_path / "grey/seed-0/tests").iterdir()
    for picture, rgb8 in zip(on.pictures.files, on.pictures.rgb8, strict=True):
        save_png(tmp_path / "truth" / picture.name, rgb_from_8bit(rgb8))
    again = metrics.score_folder(folder / "pictures", tmp_path / "truth")
    with (folder / "per_image.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0].keys() == {"file", "sha256", "sample", "picture"} | again.pictures.keys()
    for key, values in again.pictures.items():
        assert [float(row[key]) for row in rows] == pytest.approx(values, rel=1e-6)
    record = json.loads((folder / "run.json").read_text())
    assert record["metrics"]["ab_divergence"]["mean"] == again.sets["ab_divergence"].value


def test_mean_ab_is_that_of_its_training_set_and_says_which(tmp_path: Path) -> None:
    lightness = rgb_to_lightness(rgb_from_8bit(pictures(1).rgb8))
    output = MeanAb((3.0, 9.0)).eval().colorize(lightness, seeds=[0])
    expected = join(lightness, torch.tensor([3.0, 9.0]).view(1, 2, 1, 1).expand(1, 2, 32, 32))
    assert torch.equal(output, expected)
    assert rgb_to_lab(output)[:, 1:].mean(dim=(0, 2, 3)).tolist() == pytest.approx([3, 9], abs=0.5)

    on = prepare()
    other = SET | {"name": "other photos", "manifest": "d" * 64, "ab_mean": [-20.0, 5.0]}
    without = {key: value for key, value in SET.items() if key != "ab_mean"}
    for training_set in (SET, other, {}, without):
        evaluation.test_baselines(tmp_path, on, training_set)
    means = [record for record in records(tmp_path).values() if record.model == "mean ab"]
    assert {record.training_data["name"] for record in means} == {"photos", "other photos"}
    assert len(means) == 2
    text = metrics.write_leaderboard(tmp_path)[0].read_text(encoding="utf-8")
    assert "| mean ab of photos, 12 pictures " in text
    assert "| mean ab of other photos, 12 pictures " in text


def test_a_truth_that_is_not_perfect_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = GroundTruth.predict
    monkeypatch.setattr(
        GroundTruth, "predict", lambda self, lightness, **words: right(self, lightness, **words) + 1
    )
    with pytest.raises(RuntimeError, match="ground truth scores"):
        evaluation.test_baselines(tmp_path, prepare(), {})


def test_one_picture_is_scored_without_an_interval_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = prepare(1)
    said = capsys.readouterr().err
    assert "one test picture only" in said
    assert "LPIPS (alex) is left out: left out here." in said
    evaluation.test_baselines(tmp_path, on, {})
    score = records(tmp_path)["grey"].metrics["ssim"]
    assert score.mean is not None
    assert (score.std, score.low, score.high, score.n) == (None, None, None, 1)


def test_a_network_that_comes_later_is_worth_another_test(tmp_path: Path) -> None:
    evaluation.test_baselines(tmp_path, prepare(), {})
    before = records(tmp_path)["grey"]
    evaluation.test_baselines(tmp_path, prepare(), {})
    assert records(tmp_path)["grey"] == before
    later = metrics.Instruments(networks={"kid": Coarse()}, missing={"lpips": "left out here"})
    evaluation.test_baselines(tmp_path, prepare(instruments=later), {})
    kid = records(tmp_path)["grey"].metrics["kid"]
    assert kid.reason is None
    assert (kid.n, kid.low) == (6, None)
    assert kid.mean is not None
    assert kid.std is not None


def test_other_options_are_another_protocol() -> None:
    hashes = {
        prepare(instruments=metrics.Instruments(options)).protocol.hash
        for options in (
            metrics.Options(),
            metrics.Options(lpips_backbone="squeeze"),
            metrics.Options(colorfulness="absolute"),
        )
    }
    assert len(hashes) == 3
