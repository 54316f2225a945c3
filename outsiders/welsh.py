"""Transferring Color to Greyscale Images (Welsh, Ashikhmin and Mueller 2002): from an exemplar.

The exemplar of an input is that color image of a folder whose lightness looks most like it. Every
pixel of the input takes a* and b* from that pixel, among those sampled from the exemplar, whose
lightness and texture are the most similar. Nothing is learned.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import KDTree
from torch import Tensor

from benchmark.color import rgb8_to_lab
from benchmark.colorizer import OnStep
from benchmark.outsider import Outsider, Variant
from benchmark.randomness import Noise
from benchmark.results.outsider import OutsiderFacts

NEEDS = "a folder of color images (--exemplars)"

THUMBNAIL = 8
"""The side in pixels of the thumbnails by which two images are compared."""
SAMPLES = 1024
"""Pixels drawn from an exemplar; about 200 in the paper."""
NEIGHBORHOOD = 5
"""The side in pixels of the neighborhood for texture, as in the paper."""
TEXTURE = 1.0
"""The weight of the deviation in the neighborhood relative to the lightness, as in the paper."""

Array = NDArray[np.floating]


class Model(Outsider):
    """L* is used at the size of the test, and exemplars at 64×64, enough for their colors."""

    variants = {
        "exemplars": Variant(
            OutsiderFacts(
                trained_on="nothing",
                pretrained_on="nothing",
                guidance="exemplar",
                paper="https://doi.org/10.1145/566570.566576",
                parameters=0,
            )
        )
    }
    uses_exemplars = True

    @staticmethod
    def build_network(variant: str) -> None:
        return None

    def take_exemplars(self, rgb8: Tensor) -> None:
        lab = rgb8_to_lab(rgb8)
        self.exemplars: Array = lab.permute(0, 2, 3, 1).numpy()
        self.nearest = KDTree(thumbnails(lab[:, :1]))

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        inputs = lightness.cpu()
        _, chosen = self.nearest.query(thumbnails(inputs))
        ab = [
            transfer(one[0].numpy(), self.exemplars[index])
            for one, index in zip(inputs, chosen.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(ab)).permute(0, 3, 1, 2).to(lightness)


def thumbnails(lightness: Tensor) -> Array:
    """Reduce L* (N, 1, H, W) to thumbnails of mean 0 and deviation 1, (N, THUMBNAIL²)."""
    size = (THUMBNAIL, THUMBNAIL)
    small = F.interpolate(lightness, size, mode="bilinear", antialias=True).flatten(1)
    small = small - small.mean(dim=1, keepdim=True)
    deviation = small.std(dim=1, keepdim=True, correction=0).clamp(min=1e-6)
    reduced: Array = (small / deviation).numpy()
    return reduced


def features(lightness: Array) -> Array:
    """Return the lightness of each pixel and its deviation in the neighborhood, (H · W, 2)."""
    mean = uniform_filter(lightness, NEIGHBORHOOD)
    variance = uniform_filter(lightness**2, NEIGHBORHOOD) - mean**2
    deviation = np.sqrt(np.maximum(variance, 0))
    return np.stack([lightness, TEXTURE * deviation], axis=-1).reshape(-1, 2)


def transfer(lightness: Array, exemplar: Array) -> Array:
    """Take ab for an input's L* (H, W) from an exemplar, Lab (h, w, 3): (H, W, 2)."""
    source = exemplar[..., 0]
    # The exemplar's lightness gets the mean and the deviation of the input's (section 3).
    scale = lightness.std() / max(source.std(), 1e-6)
    remapped = (source - source.mean()) * scale + lightness.mean()
    count = min(SAMPLES, source.size)
    sampled = np.random.default_rng(0).choice(source.size, count, replace=False)
    _, nearest = KDTree(features(remapped)[sampled]).query(features(lightness))
    ab: Array = exemplar[..., 1:].reshape(-1, 2)[sampled][nearest].reshape(*lightness.shape, 2)
    return ab
