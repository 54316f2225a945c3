"""Conversions between sRGB and CIE Lab (D65, 2° observer), and between ranges of values.

No other module converts colors, except the canvas of the built-in sample. Everywhere in the project
the name of a variable says the color space:

=============  ==========================================  =================
name           meaning                                     shape
=============  ==========================================  =================
`rgb`          sRGB in [0, 1]                              (B, 3, H, W)
`rgb8`         sRGB in 0…255, uint8, as in files           (B, 3, H, W)
`lab`          L* in [0, 100], a*, b* about ±110           (B, 3, H, W)
`lightness`    L* in [0, 100]                              (B, 1, H, W)
`ab`           a*, b*                                      (B, 2, H, W)
=============  ==========================================  =================

All computations are in float32, also inside a block with autocast.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from kornia.color import lab_to_rgb as kornia_lab_to_rgb
from kornia.color import rgb_to_linear_rgb
from torch import Tensor

# Tolerance of the range checks and of the gamut test. It is far below half a step of 8 bits (0.002)
# and far above the rounding error of float32 in a conversion to Lab and back (4e-6).
TOLERANCE = 1e-4


def require_rgb(rgb: Tensor, name: str = "rgb") -> None:
    """Raise ValueError unless `rgb` is a float (B, 3, H, W) in [0, 1].

    An image in [-1, 1] or 0…255 that is taken for one in [0, 1] gives plausible but wrong results,
    so no range is guessed.
    """
    if rgb.ndim != 4 or rgb.shape[1] != 3:
        raise ValueError(f"{name} has shape {tuple(rgb.shape)}; (B, 3, H, W) is needed")
    if not rgb.is_floating_point():
        raise ValueError(f"{name} is {rgb.dtype}; floats in [0, 1] are needed")
    low, high = (float(value) for value in torch.aminmax(rgb)) if rgb.numel() else (0.0, 0.0)
    # Written so that NaN fails too.
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise ValueError(f"{name} spans [{low:.3g}, {high:.3g}]; sRGB in [0, 1] is needed")


def rgb_from_8bit(rgb8: Tensor) -> Tensor:
    """Convert 0…255, uint8 or float, to float32 [0, 1]."""
    return rgb8.float() / 255


def rgb_to_8bit(rgb: Tensor) -> Tensor:
    """Convert float [0, 1] to uint8, rounded. Values outside are clamped, not wrapped around."""
    return (rgb.float().clamp(0, 1) * 255).round().to(torch.uint8)


def to_signed(shares: Tensor) -> Tensor:
    """Convert [0, 1] to [-1, 1]."""
    return shares * 2 - 1


def from_signed(signed: Tensor) -> Tensor:
    """Convert [-1, 1] to [0, 1]."""
    return (signed + 1) / 2


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB [0, 1] to Lab, (B, 3, H, W) both."""
    return _linear_to_lab(rgb_to_linear_rgb(rgb.float()))


def rgb8_to_lab(rgb8: Tensor) -> Tensor:
    """Convert uint8 sRGB to Lab, (B, 3, H, W) both, as `rgb_to_lab` does.

    It takes half the time, since a table holds the linear light of the 256 values of a channel.
    """
    table = LINEAR_OF_8BIT.to(rgb8.device)
    return _linear_to_lab(table.index_select(0, rgb8.flatten().int()).view(rgb8.shape))


LINEAR_OF_8BIT = rgb_to_linear_rgb(
    rgb_from_8bit(torch.arange(256, dtype=torch.uint8)).expand(3, 1, 256)
)[0, 0]
"""The linear light of the 256 values of a channel."""

XYZ_OF_LINEAR = (  # rows X, Y, Z, each divided by that of white
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)


def _linear_to_lab(linear: Tensor) -> Tensor:
    """Convert linear sRGB in [0, 1] to Lab, (B, 3, H, W) both, with scikit-image's constants."""
    with _full_precision(linear):
        xyz = torch.einsum("ij,bjhw->bihw", linear.new_tensor(XYZ_OF_LINEAR), linear)
    # f(t) is the cube root of t, and below t = 0.008856 the tangent at that point. The tangent lies
    # above the root, so f is the smaller of the tangent and the root of the clamped t.
    # exp2(log2(t) / 3) takes half the time of pow.
    root = (xyz.clamp(min=0.008856).log2() / 3).exp2()
    x, y, z = torch.minimum(root, 7.787 * xyz + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert Lab to sRGB without clipping: a color outside the gamut leaves [0, 1]."""
    with _full_precision(lab):
        return kornia_lab_to_rgb(lab.float(), clip=False)


@contextmanager
def _full_precision(color: Tensor) -> Iterator[None]:
    """Turn autocast and TF32 off: in bf16, products with Kornia's matrices have errors up to 3."""
    cudnn = torch.backends.cudnn
    kept = {"enabled": cudnn.enabled, "benchmark": cudnn.benchmark}
    kept["deterministic"] = cudnn.deterministic
    with torch.autocast(color.device.type, enabled=False), cudnn.flags(**kept, allow_tf32=False):
        yield


def rgb_to_lightness(rgb: Tensor) -> Tensor:
    """Convert sRGB in [0, 1], (B, 3, H, W), to L* in [0, 100], (B, 1, H, W)."""
    return rgb_to_lab(rgb)[:, :1].clamp(0, 100)


def lightness_to_rgb(lightness: Tensor) -> Tensor:
    """Return the gray images of L*, (B, 1, H, W), in sRGB in [0, 1], (B, 3, H, W)."""
    return lab_to_rgb(F.pad(lightness, (0, 0, 0, 0, 0, 2))).clamp(0, 1)


def join(lightness: Tensor, ab: Tensor) -> Tensor:
    """Join L* and ab of one size to sRGB in [0, 1]; chroma is reduced where it leaves the gamut.

    Clipping each channel of sRGB would change L* (by 0.4 on average at 1.5 × natural chroma).
    Instead each color outside the gamut gets the largest chroma that is inside, at the same L* and
    hue: a bisection of the scale of ab, to 2⁻¹⁴.

    Shapes: lightness (B, 1, H, W), ab (B, 2, H, W) → (B, 3, H, W).
    """
    lab = torch.cat([lightness.float(), ab.float()], dim=1)
    rgb = lab_to_rgb(lab)
    outside = ~_in_gamut(rgb)
    if outside.any():
        rgb = rgb.permute(0, 2, 3, 1)  # for boolean indexing, channels must be last
        rgb[outside] = _reduce_chroma(lab.permute(0, 2, 3, 1)[outside])
        rgb = rgb.permute(0, 3, 1, 2)
    return rgb.clamp(0, 1).contiguous()


def _in_gamut(rgb: Tensor) -> Tensor:
    """Return where all three channels are in [0, 1]: (B, 3, H, W) → bool (B, H, W)."""
    return ((rgb >= -TOLERANCE) & (rgb <= 1 + TOLERANCE)).all(dim=1)


def _reduce_chroma(lab: Tensor) -> Tensor:
    """Convert Lab (N, 3) outside the gamut to the most chromatic sRGB of the same L* and hue."""
    pixels = lab[:, :, None, None]
    low = torch.zeros(len(lab), 1, 1, 1, device=lab.device)
    high = torch.ones_like(low)
    for _ in range(14):
        middle = (low + high) / 2
        inside = _in_gamut(lab_to_rgb(torch.cat([pixels[:, :1], pixels[:, 1:] * middle], 1)))
        low = torch.where(inside[:, None], middle, low)
        high = torch.where(inside[:, None], high, middle)
    return lab_to_rgb(torch.cat([pixels[:, :1], pixels[:, 1:] * low], 1))[:, :, 0, 0]
