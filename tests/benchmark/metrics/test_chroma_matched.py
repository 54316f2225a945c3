"""Chroma-matched metrics: what is only more or less vivid has the same score."""

import pytest
import torch
from torch import Tensor

from benchmark.color import join, rgb_from_8bit, rgb_to_8bit, rgb_to_lab
from benchmark.metrics.images import (
    MOST_CHROMA,
    SAME_COLORFULNESS,
    ImagePair,
    colorfulness,
    match_chroma,
)
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.score import in_batches, score
from benchmark.metrics.table import MetricSuite
from tests.leaderboard_support import MeanDifference
from tests.metric_support import Coarse
from tests.support import blobs


def soft(seed: int = 0, n: int = 4) -> Tensor:
    """Return sRGB (n, 3, 32, 32) so muted that 1.5 times its chroma is inside the gamut."""
    lab = rgb_to_lab(blobs(n + seed, 32)[seed:].float() / 255)
    return join(50 + 0.2 * (lab[:, :1] - 50), 0.15 * lab[:, 1:])


def scaled(rgb: Tensor, factor: float) -> Tensor:
    lab = rgb_to_lab(rgb)
    return join(lab[:, :1], factor * lab[:, 1:])


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.5])
@pytest.mark.parametrize("variant", ["signed", "absolute"])
def test_the_truth_with_another_chroma_is_matched_to_itself(factor: float, variant: str) -> None:
    truth = soft()
    matched = match_chroma(ImagePair(scaled(truth, factor), truth), variant)  # type: ignore[arg-type]
    assert (matched - truth).abs().max() < 2 / 255


def test_scaling_an_output_does_not_change_its_matched_scores() -> None:
    options = MetricOptions(fid="on", chroma_matched="on")
    suite = MetricSuite(options, {"lpips": MeanDifference(), "kid": Coarse()})
    truth, output = soft(), soft(seed=4)
    found = [
        score(in_batches(zip(*(rgb_to_8bit(x) for x in (one, truth)), strict=True)), suite)
        for one in (output, scaled(output, 0.7), scaled(output, 1.3))
    ]
    first = found[0]
    for other in found[1:]:
        assert other.per_image["lpips_matched"] == pytest.approx(
            first.per_image["lpips_matched"], abs=2e-3
        )
        assert other.per_set["fid_matched"].value == pytest.approx(
            first.per_set["fid_matched"].value, rel=0.05, abs=1e-3
        )
        assert other.per_set["fid"].value != pytest.approx(first.per_set["fid"].value, rel=0.05)


def test_a_gray_output_stays_gray_and_a_nearly_gray_one_is_scaled_at_most_so_far() -> None:
    truth = soft()
    gray = scaled(truth, 0.0)
    assert (match_chroma(ImagePair(gray, truth)) - gray).abs().max() < 1 / 255
    faint = scaled(truth, 0.5 / MOST_CHROMA)
    matched = match_chroma(ImagePair(faint, truth))
    ratio = colorfulness(matched) / colorfulness(faint)
    torch.testing.assert_close(ratio, torch.full_like(ratio, MOST_CHROMA), rtol=0.1, atol=0)


def test_matched_outputs_are_8_bit_images_of_their_truths_colorfulness() -> None:
    truth, output = soft(), rgb_from_8bit(rgb_to_8bit(soft(seed=4)))
    matched = match_chroma(ImagePair(output, truth))
    assert torch.equal(rgb_from_8bit(rgb_to_8bit(matched)), matched)
    assert not torch.equal(matched, output)
    torch.testing.assert_close(colorfulness(matched), colorfulness(truth), rtol=0, atol=0.5)


@pytest.mark.parametrize("variant", ["signed", "absolute"])
def test_an_output_as_colorful_as_its_truth_is_unchanged(variant: str) -> None:
    """Within SAME_COLORFULNESS, whatever its colors are; and no further away."""
    truth = rgb_from_8bit(rgb_to_8bit(soft()))
    mirrored = truth.flip(3)
    assert torch.equal(match_chroma(ImagePair(mirrored, truth), variant), mirrored)  # type: ignore[arg-type]
    one_pixel = mirrored.clone()
    one_pixel[0, :, 0, 0] = torch.tensor([1.0, 0.0, 0.0])
    gap = (colorfulness(one_pixel, variant) - colorfulness(truth, variant)).abs()  # type: ignore[arg-type]
    assert gap[0] > SAME_COLORFULNESS
    matched = match_chroma(ImagePair(one_pixel, truth), variant)  # type: ignore[arg-type]
    assert not torch.equal(matched[0], one_pixel[0])
    assert torch.equal(matched[1:], one_pixel[1:])


def test_the_ground_truth_has_perfect_matched_scores() -> None:
    suite = MetricSuite(
        MetricOptions(fid="on", chroma_matched="on"), {"lpips": MeanDifference(), "kid": Coarse()}
    )
    truth = rgb_to_8bit(soft())
    found = score(in_batches(zip(truth, truth, strict=True)), suite)
    assert found.per_image["lpips_matched"] == [0.0] * len(truth)
    assert found.per_set["fid_matched"] == found.per_set["fid"]
