"""Slips of public evaluation code: each is shown to change a number that is right here."""

import pytest
import torch
from lpips import LPIPS
from skimage.metrics import structural_similarity

from benchmark.metrics.images import colorfulness, ssim
from benchmark.metrics.networks import Lpips
from tests.metric_support import float_pair
from tests.support import blobs


def test_images_in_0_1_where_lpips_expects_minus_1_1_are_another_distance() -> None:
    torch.manual_seed(0)
    network = LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    output, truth = float_pair(0, height=64, width=64)
    with torch.no_grad():
        right = network(2 * output - 1, 2 * truth - 1).flatten()
        slip = network(output, truth).flatten()
        ours = Lpips(network)(output, truth)
    torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-6)
    assert ((slip - right).abs() / right).min() > 0.05


def test_a_range_of_225_makes_structural_similarity_another_number() -> None:
    truth8 = (100 + 0.1 * blobs(1, 48)[0].float()).byte()  # smooth, where the constants matter
    noise = torch.randn(truth8.shape, generator=torch.Generator().manual_seed(0))
    output8 = (truth8 + 2 * noise).round().byte()
    pair = [rgb8.permute(1, 2, 0).numpy() for rgb8 in (output8, truth8)]
    right, slip = (
        structural_similarity(
            *pair,
            data_range=data_range,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for data_range in (255, 225)
    )
    ours = float(ssim(output8[None].float() / 255, truth8[None].float() / 255))
    assert ours == pytest.approx(right, abs=0.01)  # which also averages over the borders
    assert abs(slip - right) > 0.01


def test_leaving_gray_outputs_out_of_the_mean_makes_a_timid_model_vivid() -> None:
    vivid, _ = float_pair(2, n=1, height=32, width=32)
    gray = vivid.mean(dim=1, keepdim=True).expand(3, 3, -1, -1)
    values = colorfulness(torch.cat([vivid, gray]))
    kept = values[values > 1]
    assert float(kept.mean()) == pytest.approx(4 * float(values.mean()), rel=0.01)


def test_the_absolute_variant_of_colorfulness_is_another_number() -> None:
    rgb, _ = float_pair(3, height=32, width=32)
    signed, absolute = colorfulness(rgb), colorfulness(rgb, "absolute")
    assert ((signed - absolute).abs() / signed).min() > 0.05
