"""Upsampling of coarse color to full size."""

import torch
import torch.nn.functional as F

from models.common.blocks import ConvexUpsample
from tests.support import awaken


def test_convex_upsampling_stays_within_the_colors_of_neighboring_patches() -> None:
    upsample = ConvexUpsample(8, 4, "lab")
    awaken(upsample)
    coarse, features = torch.randn(2, 2, 5, 6), 10 * torch.randn(2, 8, 5, 6)
    fine = upsample(coarse, features)
    assert fine.shape == (2, 2, 20, 24)
    around = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
    highest = F.interpolate(F.max_pool2d(around, 3, 1), scale_factor=4.0)
    lowest = F.interpolate(-F.max_pool2d(-around, 3, 1), scale_factor=4.0)
    assert (fine <= highest + 1e-5).all()
    assert (fine >= lowest - 1e-5).all()
    assert (fine - F.interpolate(coarse, scale_factor=4.0)).abs().max() > 0.1


def test_upsampling_of_srgb_starts_with_the_detail_of_the_lightness() -> None:
    """The detail is each pixel of L minus the mean of its patch, added to the coarse image."""
    upsample = ConvexUpsample(8, 4, "rgb", skip=16)
    lightness, features = torch.randn(2, 1, 20, 24), torch.randn(2, 8, 5, 6)
    flat = torch.full((2, 3, 5, 6), 0.25)
    fine = upsample(flat, features, F.pixel_unshuffle(lightness, 4))
    detail = lightness - F.interpolate(F.avg_pool2d(lightness, 4), scale_factor=4.0)
    torch.testing.assert_close(fine, 0.25 + detail.expand(-1, 3, -1, -1))
