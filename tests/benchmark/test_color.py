"""Conversions to Lab and back, mapping into the gamut, and refused ranges and shapes."""

import math

import numpy as np
import pytest
import torch
from skimage import color as skimage_color
from torch import Tensor

from benchmark.color import (
    TOLERANCE,
    join,
    lab_to_rgb,
    require_rgb,
    rgb8_to_lab,
    rgb_from_8bit,
    rgb_to_8bit,
    rgb_to_lab,
    rgb_to_lightness,
)


def random_rgb8(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def out_of_gamut_lab(seed: int, side: int = 64) -> tuple[Tensor, Tensor]:
    """Return L* in [0, 100], (2, 1, S, S), and ab, (2, 2, S, S), mostly far outside the gamut."""
    generator = torch.Generator().manual_seed(seed)
    lightness = 100 * torch.rand(2, 1, side, side, generator=generator)
    return lightness, 300 * torch.rand(2, 2, side, side, generator=generator) - 150


def test_lab_equals_scikit_image() -> None:
    rgb8 = random_rgb8(0, 2, 3, 64, 64)
    rgb8[0, :, 0] = torch.arange(64, dtype=torch.uint8) * 4  # grays from black
    rgb8[0, :, 1] = 255  # to white
    rgb8[1, :, 0, :8] = torch.tensor([[0, 255, 0, 0, 255, 255, 0, 255]] * 3).byte()
    reference = skimage_color.rgb2lab(rgb8.permute(0, 2, 3, 1).numpy() / 255.0)
    for ours in (rgb_to_lab(rgb_from_8bit(rgb8)), rgb8_to_lab(rgb8)):
        np.testing.assert_allclose(ours.permute(0, 2, 3, 1), reference, atol=1e-3)


def test_conversion_to_lab_and_back_is_the_identity() -> None:
    rgb = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=2e-5, rtol=0)


def test_8_bit_images_are_restored_exactly_from_lab() -> None:
    rgb8 = random_rgb8(2, 4, 3, 256, 256)
    rgb8[0, :, :16] = torch.arange(256, dtype=torch.uint8)  # every gray
    lab = rgb_to_lab(rgb_from_8bit(rgb8))
    assert torch.equal(rgb_to_8bit(lab_to_rgb(lab)), rgb8)
    assert torch.equal(rgb_to_8bit(join(lab[:, :1], lab[:, 1:])), rgb8)


def test_join_keeps_lightness_except_for_rounding_to_8_bits() -> None:
    lightness, ab = out_of_gamut_lab(3)
    rgb = join(lightness, ab)
    require_rgb(rgb)
    assert (rgb_to_lab(rgb)[:, :1] - lightness).abs().max() < 0.02
    # Half a step of 8 bits is up to 0.2 in the L* of a gray; all three channels are rounded.
    written = rgb_to_lab(rgb_from_8bit(rgb_to_8bit(rgb)))[:, :1]
    assert (written - lightness).abs().max() < 0.4
    assert (written - lightness).abs().mean() < 0.1


def test_join_keeps_hue() -> None:
    lightness, ab = out_of_gamut_lab(4)
    shown = rgb_to_lab(join(lightness, ab))[:, 1:]
    direction = ab / ab.norm(dim=1, keepdim=True)
    sideways = shown[:, 0] * direction[:, 1] - shown[:, 1] * direction[:, 0]
    assert sideways.abs().max() < 0.05
    assert (shown * direction).sum(1).min() > -0.05  # not the opposite hue
    assert ((shown.norm(dim=1) - ab.norm(dim=1)) < 0.05).all()  # not more chroma


def test_join_is_the_identity_in_gamut() -> None:
    rgb = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    lab = rgb_to_lab(rgb)
    torch.testing.assert_close(join(lab[:, :1], lab[:, 1:]), rgb, atol=2e-5, rtol=0)


def test_join_leaves_as_much_chroma_as_the_gamut_allows() -> None:
    lightness, ab = out_of_gamut_lab(6, side=32)
    outside = _leaves_gamut(lightness, ab)
    assert outside.float().mean() > 0.5
    shown = rgb_to_lab(join(lightness, ab))[:, 1:]
    scale = (shown * ab).sum(1, keepdim=True) / ab.square().sum(1, keepdim=True)
    for more in torch.linspace(0.002, 1, 40):  # from slightly more chroma to the original chroma
        larger = torch.minimum(scale + more, torch.ones(()))
        assert _leaves_gamut(lightness, ab * larger)[outside].all()


def _leaves_gamut(lightness: Tensor, ab: Tensor) -> Tensor:
    rgb = lab_to_rgb(torch.cat([lightness, ab], 1))
    return ((rgb < -TOLERANCE) | (rgb > 1 + TOLERANCE)).any(1)


@pytest.mark.parametrize("lightness", [0.0, 100.0])
def test_black_and_white_have_no_chroma(lightness: float) -> None:
    constant = torch.full((1, 1, 4, 4), lightness)
    rgb = join(constant, torch.full((1, 2, 4, 4), 60.0))
    torch.testing.assert_close(rgb, torch.full_like(rgb, lightness / 100), atol=2e-3, rtol=0)


def test_values_outside_the_range_are_clamped_and_do_not_wrap_around() -> None:
    rgb = torch.tensor([-5.0, -0.01, 0.0, 0.5, 1.0, 1.01, 7.0]).view(1, 1, 1, 7).expand(1, 3, 1, 7)
    assert rgb_to_8bit(rgb)[0, 0, 0].tolist() == [0, 0, 0, 128, 255, 255, 255]


def test_lightness_stays_in_its_range() -> None:
    rgb = torch.cat([torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)])
    lightness = rgb_to_lightness(rgb)
    assert lightness.shape == (2, 1, 2, 2)
    assert lightness[0].max() == pytest.approx(0, abs=1e-3)
    assert lightness[1].min() == pytest.approx(100, abs=1e-3)
    assert lightness.min() >= 0
    assert lightness.max() <= 100


def test_conversions_are_in_float32_inside_autocast() -> None:
    rgb = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lab = rgb_to_lab(rgb)
        back = join(lab[:, :1], lab[:, 1:])
    torch.testing.assert_close(lab, rgb_to_lab(rgb))
    torch.testing.assert_close(back, rgb, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("rgb", "message"),
    [
        pytest.param(torch.linspace(-1, 1, 48).view(1, 3, 4, 4), "spans", id="minus one to one"),
        pytest.param(torch.linspace(0, 255, 48).view(1, 3, 4, 4), "spans", id="0 to 255"),
        pytest.param(torch.full((1, 3, 4, 4), math.nan), "spans", id="nan"),
        pytest.param(torch.full((1, 3, 4, 4), math.inf), "spans", id="infinite"),
        pytest.param(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "uint8", id="uint8"),
        pytest.param(torch.zeros(3, 4, 4), "shape", id="no batch"),
        pytest.param(torch.zeros(1, 1, 4, 4), "shape", id="one channel"),
        pytest.param(torch.zeros(1, 4, 4, 3), "shape", id="channels last"),
    ],
)
def test_other_ranges_and_shapes_are_refused(rgb: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        require_rgb(rgb, "the image")
    assert "the image" in str(caught.value)


def test_one_bad_value_among_good_ones_is_refused() -> None:
    for bad in (-0.01, 1.01, math.nan):
        rgb = torch.full((1, 3, 4, 4), 0.5)
        require_rgb(rgb)
        rgb[0, 1, 2, 3] = bad
        with pytest.raises(ValueError, match="spans"):
            require_rgb(rgb)
