"""Enlarged color follows the edges of the lightness, and loses none of the prediction."""

import numpy as np
import torch
import torch.nn.functional as F
from skimage import data as photos
from torch import Tensor

from benchmark.color import rgb8_to_lab
from benchmark.inference.upsampling import GuidedColor, reduce
from benchmark.metrics.images import ciede2000

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
SIZE = 64


def lab_of(name: str) -> Tensor:
    rgb8 = torch.from_numpy(np.array(getattr(photos, name)())).permute(2, 0, 1)[None]
    return rgb8_to_lab(rgb8)


def enlarge(lab: Tensor, ab: Tensor, rows: int = 10_000) -> Tensor:
    """Enlarge ab along the lightness of a photo, (1, 3, H, W), in strips of so many rows."""
    height, width = lab.shape[2:]
    strips = [(top, min(top + rows, height)) for top in range(0, height, rows)]

    def lightness(strip: tuple[int, int]) -> Tensor:
        return lab[:, :1, strip[0] : strip[1]]

    color = GuidedColor((height, width), ab, lightness, strips)
    return torch.cat([color.strip(strip, lightness(strip)) for strip in strips], dim=2)


def small_ab(lab: Tensor) -> Tensor:
    """The ab of a photo at the size that a model works at."""
    height, width = lab.shape[2:]
    scale = SIZE / min(height, width)
    return reduce(lab[:, 1:], round(height * scale), round(width * scale))


def at_edges(lab: Tensor) -> Tensor:
    """The pixels within four of the 5 % with the steepest change of ab: bool (1, H, W)."""
    ab = lab[:, 1:]
    across = F.pad((ab[..., 1:] - ab[..., :-1]).abs().sum(1), (0, 1))
    down = F.pad((ab[..., 1:, :] - ab[..., :-1, :]).abs().sum(1), (0, 0, 0, 1))
    steepness = across + down
    steep = steepness > torch.quantile(steepness.flatten()[::7], 0.95)
    return F.max_pool2d(steep.float()[None], 9, 1, 4)[0] > 0


def test_color_bleeds_less_over_edges_than_with_bicubic_interpolation() -> None:
    ratios = {}
    for name in PHOTOS:
        truth = lab_of(name)
        ab, edges = small_ab(truth), at_edges(truth).flatten()
        both = (enlarge(truth, ab), F.interpolate(ab, truth.shape[2:], mode="bicubic"))
        guided, plain = (
            ciede2000(torch.cat([truth[:, :1], one], dim=1), truth).flatten() for one in both
        )
        ratios[name] = float(guided[edges].mean() / plain[edges].mean())
        assert guided.mean() < plain.mean(), name
    assert max(ratios.values()) < 0.95, ratios
    assert np.mean([*ratios.values()]) < 0.9, ratios


def test_reduced_again_the_color_is_closer_to_the_prediction() -> None:
    truth = lab_of("coffee")
    ab = small_ab(truth)
    again = reduce(enlarge(truth, ab), *ab.shape[2:])
    plain = reduce(F.interpolate(ab, truth.shape[2:], mode="bicubic"), *ab.shape[2:])
    assert (again - ab).abs().mean() < (plain - ab).abs().mean()


def test_strips_give_what_the_whole_gives() -> None:
    truth = lab_of("chelsea")
    ab = small_ab(truth)
    assert (enlarge(truth, ab, rows=37) - enlarge(truth, ab)).abs().max() < 0.5
