"""Testing colorizers: fixed rows, what is measured or missing, resumed tests, several samples."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmark import leaderboard
from benchmark.color import join, rgb_from_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.colorizer import Colorizer, OnStep
from benchmark.data.cache import ImageSet
from benchmark.data.manifest import ImageFile
from benchmark.errors import UserError
from benchmark.evaluation import evaluate
from benchmark.evaluation.baselines import GroundTruth, MeanAb
from benchmark.evaluation.baselines import test_baselines as run_baselines
from benchmark.evaluation.evaluate import Candidate, TestSetup
from benchmark.evaluation.named import TestImages
from benchmark.evaluation.recorded import IDENTITY, read_table, read_test
from benchmark.figures.images import GAP, save_png
from benchmark.files import remove, sha256_of_file
from benchmark.metrics.images import delta_e2000, ssim
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.table import METRICS, MetricSuite
from benchmark.randomness import Noise
from benchmark.results.folders import RunFolder
from benchmark.results.records import RunRecord, TrainingSet, WeightsUsed
from benchmark.results.schema import read_record
from metrics import score_folder, write_leaderboard
from tests.metric_support import Coarse
from tests.support import awaken, read_rgb, tiny_model

UNAVAILABLE = {"lpips": "left out here", "kid": "left out here, too"}
NOTHING = MetricSuite(unavailable=UNAVAILABLE)
SET = TrainingSet(
    name="photos", n_train=12, n_val=2, n_unusable=0, manifest="c" * 64, ab_mean=[3.0, 9.0]
)


class Painter(Colorizer):
    """Gives each seed a different color, and counts the images that it colored."""

    stochastic = True

    def __init__(self) -> None:
        super().__init__()
        self.colored = 0

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        self.colored += len(lightness)
        return (15 * noise(2, 1, 1)).expand(-1, -1, *lightness.shape[2:])


def painter_of(results: Path, sha256: str = "1" * 64, **more: Any) -> Candidate:
    weights = WeightsUsed(
        trained_as="painter", run="painter", file="weights/best", sha256=sha256, epoch=1
    )
    folder = RunFolder(results, "painter", 8000)
    return Candidate(folder, "painter", weights=weights, **more)


def images(count: int) -> ImageSet:
    """Return images of soft colors, as if they had been read from files."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    rgb8 = (nn.functional.interpolate(coarse, (32, 32), mode="bilinear") * 255).byte()
    files = [ImageFile(f"{row}.png", Path(f"{row}.png"), f"{row:064d}") for row in range(count)]
    return ImageSet(files, rgb8, {})


def prepare(count: int = 6, suite: MetricSuite = NOTHING, **options: Any) -> TestSetup:
    return evaluate.prepare(images(count), "soft", TestImages.of(32), suite=suite, **options)


def records(results: Path) -> dict[str, RunRecord]:
    found = [read_record(path, RunRecord) for path in results.glob("*/seed-0/tests/*/run.json")]
    return {record.run: record for record in found}


def test_the_fixed_rows_are_complete_records(tmp_path: Path) -> None:
    run_baselines(tmp_path, prepare(), SET)
    found = records(tmp_path)
    assert {record.model for record in found.values()} == {"gray", "mean ab", "ground truth"}
    for record in found.values():
        assert record.metrics.keys() == METRICS.keys()
        assert record.refusal is None
        for key, score in record.metrics.items():
            if key in UNAVAILABLE:
                assert (score.mean, score.n, score.reason) == (None, 0, UNAVAILABLE[key])
            elif METRICS[key].between_samples:
                assert score.mean is None
                assert "--samples" in str(score.reason)
            else:
                assert score.n == 6
    truth, gray = found["ground-truth"].metrics, found["gray"].metrics
    for key, metric in METRICS.items():
        if metric.perfect is not None and key not in UNAVAILABLE:
            assert truth[key].mean == pytest.approx(metric.perfect, abs=2e-5)
    assert gray["ab_divergence"].mean > 0.1  # type: ignore[operator]
    assert gray["ab_divergence"].low is None
    assert gray["ssim"].low < gray["ssim"].mean < gray["ssim"].high  # type: ignore[operator]


def test_the_written_files_are_what_is_scored(tmp_path: Path) -> None:
    setup = prepare()
    run_baselines(tmp_path, setup, None)
    (folder,) = (tmp_path / "gray/seed-0/tests").iterdir()
    for image, rgb8 in zip(setup.images.files, setup.images.rgb8, strict=True):
        save_png(tmp_path / "truth" / image.name, rgb_from_8bit(rgb8))
    again = score_folder(folder / "images", tmp_path / "truth")
    with (folder / "per_image.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0].keys() == set(IDENTITY) | again.per_image.keys()
    assert [row["output_sha256"] for row in rows] == [
        sha256_of_file(folder / row["output"]) for row in rows
    ]
    for key, values in again.per_image.items():
        assert [float(row[key]) for row in rows] == pytest.approx(values, rel=1e-6)
    record = json.loads((folder / "run.json").read_text())
    assert record["metrics"]["ab_divergence"]["mean"] == again.per_set["ab_divergence"].value


def test_mean_ab_is_that_of_its_training_set_which_its_name_contains(tmp_path: Path) -> None:
    lightness = rgb_to_lightness(rgb_from_8bit(images(1).rgb8))
    output = MeanAb((3.0, 9.0)).eval().colorize(lightness, seeds=[0])
    expected = join(lightness, torch.tensor([3.0, 9.0]).view(1, 2, 1, 1).expand(1, 2, 32, 32))
    assert torch.equal(output, expected)
    assert rgb_to_lab(output)[:, 1:].mean(dim=(0, 2, 3)).tolist() == pytest.approx([3, 9], abs=0.5)

    setup = prepare()
    changed = {"name": "other photos", "manifest": "d" * 64, "ab_mean": [-20.0, 5.0]}
    other = SET.model_copy(update=changed)
    for training_set in (SET, other, None):
        run_baselines(tmp_path, setup, training_set)
    means = [record for record in records(tmp_path).values() if record.model == "mean ab"]
    assert {getattr(record.training_data, "name", None) for record in means} == {
        "photos",
        "other photos",
    }
    assert len(means) == 2
    text = write_leaderboard(tmp_path)[0].read_text(encoding="utf-8")
    assert "| mean ab of photos, 12 images " in text
    assert "| mean ab of other photos, 12 images " in text


def test_a_ground_truth_without_perfect_scores_stops_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = GroundTruth.predict
    monkeypatch.setattr(
        GroundTruth,
        "predict",
        lambda self, lightness, **others: predict(self, lightness, **others) + 1,
    )
    with pytest.raises(RuntimeError, match="ground truth scores"):
        run_baselines(tmp_path, prepare(), None)
    assert not list(tmp_path.rglob("run.json"))


def test_one_image_is_scored_without_an_interval_and_a_message_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = prepare(1)
    messages = capsys.readouterr().err
    assert "only one test image" in messages
    assert "LPIPS (alex) is left out: left out here." in messages
    run_baselines(tmp_path, setup, None)
    score = records(tmp_path)["gray"].metrics["ssim"]
    assert score.mean is not None
    assert (score.std, score.low, score.high, score.n) == (None, None, None, 1)


def test_a_metric_that_becomes_available_is_measured(tmp_path: Path) -> None:
    run_baselines(tmp_path, prepare(), None)
    before = records(tmp_path)["gray"]
    run_baselines(tmp_path, prepare(), None)
    assert records(tmp_path)["gray"] == before
    with_kid = MetricSuite(networks={"kid": Coarse()}, unavailable={"lpips": "left out here"})
    run_baselines(tmp_path, prepare(suite=with_kid), None)
    kid = records(tmp_path)["gray"].metrics["kid"]
    assert kid.reason is None
    assert (kid.n, kid.low) == (6, None)
    assert kid.mean is not None
    assert kid.std is not None


def test_repeating_a_test_of_3_images_with_a_kid_network_changes_nothing(tmp_path: Path) -> None:
    """KID of fewer than 4 images is undefined, so a repetition has nothing left to measure."""
    suite = MetricSuite(networks={"kid": Coarse()}, unavailable={"lpips": "left out here"})
    painter, candidate, setup = Painter().eval(), painter_of(tmp_path), prepare(3, suite)
    record = evaluate.test(candidate, painter, setup)
    assert record.metrics["kid"].mean is None
    assert "at least 4 images" in str(record.metrics["kid"].reason)
    files = [setup.folder(candidate).path / name for name in ("run.json", "per_image.csv")]
    before = [path.stat().st_mtime_ns for path in files]
    again = evaluate.test(candidate, painter, setup)
    assert again == record
    assert again.finished == record.finished
    assert [path.stat().st_mtime_ns for path in files] == before
    assert painter.colored == 3


def test_only_missing_images_are_colored(tmp_path: Path) -> None:
    painter, candidate, setup = Painter().eval(), painter_of(tmp_path), prepare()
    record = evaluate.test(candidate, painter, setup)
    assert painter.colored == 6
    assert evaluate.test(candidate, painter, setup) == record
    assert painter.colored == 6
    image = setup.folder(candidate).path / "images/3.png"
    content = image.read_bytes()
    image.unlink()
    again = evaluate.test(candidate, painter, setup)
    assert painter.colored == 7
    assert image.read_bytes() == content
    assert again.per_image_sha256 == record.per_image_sha256
    # More samples leave the first one unchanged; asking for fewer later removes none.
    three = evaluate.test(candidate, painter, prepare(samples=3))
    assert painter.colored == 7 + 12
    assert three.metrics["ssim"] == record.metrics["ssim"]
    assert evaluate.test(candidate, painter, setup) == three
    # With other weights, or with overwrite=True, all images are colored again.
    evaluate.test(painter_of(tmp_path, "2" * 64), painter, setup)
    assert painter.colored == 19 + 6
    evaluate.test(painter_of(tmp_path, "2" * 64), painter, setup, overwrite=True)
    assert painter.colored == 25 + 6


def test_overwrite_removes_what_is_in_the_place_of_any_file(tmp_path: Path) -> None:
    painter, candidate, setup = Painter().eval(), painter_of(tmp_path), prepare()
    folder = setup.folder(candidate)
    for path in (*folder.written, folder.path / "images" / "0.png"):
        remove(path.parent if path.name == "0.png" else path)
        (path / "mine").mkdir(parents=True)
    evaluate.test(candidate, painter, setup, overwrite=True)
    assert read_test(folder)[0].n_scored == 6
    assert folder.figure.is_file()

    # The lock is no part of the test: another process may hold it.
    remove(folder.lock)
    folder.lock.mkdir()
    with pytest.raises(UserError, match=r"\.lock .*rename or delete it"):
        evaluate.test(candidate, painter, setup, overwrite=True)


def test_the_last_frames_are_the_written_images(tmp_path: Path) -> None:
    """Frames are drawn later and in another batch; they are deleted when the images are."""
    model = tiny_model("unetddim")
    awaken(model)
    sampling = model.resolve_sampling(model.sampling_class(steps=3))
    candidate, setup = painter_of(tmp_path, sampling=sampling), prepare(num_images=2)
    evaluate.test(candidate, model, setup)
    folder = setup.folder(candidate).path
    first = evaluate.write_frames(candidate, model, setup)
    assert first == [folder / f"frames/{name}" for name in ("0.png", "0.webp", "1.png", "1.webp")]
    for row in range(2):
        with Image.open(folder / f"frames/{row}.webp") as animation:
            animation.seek(3)
            sheet = torch.from_numpy(np.array(animation.convert("RGB"))).permute(2, 0, 1)
        last = sheet[:, -256 - GAP : -GAP, -256 - GAP : -GAP][:, ::8, ::8] / 255
        written = read_rgb(folder / f"images/{row}.png")
        assert (last - written).abs().max() <= 1.01 / 255

    before = [path.stat().st_mtime_ns for path in first]
    first[2].unlink()
    three = evaluate.write_frames(candidate, model, replace(setup, num_images=3))
    after = [path.stat().st_mtime_ns for path in three]
    assert after[:2] == before[:2]  # only missing frames are written
    assert after[3] > before[3]
    other = painter_of(tmp_path, "2" * 64, sampling=sampling)
    evaluate.test(other, model, setup)
    assert not any(path.exists() for path in three)


def test_reused_scores_equal_those_of_one_test(tmp_path: Path) -> None:
    """1, 3, then 5 samples, then other weights: all values are those of a single new test."""
    painter, candidate = Painter().eval(), painter_of(tmp_path / "stepwise")
    for samples in (1, 3, 5):
        grown = evaluate.test(candidate, painter, prepare(samples=samples))
        at_once = evaluate.test(
            painter_of(tmp_path / str(samples)), painter, prepare(samples=samples)
        )
        assert (grown.metrics, grown.samples) == (at_once.metrics, at_once.samples)
        assert grown.per_image_sha256 == at_once.per_image_sha256

    class Bold(Painter):
        def predict(self, lightness: Tensor, **others: Any) -> Tensor:
            return 3 * super().predict(lightness, **others)

    other = evaluate.test(painter_of(tmp_path / "stepwise", "2" * 64), Bold().eval(), prepare())
    at_once = evaluate.test(painter_of(tmp_path / "bold", "2" * 64), Bold().eval(), prepare())
    assert other.metrics == at_once.metrics
    assert other.metrics["ab_divergence"] != grown.metrics["ab_divergence"]


def test_renamed_images_are_colored_again(tmp_path: Path) -> None:
    """Output files and seeds depend on names, so the existing outputs belong to other images."""
    painter, candidate, setup = Painter().eval(), painter_of(tmp_path), prepare()
    evaluate.test(candidate, painter, setup)
    first, second, *rest = setup.images.files
    swapped = [replace(first, digest=second.digest), replace(second, digest=first.digest), *rest]
    rgb8 = setup.images.rgb8[[1, 0, 2, 3, 4, 5]]
    renamed = replace(setup, images=ImageSet(swapped, rgb8, {}))
    assert renamed.protocol.hash == setup.protocol.hash
    evaluate.test(candidate, painter, renamed)
    assert painter.colored == 12
    run_baselines(tmp_path, setup, None)
    run_baselines(tmp_path, renamed, None)


def test_another_seed_gives_other_images(tmp_path: Path) -> None:
    setup = prepare(samples=2)
    hashes = []
    for seed in (1, 2):
        candidate = replace(painter_of(tmp_path), folder=RunFolder(tmp_path, "painter", seed))
        evaluate.test(candidate, Painter().eval(), setup)
        folder = setup.folder(candidate).path
        hashes += [sha256_of_file(folder / part / "0.png") for part in ("images", "samples/1")]
    assert len(set(hashes)) == 4


def test_an_interrupted_test_resumes(tmp_path: Path) -> None:
    class Interrupted(Painter):
        def predict(self, lightness: Tensor, **others: Any) -> Tensor:
            if self.colored == 4:
                raise KeyboardInterrupt
            return super().predict(lightness, **others)

    candidate, setup = painter_of(tmp_path), prepare(batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        evaluate.test(candidate, Interrupted().eval(), setup)
    assert not (setup.folder(candidate).path / "run.json").exists()
    painter = Painter().eval()
    record = evaluate.test(candidate, painter, setup)
    assert painter.colored == 2
    whole = evaluate.test(painter_of(tmp_path / "whole"), Painter().eval(), setup)
    assert record.per_image_sha256 == whole.per_image_sha256


def test_a_damaged_table_is_written_again(tmp_path: Path) -> None:
    painter, candidate, setup = Painter().eval(), painter_of(tmp_path), prepare()
    record = evaluate.test(candidate, painter, setup)
    table = setup.folder(candidate).path / "per_image.csv"
    table.write_bytes(table.read_bytes()[:100])
    assert evaluate.test(candidate, painter, setup).per_image_sha256 == record.per_image_sha256
    assert painter.colored == 6


def test_several_samples_have_a_mean_a_best_and_a_diversity(tmp_path: Path) -> None:
    candidate, setup = painter_of(tmp_path), prepare(samples=3)
    record = evaluate.test(candidate, Painter().eval(), setup)
    table = read_table(setup.folder(candidate).path / "per_image.csv", record.per_image_sha256)
    assert table["sample"].value_counts().to_dict() == {"0": 6, "1": 6, "2": 6, "mean": 6}

    def outputs(sample: str) -> Tensor:
        paths = table[table["sample"] == sample]["output"]
        return torch.stack([read_rgb(setup.folder(candidate).path / path) for path in paths])

    first, second, third, mean = (outputs(sample) for sample in ("0", "1", "2", "mean"))
    assert not torch.equal(first, second)
    pairs = [
        delta_e2000(*pair).mean() for pair in ((first, second), (first, third), (second, third))
    ]
    diversity = record.metrics["diversity_delta_e2000"]
    assert diversity.mean == pytest.approx(float(sum(pairs)) / 3, rel=1e-4)
    lab = torch.stack([rgb_to_lab(rgb) for rgb in (first, second, third)]).mean(0)
    assert (
        rgb_to_lab(mean) - lab
    ).abs().mean() < 0.5  # except for rounding to 8 bits and the gamut
    several = record.samples
    assert several is not None
    truth = rgb_from_8bit(setup.images.rgb8)
    errors = torch.stack([delta_e2000(rgb, truth) for rgb in (first, second, third)])
    assert several.best["delta_e2000"].mean == pytest.approx(float(errors.amin(0).mean()), rel=1e-4)
    ssims = torch.stack([ssim(rgb, truth) for rgb in (first, second, third)])
    assert several.best["ssim"].mean == pytest.approx(float(ssims.amax(0).mean()), rel=1e-4)
    error = several.mean["delta_e2000"].mean
    assert error == pytest.approx(float(delta_e2000(mean, truth).mean()), rel=1e-4)
    assert error < record.metrics["delta_e2000"].mean  # type: ignore[operator]
    text = leaderboard.formats.markdown(leaderboard.write(tmp_path))
    assert "(oracle)" in text


def test_a_model_that_is_not_stochastic_has_one_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = prepare(samples=3)
    record = evaluate.test(painter_of(tmp_path), MeanAb((3.0, 9.0)).eval(), setup)
    assert record.samples is None
    assert "not stochastic" in capsys.readouterr().err


def test_other_metric_options_are_another_protocol() -> None:
    hashes = {
        prepare(suite=MetricSuite(options)).protocol.hash
        for options in (
            MetricOptions(),
            MetricOptions(lpips_backbone="squeeze"),
            MetricOptions(colorfulness="absolute"),
        )
    }
    assert len(hashes) == 3
