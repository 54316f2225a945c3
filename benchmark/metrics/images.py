"""The metrics of single images: SSIM, PSNR, color differences, colorfulness, LPIPS.

Each is a pure function of float32 sRGB in [0, 1], (B, 3, H, W), on any device, and returns one
value an image, (B,). Images in another range or of another shape are refused with a ValueError: the
best-known tables of this field were made from [-1, 1] images where [0, 1] was meant.
"""

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from benchmark.color import (
    join,
    require_rgb,
    rgb8_to_lab,
    rgb_from_8bit,
    rgb_to_8bit,
    rgb_to_lab,
)
from benchmark.metrics.options import Variant

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
MOST_CHROMA = 8.0
"""Largest factor by which `match_chroma` scales the chroma of an output."""
SAME_COLORFULNESS = 0.01
"""Colorfulness within which `match_chroma` leaves an output as it is."""
SSIM_CONSTANTS = 0.01**2, 0.03**2


class ImagePair:
    """Outputs and their truths, sRGB (B, 3, H, W), checked once and converted to Lab once."""

    def __init__(self, output: Tensor, truth: Tensor) -> None:
        if output.shape != truth.shape:
            shapes = f"{tuple(output.shape)} and {tuple(truth.shape)}"
            raise ValueError(f"prediction and truth differ in shape: {shapes}")
        require_rgb(output, "prediction")
        require_rgb(truth, "truth")
        self.output, self.truth = output.float(), truth.float()
        self.truth_features: Tensor | None = None
        """Inception's features of the truths, once they are known."""
        self._matched: ImagePair | None = None

    @classmethod
    def from_8bit(cls, output8: Tensor, truth8: Tensor) -> "ImagePair":
        """Make a pair of 8-bit images, uint8 (B, 3, H, W), whose Lab comes from a lookup table."""
        pair = cls(rgb_from_8bit(output8), rgb_from_8bit(truth8))
        pair.lab = rgb8_to_lab(output8), rgb8_to_lab(truth8)
        return pair

    def chroma_matched(self, variant: Variant) -> "ImagePair":
        """The pair with each output's chroma scaled to its truth's colorfulness; computed once."""
        if self._matched is None:
            self._matched = ImagePair(match_chroma(self, variant), self.truth)
        return self._matched

    @cached_property
    def lab(self) -> tuple[Tensor, Tensor]:
        """Lab of the outputs and of the truths, (B, 3, H, W) each."""
        return rgb_to_lab(self.output), rgb_to_lab(self.truth)


def ssim(prediction: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity over RGB (Wang et al. 2004), 1 for equal images.

    Gaussian window of 11×11 with σ 1.5, population covariance, data range 1, mean over the places
    where the window lies wholly inside; sides of at least 11 pixels.
    """
    return ssim_of_pair(ImagePair(prediction, truth))


def ssim_of_pair(pair: ImagePair) -> Tensor:
    if min(pair.output.shape[2:]) < SSIM_WINDOW:
        sides = tuple(pair.output.shape[2:])
        raise ValueError(f"prediction has sides {sides}; SSIM needs at least {SSIM_WINDOW} pixels")
    # Variance is E[x²] - E[x]²: centering at 0.5 limits its cancellation in float32 to 1e-6.
    # Channels last: these convolutions are 1.6 times as fast.
    x, y = (
        rgb.contiguous(memory_format=torch.channels_last) - 0.5 for rgb in (pair.output, pair.truth)
    )
    moments = torch.cat([x, y, x * x + y * y, x * y], dim=1)
    row = _gaussian(moments).expand(len(moments[0]), 1, 1, SSIM_WINDOW)
    means = conv2d(conv2d(moments, row, groups=len(row)), row.mT, groups=len(row))
    x, y, squares, product = means.contiguous().chunk(4, dim=1)
    variances, covariance = squares - (x * x + y * y), product - x * y
    x, y = x + 0.5, y + 0.5
    c1, c2 = SSIM_CONSTANTS
    numerator = (2 * x * y + c1) * (2 * covariance + c2)
    return (numerator / ((x * x + y * y + c1) * (variances + c2))).mean(dim=(1, 2, 3))


def _gaussian(like: Tensor) -> Tensor:
    """The window of SSIM along one axis, (11,), of sum 1."""
    places = torch.arange(SSIM_WINDOW, device=like.device) - SSIM_WINDOW // 2
    return torch.softmax(-(places**2) / (2 * SSIM_SIGMA**2), dim=0)


def psnr(prediction: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio over RGB in dB; infinite for equal images."""
    pair = ImagePair(prediction, truth)
    return -10 * torch.log10((pair.output - pair.truth).square().mean(dim=(1, 2, 3)))


def delta_e76(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of the CIE 1976 color difference."""
    return mean_over_pixels(cie76, ImagePair(prediction, truth))


def delta_e2000(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of the CIEDE2000 color difference (Sharma et al. 2005)."""
    return mean_over_pixels(ciede2000, ImagePair(prediction, truth))


def lightness_error(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of |ΔL*|: how far the output moved from the lightness it was given."""
    return mean_over_pixels(lightness_difference, ImagePair(prediction, truth))


def mean_over_pixels(difference: Callable[[Tensor, Tensor], Tensor], pair: ImagePair) -> Tensor:
    return difference(*pair.lab).mean(dim=(1, 2))


def lightness_difference(lab1: Tensor, lab2: Tensor) -> Tensor:
    """|ΔL*| of Lab colors, (B, 3, …) → (B, …)."""
    return (lab1[:, 0] - lab2[:, 0]).abs()


def cie76(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIE 1976 difference, the Euclidean distance of Lab colors: (B, 3, …) → (B, …)."""
    return (lab1 - lab2).square().sum(dim=1).sqrt()  # 15 times as fast as vector_norm


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 of Lab colors (B, 3, …) → (B, …), k_L = k_C = k_H = 1.

    Sharma, Wu and Dalal 2005; the numbers in the comments are their equations.
    """
    l1, a1, b1 = lab1.unbind(1)
    l2, a2, b2 = lab2.unbind(1)
    c_mean = (_chroma(a1, b1) + _chroma(a2, b2)) / 2  # (2), (3)
    scale = 1.5 - 0.5 * _seventh(c_mean)  # 1 + G of (4)
    a1, a2 = scale * a1, scale * a2  # (5)
    c1, c2 = _chroma(a1, b1), _chroma(a2, b2)  # (6)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)  # (7)

    # The smaller of the two angles between the hues; of two equal ones the one that does not cross
    # 0°. The 1e-6 keeps rounding from deciding that case. For gray, which has no hue, neither this
    # nor (14) has an effect.
    turn = h2 - h1
    turn = turn - 2 * math.pi * (turn / (2 * math.pi + 1e-6)).round()  # (10)
    d_l, d_c = l2 - l1, c2 - c1  # (8), (9)
    d_h = 2 * (c1 * c2).sqrt() * torch.sin(turn / 2)  # (11)

    l_bar, c_bar = (l1 + l2) / 2, (c1 + c2) / 2  # (12), (13)
    h_bar = h1 + turn / 2
    h_bar = h_bar - 2 * math.pi * (h_bar / (2 * math.pi)).floor()  # (14)
    t = (
        1
        - 0.17 * torch.cos(h_bar - math.radians(30))
        + 0.24 * torch.cos(2 * h_bar)
        + 0.32 * torch.cos(3 * h_bar + math.radians(6))
        - 0.20 * torch.cos(4 * h_bar - math.radians(63))
    )  # (15)
    d_theta = math.radians(30) * torch.exp(-(((torch.rad2deg(h_bar) - 275) / 25) ** 2))  # (16)
    r_c = 2 * _seventh(c_bar)  # (17)
    lightness = (l_bar - 50) ** 2
    s_l = 1 + 0.015 * lightness / (20 + lightness).sqrt()  # (18)
    s_c, s_h = 1 + 0.045 * c_bar, 1 + 0.015 * c_bar * t  # (19), (20)
    r_t = -torch.sin(2 * d_theta) * r_c  # (21)
    l_term, c_term, h_term = d_l / s_l, d_c / s_c, d_h / s_h
    squared = l_term**2 + c_term**2 + h_term**2 + r_t * c_term * h_term  # (22)
    return squared.clamp(min=0).sqrt()


def _chroma(a: Tensor, b: Tensor) -> Tensor:
    return (a * a + b * b).sqrt()  # 1.4 times as fast as hypot


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """The angle of a color in [0, 2π]."""
    return torch.atan2(-b, -a) + math.pi


def _seventh(chroma: Tensor) -> Tensor:
    """√(C⁷ / (C⁷ + 25⁷)), for the corrections of (4) and (17)."""
    ratio = chroma / 25
    square = ratio * ratio
    power = square * square * square * ratio  # 4 times as fast as **7
    return (power / (power + 1)).sqrt()


def colorfulness(rgb: Tensor, variant: Variant = "signed") -> Tensor:
    """Colorfulness M (Hasler and Süsstrunk 2003, eq. 14-16), 0 for gray, on the 0…255 scale.

    The paper's opponents R - G and (R + G) / 2 - B are signed; much code in the field takes their
    absolute values, which is the variant "absolute".
    """
    require_rgb(rgb)
    red, green, blue = (255 * rgb.float()).unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue], dim=1).flatten(2)
    if variant == "absolute":
        opponents = opponents.abs()
    mean = opponents.mean(dim=2)
    std = (opponents - mean[..., None]).square().mean(dim=2).sqrt()  # 7 times as fast as std
    return torch.linalg.vector_norm(std, dim=1) + 0.3 * torch.linalg.vector_norm(mean, dim=1)


def colorfulness_gap(prediction: Tensor, truth: Tensor, variant: Variant = "signed") -> Tensor:
    """How far the colorfulness of an image is from its truth's, either way."""
    pair = ImagePair(prediction, truth)
    return (colorfulness(pair.output, variant) - colorfulness(pair.truth, variant)).abs()


def match_chroma(pair: ImagePair, variant: Variant = "signed") -> Tensor:
    """Scale the chroma of each output, at constant L* and hue, to its truth's colorfulness.

    Returns sRGB, (B, 3, H, W), rounded to 8 bits as every scored image is. An output whose
    colorfulness is within SAME_COLORFULNESS of its truth's is returned as it is. The factor is
    found by bisection between 0 and MOST_CHROMA; an output that would need more, because it is
    nearly gray, gets that. So a model cannot gain by being more vivid than another one that has the
    same hues at the same places.
    """
    lightness, ab = pair.lab[0][:, :1], pair.lab[0][:, 1:]
    wanted = colorfulness(pair.truth, variant)
    same = (colorfulness(pair.output, variant) - wanted).abs() < SAME_COLORFULNESS
    low = torch.zeros(len(wanted), 1, 1, 1, device=wanted.device)
    high = torch.full_like(low, MOST_CHROMA)
    for _ in range(12):
        middle = (low + high) / 2
        below = colorfulness(join(lightness, middle * ab), variant) < wanted
        below = below[:, None, None, None]
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    matched = rgb_from_8bit(rgb_to_8bit(join(lightness, (low + high) / 2 * ab)))
    return torch.where(same[:, None, None, None], pair.output, matched)


def lpips(prediction: Tensor, truth: Tensor, network: nn.Module) -> Tensor:
    """Learned perceptual distance (Zhang et al. 2018, v0.1), 0 for equal images.

    network: from `lpips_network`.
    """
    pair = ImagePair(prediction, truth)
    distance: Tensor = network(pair.output, pair.truth)
    return distance
