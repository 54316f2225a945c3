"""Upsampling of coarse color to full size."""

import torch
import torch.nn.functional as F

from models.common.blocks import EdgeUpsample
from tests.support import awaken


def test_upsampling_goes_at_most_as_far_again_beyond_the_mean_of_the_neighboring_patches() -> None:
    upsample = EdgeUpsample(8, 4, "lab")
    awaken(upsample)
    coarse, features = torch.randn(2, 2, 5, 6), 10 * torch.randn(2, 8, 5, 6)
    fine = upsample(coarse, features)
    assert fine.shape == (2, 2, 20, 24)
    around = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
    mean = F.avg_pool2d(around, 3, 1)
    highest = F.interpolate(2 * F.max_pool2d(around, 3, 1) - mean, scale_factor=4.0)
    lowest = F.interpolate(-2 * F.max_pool2d(-around, 3, 1) - mean, scale_factor=4.0)
    assert (fine <= highest + 1e-5).all()
    assert (fine >= lowest - 1e-5).all()
    assert (fine - F.interpolate(coarse, scale_factor=4.0)).abs().max() > 0.1
    flat = upsample(torch.full((2, 2, 5, 6), 0.3), features)
    torch.testing.assert_close(flat, torch.full((2, 2, 20, 24), 0.3))


def test_upsampling_separates_colors_that_coarse_pixels_mix() -> None:
    """The edges of L lie within the patches, so none has the color of the inside alone."""
    torch.manual_seed(0)
    inside = ((torch.arange(24) % 12 >= 2) & (torch.arange(24) % 12 < 7)).expand(1, 1, 24, 24)
    fine = torch.where(inside, torch.tensor(3.0), torch.tensor(-1.0)).expand(1, 2, 24, 24)
    coarse, patches = F.avg_pool2d(fine, 4), F.pixel_unshuffle(inside.float(), 4)
    around = F.pad(patches, (1, 1, 1, 1), mode="replicate")
    features = F.unfold(around, 3).reshape(1, -1, 6, 6)
    upsample = EdgeUpsample(features.shape[1], 4, "lab")
    optimizer = torch.optim.Adam(upsample.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        # Beyond the border there are no neighbors that have the color of the outside.
        loss = (upsample(coarse, features) - fine)[..., 4:-4].square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.1  # convex combinations alone reach 0.42


def test_upsampling_of_srgb_starts_with_the_detail_of_the_lightness() -> None:
    """The detail is each pixel of L minus the mean of its patch, added to the coarse image."""
    upsample = EdgeUpsample(8, 4, "rgb", skip=16)
    lightness, features = torch.randn(2, 1, 20, 24), torch.randn(2, 8, 5, 6)
    flat = torch.full((2, 3, 5, 6), 0.25)
    fine = upsample(flat, features, F.pixel_unshuffle(lightness, 4))
    detail = lightness - F.interpolate(F.avg_pool2d(lightness, 4), scale_factor=4.0)
    torch.testing.assert_close(fine, 0.25 + detail.expand(-1, 3, -1, -1))
