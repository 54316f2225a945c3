"""The fixed rows of every table: gray, mean ab and ground truth, tested exactly as a model is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.colorizer import Colorizer, OnStep
from benchmark.data.rows import Rows
from benchmark.evaluation.evaluate import Candidate, TestSetup, test
from benchmark.files import sha256_of_json
from benchmark.metrics.table import MetricSuite
from benchmark.randomness import Noise, derive_seed
from benchmark.results.folders import GRAY_RUN, GROUND_TRUTH_RUN, MEAN_AB_RUN, RunFolder
from benchmark.results.records import Score, TrainingSet

GRAY, MEAN_AB, GROUND_TRUTH = "gray", "mean ab", "ground truth"


class Gray(Colorizer):
    """The unchanged input: what copying it scores."""

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        return torch.zeros_like(lightness).expand(-1, 2, -1, -1)


class MeanAb(Colorizer):
    """A constant color, the mean of a training set: what coloring without seeing scores.

    ab_mean: in Lab units.
    """

    def __init__(self, ab_mean: tuple[float, float]) -> None:
        super().__init__()
        self.ab_mean = ab_mean

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        ab = torch.tensor(self.ab_mean, device=lightness.device).view(1, 2, 1, 1)
        return ab.expand(len(lightness), 2, *lightness.shape[2:])


class GroundTruth(Colorizer):
    """The true colors: the best possible scores, which also check the whole pipeline.

    truths: uint8 (N, 3, H, W). rows: the row of each image by its seed, the only thing that a
    colorizer knows of an image.
    """

    def __init__(self, truths: Rows, rows: Mapping[int, int]) -> None:
        super().__init__()
        self.truths, self.rows = truths, rows

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        rgb8 = self.truths[[self.rows[seed] for seed in noise.seeds]]
        return rgb_to_lab(rgb_from_8bit(rgb8.to(lightness.device)))[:, 1:]


def test_baselines(results: Path, setup: TestSetup, training_set: TrainingSet | None) -> None:
    """Test the fixed rows of a protocol; the mean ab is that of `training_set`, if there is one.

    Ground truth is tested first, unless the photos have no true color. Raises RuntimeError if its
    scores are not perfect, and then leaves no result of it.
    """
    seeds = [derive_seed(0, image.name, 0) for image in setup.images.files]
    truth = GroundTruth(setup.images.rgb8, {seed: row for row, seed in enumerate(seeds)})
    rows: list[tuple[str, str, Colorizer]] = [(GRAY, GRAY_RUN, Gray())]
    if setup.suite.options.reference == "color":
        rows.insert(0, (GROUND_TRUTH, GROUND_TRUTH_RUN, truth))
    for name, run, colorizer in rows:
        candidate = Candidate(RunFolder(results, run, 0), name, kind="fixed")
        record = test(candidate, colorizer.eval(), setup)
        error = ground_truth_error(record.metrics, setup.suite) if name == GROUND_TRUTH else None
        if error is not None:
            setup.folder(candidate).record.unlink()
            raise RuntimeError(f"ground truth {error}: this is a bug")
    if training_set is not None:
        folder = RunFolder(results, mean_ab_run(training_set), 0)
        candidate = Candidate(folder, MEAN_AB, kind="fixed", training_data=training_set)
        a_mean, b_mean = training_set.ab_mean
        test(candidate, MeanAb((a_mean, b_mean)).eval(), setup)


def mean_ab_run(training_set: TrainingSet) -> str:
    """The run of a training set's mean ab: each set has a row of its own, and a table several."""
    sha256 = sha256_of_json([training_set.manifest, training_set.ab_mean])
    return f"{MEAN_AB_RUN}-{sha256[:8]}"


def ground_truth_error(scores: Mapping[str, Score], suite: MetricSuite) -> str | None:
    """What is not perfect in the scores of the ground truth, or None."""
    unavailable = suite.reasons_without(suite.metrics)
    for key, metric in suite.metrics.items():
        mean, perfect = scores[key].mean, metric.perfect
        if perfect is None or key in unavailable:
            continue
        if mean is None or abs(mean - perfect) > 2e-5:
            return f"scores {mean} in {key}, not {perfect}"
    return None
