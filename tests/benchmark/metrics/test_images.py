"""Metrics of images: compared with scikit-image and Sharma's pairs; properties; refused inputs."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.metrics import ssim as kornia_ssim
from skimage import color as skimage_color
from skimage import data as skimage_data
from skimage import metrics as skimage_metrics
from torch import Tensor, nn

from benchmark.color import join, rgb_from_8bit, rgb_to_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.metrics import images
from benchmark.metrics.images import (
    ciede2000,
    colorfulness,
    colorfulness_gap,
    delta_e76,
    delta_e2000,
    lightness_error,
    lpips,
    psnr,
    ssim,
)
from benchmark.metrics.table import METRICS
from tests.metric_support import float_pair, random_pair, scored

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=8)  # each image already has thousands of different pixels
ZERO_FOR_EQUALS = ("delta_e76", "delta_e2000", "lightness_error", "colorfulness_gap")
SYMMETRIC = ("ssim", "psnr", *ZERO_FOR_EQUALS)
PER_IMAGE = [key for key, metric in METRICS.items() if metric.per_image]

# Table 1 of Sharma, Wu and Dalal 2005: L*, a*, b* twice, ΔE00.
SHARMA = """
50.0000   2.6772 -79.7751 50.0000   0.0000 -82.7485  2.0425
50.0000   3.1571 -77.2803 50.0000   0.0000 -82.7485  2.8615
50.0000   2.8361 -74.0200 50.0000   0.0000 -82.7485  3.4412
50.0000  -1.3802 -84.2814 50.0000   0.0000 -82.7485  1.0000
50.0000  -1.1848 -84.8006 50.0000   0.0000 -82.7485  1.0000
50.0000  -0.9009 -85.5211 50.0000   0.0000 -82.7485  1.0000
50.0000   0.0000   0.0000 50.0000  -1.0000   2.0000  2.3669
50.0000  -1.0000   2.0000 50.0000   0.0000   0.0000  2.3669
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0009  7.1792
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0010  7.1792
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0011  7.2195
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0012  7.2195
50.0000  -0.0010   2.4900 50.0000   0.0009  -2.4900  4.8045
50.0000  -0.0010   2.4900 50.0000   0.0010  -2.4900  4.8045
50.0000  -0.0010   2.4900 50.0000   0.0011  -2.4900  4.7461
50.0000   2.5000   0.0000 50.0000   0.0000  -2.5000  4.3065
50.0000   2.5000   0.0000 73.0000  25.0000 -18.0000 27.1492
50.0000   2.5000   0.0000 61.0000  -5.0000  29.0000 22.8977
50.0000   2.5000   0.0000 56.0000 -27.0000  -3.0000 31.9030
50.0000   2.5000   0.0000 58.0000  24.0000  15.0000 19.4535
50.0000   2.5000   0.0000 50.0000   3.1736   0.5854  1.0000
50.0000   2.5000   0.0000 50.0000   3.2972   0.0000  1.0000
50.0000   2.5000   0.0000 50.0000   1.8634   0.5757  1.0000
50.0000   2.5000   0.0000 50.0000   3.2592   0.3350  1.0000
60.2574 -34.0099  36.2677 60.4626 -34.1751  39.4387  1.2644
63.0109 -31.0961  -5.8663 62.8187 -29.7946  -4.0864  1.2630
61.2901   3.7196  -5.3901 61.4292   2.2480  -4.9620  1.8731
35.0831 -44.1164   3.7933 35.0232 -40.0716   1.5901  1.8645
22.7233  20.0904 -46.6940 23.0331  14.9730 -42.5619  2.0373
36.4612  47.8580  18.3852 36.2715  50.5065  21.2231  1.4146
90.8027  -2.0831   1.4410 91.1528  -1.6435   0.0447  1.4441
90.9257  -0.5406  -0.9208 88.6381  -0.8985  -0.7239  1.5381
 6.7747  -0.2908  -2.4247  5.8714  -0.0985  -2.2286  0.6377
 2.0776   0.0795  -1.1350  0.9033  -0.0636  -0.5514  0.9082
"""


def each(prediction: Tensor, truth: Tensor, reference: Callable[..., Any]) -> list[float]:
    """Apply a reference for one pair of float64 images (H, W, 3) to each pair of a batch."""
    pairs = zip(
        prediction.double().permute(0, 2, 3, 1).numpy(),
        truth.double().permute(0, 2, 3, 1).numpy(),
        strict=True,
    )
    return [float(reference(first, second)) for first, second in pairs]


# ---- references ----------------------------------------------------------------------------------


def test_ssim_equals_scikit_image_with_wangs_settings() -> None:
    prediction, truth = float_pair(0, n=6)
    # Almost constant images, in which a variance computed from large squares would be lost in
    # rounding: white and black with a few values one 8-bit step away.
    specks = (torch.rand(truth[4].shape, generator=torch.Generator().manual_seed(0)) < 0.02) / 255
    prediction[4:], truth[4], truth[5] = (
        torch.tensor([1.0, 0.0]).view(2, 1, 1, 1),
        1 - specks,
        specks,
    )
    expected = each(
        prediction,
        truth,
        lambda p, t: skimage_metrics.structural_similarity(  # type: ignore[no-untyped-call]
            t,
            p,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
        ),
    )
    assert min(expected) < 0.7
    np.testing.assert_allclose(ssim(prediction, truth), expected, atol=1e-5)


def test_psnr_equals_scikit_image() -> None:
    prediction, truth = float_pair(1, n=4)
    expected = each(
        prediction,
        truth,
        lambda p, t: skimage_metrics.peak_signal_noise_ratio(  # type: ignore[no-untyped-call]
            t, p, data_range=1.0
        ),
    )
    np.testing.assert_allclose(psnr(prediction, truth), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (delta_e76, skimage_color.deltaE_cie76),
        (delta_e2000, skimage_color.deltaE_ciede2000),
    ],
)
def test_color_differences_equal_scikit_image(
    ours: Callable[[Tensor, Tensor], Tensor], theirs: Callable[..., Any]
) -> None:
    prediction, truth = float_pair(2, n=4)

    def reference(first: Any, second: Any) -> float:
        return float(theirs(skimage_color.rgb2lab(second), skimage_color.rgb2lab(first)).mean())

    expected = each(prediction, truth, reference)
    np.testing.assert_allclose(ours(prediction, truth), expected, atol=1e-3)


def test_ciede2000_equals_sharmas_34_pairs() -> None:
    table = np.array([line.split() for line in SHARMA.split("\n") if line], dtype=np.float64)
    assert table.shape == (34, 7)
    # Float64: two of the hues differ by half a turn, where the last bit decides the sign.
    first, second = torch.from_numpy(table[:, :3]), torch.from_numpy(table[:, 3:6])
    for one, other in ((first, second), (second, first)):
        ours = ciede2000(one, other)
        np.testing.assert_allclose(ours, table[:, 6], atol=5.1e-5)


def test_colorfulness_equals_values_computed_by_hand() -> None:
    # Half red, half green: R - G is ±255 (mean 0, deviation 255), (R + G) / 2 - B is 127.5
    # everywhere. With |R - G| it would be 85.5: the deviation of a constant is 0.
    rgb = torch.zeros(2, 3, 4, 4)
    rgb[0, 0, :2] = rgb[0, 1, 2:] = 1
    # Half red, half blue: R - G is 255 or 0, the other 127.5 or -255.
    rgb[1, 0, :2] = rgb[1, 2, 2:] = 1
    half_blue = math.hypot(127.5, 191.25) + 0.3 * math.hypot(127.5, 63.75)
    expected = [255 + 0.3 * 127.5, half_blue]
    np.testing.assert_allclose(colorfulness(rgb), expected, rtol=1e-6)
    # The absolute values are 255 or 0, and 127.5 or 255.
    half_blue = math.hypot(127.5, 63.75) + 0.3 * math.hypot(127.5, 191.25)
    expected = [0.3 * math.hypot(255, 127.5), half_blue]
    np.testing.assert_allclose(colorfulness(rgb, "absolute"), expected, rtol=1e-6)
    gap = colorfulness_gap(rgb[:1], rgb[1:], "absolute")
    assert float(gap) == pytest.approx(half_blue - expected[0], rel=1e-5)


def test_lightness_error_is_the_mean_difference_in_lightness() -> None:
    lightness = torch.linspace(20, 70, 16).view(1, 1, 4, 4)
    gray = torch.zeros(1, 2, 4, 4)
    value = lightness_error(join(lightness + 3, gray + 10), join(lightness, gray))
    assert float(value) == pytest.approx(3, abs=1e-3)


# ---- properties ----------------------------------------------------------------------------------


@few
@given(SEEDS)
def test_an_image_compared_with_itself_has_the_best_score(seed: int) -> None:
    _, truth = float_pair(seed, n=1)
    assert float(ssim(truth, truth)) == pytest.approx(1, abs=1e-6)
    assert float(psnr(truth, truth)) == math.inf
    for key in ZERO_FOR_EQUALS:
        assert float(compute(key)(truth, truth)) == 0


@few
@given(SEEDS)
def test_metrics_are_symmetric(seed: int) -> None:
    first, second = float_pair(seed)
    for key in SYMMETRIC:
        torch.testing.assert_close(
            compute(key)(first, second), compute(key)(second, first), atol=1e-4, rtol=1e-5
        )


@few
@given(st.floats(0, 2 * math.pi), st.floats(10, 22), st.sampled_from([-1, 1]))
def test_a_growing_hue_error_never_scores_better(hue: float, chroma: float, turn: int) -> None:
    generator = torch.Generator().manual_seed(0)
    lightness = 55 + 15 * torch.rand(1, 1, 16, 16, generator=generator)

    def image(angle: float) -> Tensor:
        ab = torch.tensor([math.cos(angle), math.sin(angle)]).view(1, 2, 1, 1) * chroma
        return join(lightness, ab.expand(1, 2, 16, 16))

    # SSIM and PSNR compare RGB, where rotated hue is not a circle: they level off before 120°.
    for key, most in (("delta_e76", 120), ("delta_e2000", 120), ("psnr", 90), ("ssim", 75)):
        degrees = range(0, most + 1, 15)
        wrong = torch.cat([image(hue + turn * math.radians(error)) for error in degrees])
        sign = 1 if METRICS[key].direction == "down" else -1
        values = sign * compute(key)(wrong, wrong[:1].expand_as(wrong))
        assert (values.diff() > 0).all(), (key, values)


@pytest.mark.parametrize("key", PER_IMAGE)
def test_every_metric_refuses_images_in_minus_one_to_one(key: str) -> None:
    prediction, truth = float_pair(3)
    with pytest.raises(ValueError, match="spans"):
        compute(key)(prediction * 2 - 1, truth)
    if key != "colorfulness":  # which ignores the truth
        with pytest.raises(ValueError, match="spans"):
            compute(key)(prediction, truth * 2 - 1)


@pytest.mark.parametrize("key", PER_IMAGE)
def test_every_metric_refuses_anything_but_a_pair_of_float_images(key: str) -> None:
    prediction, truth = float_pair(4)
    wrong = [(prediction[0], truth[0]), (prediction * 255, truth * 255), random_pair(4)]
    wrong += [(prediction * math.nan, truth), (prediction[:, :1], truth[:, :1])]
    if key != "colorfulness":
        wrong += [(prediction[:1], truth), (prediction[..., :-1], truth)]
    for first, second in wrong:
        with pytest.raises(ValueError, match=r"prediction|rgb has|rgb is|rgb spans"):
            compute(key)(first, second)


def compute(key: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function of a metric; LPIPS has a network that must not be called."""
    if key == "lpips":
        return lambda prediction, truth: lpips(prediction, truth, nn.Identity())
    if key == "colorfulness":
        return lambda prediction, truth: colorfulness(prediction)
    found: Callable[[Tensor, Tensor], Tensor] = getattr(images, key)
    return found


@few
@given(st.lists(st.integers(0, 255), min_size=3, max_size=3))
def test_constant_images_have_finite_scores(color: list[int]) -> None:
    plain = torch.tensor(color, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    _, other = random_pair(0, n=1, height=16, width=16)
    for truth in (plain, other):
        values = scored(plain, truth).per_image.values()
        assert not any(math.isnan(value) for column in values for value in column)
    rgb = rgb_from_8bit(plain)
    assert float(ssim(rgb, rgb)) == pytest.approx(1, abs=1e-5)
    red, green, blue = color
    mean = math.hypot(red - green, (red + green) / 2 - blue)
    assert float(colorfulness(rgb)) == pytest.approx(0.3 * mean, abs=1e-3)


# ---- the gray image ------------------------------------------------------------------------------


def test_copying_the_gray_input_has_the_known_scores() -> None:
    names = ("astronaut", "chelsea", "coffee")
    photos = [getattr(skimage_data, name)() for name in names]
    truth8 = torch.stack([torch.from_numpy(p[20:276, 40:296].copy()) for p in photos])
    truth8 = truth8.permute(0, 3, 1, 2)
    truth = rgb_from_8bit(truth8)
    lightness = rgb_to_lightness(truth)
    gray8 = rgb_to_8bit(join(lightness, torch.zeros_like(truth[:, :2])))
    values = {key: np.array(v) for key, v in scored(gray8, truth8).per_image.items()}
    assert (values["lightness_error"] < 0.12).all()
    assert (values["colorfulness"] < 0.1).all()
    assert values["ssim"].mean() > 0.85  # SSIM rewards gray, which is why each table has a gray row
    # The color difference between an image and its gray copy is exactly its chroma.
    chroma = rgb_to_lab(truth)[:, 1:].norm(dim=1).mean(dim=(1, 2))
    np.testing.assert_allclose(values["delta_e76"], chroma, rtol=0.01)
    # Why other ranges are refused: the same images in [-1, 1] have a far lower SSIM.
    gray = rgb_from_8bit(gray8)
    mistaken = kornia_ssim(gray * 2 - 1, truth * 2 - 1, 11, max_val=1.0, padding="valid")
    assert (values["ssim"] - mistaken.mean(dim=(1, 2, 3)).numpy() > 0.1).all()
