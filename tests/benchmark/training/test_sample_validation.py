"""The fixed validation images that select the best epoch of a training."""

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.colorizer import Colorizer, OnStep
from benchmark.evaluation.baselines import Gray
from benchmark.metrics.table import MetricSuite
from benchmark.randomness import Noise
from benchmark.training.sample_validation import IMAGES, SampleValidation, spread
from tests.support import blobs

CPU = torch.device("cpu")


class Truth(Colorizer):
    """Predicts the true ab with its hue rotated by an angle in radians."""

    def __init__(self, truth8: Tensor, angle: float) -> None:
        super().__init__()
        a, b = rgb_to_lab(rgb_from_8bit(truth8))[:, 1:].unbind(1)
        turn = torch.tensor(angle)
        self.ab = torch.stack([a * turn.cos() - b * turn.sin(), a * turn.sin() + b * turn.cos()], 1)

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        return self.ab[: len(lightness)]


def test_the_selection_score_is_lowest_for_true_colors_and_highest_for_gray() -> None:
    truth8 = blobs(IMAGES, 32)
    sample_validation = SampleValidation(truth8, MetricSuite())
    scores = [
        SampleValidation.selection_score(sample_validation.scores(model.eval(), CPU))
        for model in (Truth(truth8, 0.0), Truth(truth8, 0.5), Gray())
    ]
    assert scores == sorted(scores)
    assert scores[0] == pytest.approx(0, abs=1e-3)
    assert scores[2] > 0.1


def test_lpips_is_part_of_the_score_if_there_is_a_network() -> None:
    truth8 = blobs(4, 32)

    class Network(torch.nn.Module):
        def forward(self, output: Tensor, truth: Tensor) -> Tensor:
            return torch.full((len(output),), 2.0)

    gray = Gray().eval()
    without = SampleValidation(truth8, MetricSuite()).scores(gray, CPU)
    scores = SampleValidation(truth8, MetricSuite(networks={"lpips": Network()})).scores(gray, CPU)
    assert scores == {"lpips": 2.0, **without}
    assert SampleValidation.selection_score(scores) == pytest.approx(
        2 + SampleValidation.selection_score(without)
    )


def test_the_images_are_taken_from_the_whole_of_the_validation_split() -> None:
    assert spread(torch.arange(10), 3).tolist() == [0, 3, 6]
    assert spread(torch.arange(618), 64).diff().unique().tolist() == [9, 10]
    assert spread(torch.arange(3), 64).tolist() == [0, 1, 2]
