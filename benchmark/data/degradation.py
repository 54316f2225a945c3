"""Photos made to look old: blur, film grain, fading, scratches and JPEG artifacts, on L* alone.

A model that has only seen clean L* meets other inputs in an archive. The color stays as it is, so
that it can be learned and scored; where a faded L* cannot have it, its chroma is reduced.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from kornia.enhance import jpeg_codec_differentiable
from kornia.filters import gaussian_blur2d
from torch import Tensor

from benchmark.color import (
    join,
    lightness_to_rgb,
    rgb_from_8bit,
    rgb_to_8bit,
    rgb_to_lab,
    rgb_to_lightness,
)
from benchmark.files import sha256_of_bytes
from benchmark.randomness import Noise, derive_seed

SEED = "old photo"
Draw = Callable[..., Tensor]
"""Maps a shape to standard normal draws for each image, (B, *shape)."""

BLUR = 1.2
"""Largest standard deviation of the blur, in 64ths of the side."""
GRAIN = 0.07
"""Largest standard deviation of the grain, in sRGB from 0 to 1."""
FADING = 0.25
"""Largest share of the range of gray that fading takes from each end."""
SCRATCHES, DEPTH = 3, 0.4
"""Number of scratches that may be drawn, each in half of the images, and their largest depth."""
WORST_QUALITY, BEST_QUALITY = 20.0, 90.0
"""The range of JPEG's quality."""
JPEG_BLOCK = 16


def degrade(rgb: Tensor, draw: Draw) -> Tensor:
    """Degrade sRGB in [0, 1], (B, 3, H, W), as the draws say; each degradation in half the images.

    The order is that of an old photo: blurred by its lens, grain of its film, faded and scratched
    over time, then scanned and stored as JPEG.
    """
    lab = rgb_to_lab(rgb)
    gray = lightness_to_rgb(lab[:, :1].clamp(0, 100))[:, :1]
    # Uniform in [0, 1): two for each of blur, grain and JPEG, and three for fading.
    uniform = torch.special.ndtr(draw(9))[..., None, None, None]
    steps = (_blur, _grain, _fade, _scratch, _compress)
    places = (slice(0, 2), slice(2, 4), slice(4, 7), slice(7, 7), slice(7, 9))
    for step, place in zip(steps, places, strict=True):
        gray = step(gray, uniform[:, place], draw).clamp(0, 1)
    return join(rgb_to_lightness(gray.expand(-1, 3, -1, -1)), lab[:, 1:])


def degrade_alike(rgb8: Tensor) -> Tensor:
    """Degrade uint8 (N, 3, S, S) by draws that follow from each image's pixels alone.

    So a validation or test image is degraded in the same way each time, whatever the others are.
    """
    parts = []
    for part in torch.split(rgb8, 64):
        digests = [sha256_of_bytes(one.numpy().tobytes()) for one in part]
        noise = Noise([derive_seed(SEED, digest) for digest in digests], part.device)
        parts.append(rgb_to_8bit(degrade(rgb_from_8bit(part), noise)))
    return torch.cat(parts)


def _in_half(uniform: Tensor, changed: Tensor, unchanged: Tensor) -> Tensor:
    """Take the changed image where the draw, (B, 1, 1, 1), is below 1/2."""
    return torch.where(uniform < 0.5, changed, unchanged)


def _blur(gray: Tensor, uniform: Tensor, draw: Draw) -> Tensor:
    size = gray.shape[-1] / 64
    sigma = (BLUR * size * uniform[:, 1]).clamp(min=0.05).view(-1, 1).expand(-1, 2)
    side = 2 * round(3 * BLUR * size) + 1
    return _in_half(uniform[:, 0], gaussian_blur2d(gray, (side, side), sigma, "replicate"), gray)


def _grain(gray: Tensor, uniform: Tensor, draw: Draw) -> Tensor:
    noise = gaussian_blur2d(draw(*gray.shape[1:]), (3, 3), (0.6, 0.6))
    noise = noise / noise.std(dim=(1, 2, 3), keepdim=True)
    # Grain is strongest in the middle tones.
    strength = GRAIN * uniform[:, 1] * 4 * gray * (1 - gray)
    return _in_half(uniform[:, 0], gray + strength * noise, gray)


def _fade(gray: Tensor, uniform: Tensor, draw: Draw) -> Tensor:
    low, high = FADING * uniform[:, 1], 1 - FADING * uniform[:, 2]
    return _in_half(uniform[:, 0], low + (high - low) * gray, gray)


def _scratch(gray: Tensor, uniform: Tensor, draw: Draw) -> Tensor:
    """Draw nearly vertical lines, bright or dark, about one pixel wide."""
    height, width = gray.shape[-2:]
    y = torch.linspace(-0.5, 0.5, height, device=gray.device)[:, None]
    x = torch.linspace(0, 1, width, device=gray.device)
    uniforms = torch.special.ndtr(draw(SCRATCHES, 4))[..., None, None]
    for one in uniforms.unbind(dim=1):  # (B, 4, 1, 1): whether, where, slope, depth
        line = one[:, 1] + 0.2 * (one[:, 2] - 0.5) * y
        shape = torch.exp(-(((x - line) * width / 0.7) ** 2))
        depth = 2 * DEPTH * (one[:, 3] - 0.5)
        gray = _in_half(one[:, 0, None], gray + (depth * shape)[:, None], gray)
    return gray


def _compress(gray: Tensor, uniform: Tensor, draw: Draw) -> Tensor:
    height, width = gray.shape[-2:]
    quality = WORST_QUALITY + (BEST_QUALITY - WORST_QUALITY) * uniform[:, 1].flatten()
    padding = (0, -width % JPEG_BLOCK, 0, -height % JPEG_BLOCK)
    padded = F.pad(gray, padding, mode="replicate").expand(-1, 3, -1, -1)
    stored = jpeg_codec_differentiable(padded.contiguous(), quality)
    return _in_half(uniform[:, 0], stored.mean(dim=1, keepdim=True)[..., :height, :width], gray)
