"""What the base class guarantees for every model: L is kept, sizes are restored, and invalid input
is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.colorizer import Colorizer, OnStep, Statistics
from benchmark.errors import Diverged
from benchmark.evaluation.baselines import Gray, GroundTruth
from benchmark.randomness import Noise
from tests.support import blobs


class Coarse(Colorizer):
    """Predicts one vivid color at a quarter of the size, and stores its input as `given`."""

    size_divisor = 8

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        self.given = lightness
        height, width = lightness.shape[2:]
        ab = torch.tensor([60.0, -70.0]).view(1, 2, 1, 1)
        return ab.expand(len(lightness), 2, height // 4, width // 4)


def test_inputs_are_padded_to_the_size_divisor_and_outputs_cropped() -> None:
    model = Coarse().eval()
    lightness = 100 * torch.rand(2, 1, 17, 30)
    rgb = model.colorize(lightness, seeds=[0, 1])
    assert model.given.shape == (2, 1, 24, 32)
    assert rgb.shape == (2, 3, 17, 30)
    assert torch.equal(model.given[:, :, :17, :30], lightness)


def test_vivid_color_keeps_the_lightness_and_the_hue() -> None:
    lightness = torch.linspace(2, 98, 32 * 32).view(1, 1, 32, 32)
    lab = rgb_to_lab(Coarse().eval().colorize(lightness, seeds=[0]))
    torch.testing.assert_close(lab[:, :1], lightness, atol=0.02, rtol=0)
    chroma = lab[:, 1:].norm(dim=1)
    hue = torch.atan2(lab[:, 2], lab[:, 1])[chroma > 2]
    expected = torch.atan2(torch.tensor(-70.0), torch.tensor(60.0))
    assert (hue - expected).abs().max() < 0.02


@pytest.mark.parametrize(
    ("lightness", "fault"),
    [
        (torch.rand(1, 3, 32, 32), "shape"),
        (torch.rand(1, 1, 15, 32), "at least 16 are needed"),
        (torch.rand(2, 1, 32, 32), "1 seeds for 2 images"),
        (255 * torch.ones(1, 1, 32, 32), "L\\* in"),
        (-torch.ones(1, 1, 32, 32), "L\\* in"),
        (torch.full((1, 1, 32, 32), torch.nan), "L\\* in"),
    ],
)
def test_anything_but_lightness_is_refused(lightness: Tensor, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Gray().eval().colorize(lightness, seeds=[0])


def test_coloring_in_training_mode_is_refused() -> None:
    with pytest.raises(RuntimeError, match="eval"):
        Gray().train().colorize(torch.rand(1, 1, 32, 32), seeds=[0])


def test_the_ground_truth_row_is_exact_to_the_bit() -> None:
    rgb8 = torch.cat([blobs(4, 32), torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)])
    lightness = rgb_to_lightness(rgb_from_8bit(rgb8))
    truth = GroundTruth(rgb8, {row: row for row in range(8)}).eval()
    output = truth.colorize(lightness, seeds=range(8))
    assert torch.equal(rgb_to_8bit(output), rgb8)


def test_noise_depends_on_the_seed_alone() -> None:
    batch = Noise([3, 4], torch.device("cpu"))
    single = Noise([4], torch.device("cpu"))
    for _ in range(2):
        assert torch.equal(batch(2, 5, 5)[1], single(2, 5, 5)[0])
    assert not torch.equal(batch(2, 5, 5)[0], batch(2, 5, 5)[0])


def test_standardization_is_invertible_and_uses_the_statistics() -> None:
    model = Gray()
    model.calibrate(Statistics((2.0, -3.0), (8.0, 16.0), 4.0))
    ab = 50 * torch.randn(2, 2, 8, 8)
    torch.testing.assert_close(model.unstandardize(model.standardize(ab)), ab)
    torch.testing.assert_close(
        model.standardize(torch.tensor([10.0, 13.0]).view(1, 2, 1, 1)).flatten(),
        torch.ones(2),
    )


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("color_space", ["lab", "rgb"])
def test_an_output_that_is_not_finite_is_refused(number: float, color_space: Any) -> None:
    """A single pixel, which clamping into the gamut would hide."""

    class Broken(Colorizer):
        def predict(
            self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
        ) -> Tensor:
            color = torch.zeros(len(lightness), self.channels, *lightness.shape[2:])
            color[-1, -1, -1, -1] = number
            return color

    model = Broken(color_space=color_space).eval()
    with pytest.raises(Diverged, match=r"not finite.* smaller learning rate"):
        model.colorize(50 * torch.ones(2, 1, 16, 16), seeds=[0, 1])
