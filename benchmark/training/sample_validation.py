"""A few fixed validation images that a training colors now and then, and their scores.

A noise loss says nothing of color, and a sampler can go wrong where every single answer is right:
so models that sample are judged by what they paint.
"""

import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer
from benchmark.metrics.table import MetricSuite
from benchmark.metrics.score import score

IMAGES = 32
SCORES = ("lpips", "colorfulness", "ab_divergence")


class SampleValidation:
    """The first of the validation images, uint8 (N, 3, S, S); their seeds are always the same.

    Without a network for LPIPS the scores are those of color alone.
    """

    def __init__(self, pixels: Tensor, suite: MetricSuite) -> None:
        self.truth8 = pixels[:IMAGES]
        self.suite = suite

    def scores(self, model: Colorizer, device: torch.device) -> dict[str, float]:
        """LPIPS and colorfulness, means over the images, and the divergence of their ab."""
        lightness = rgb_to_lightness(rgb_from_8bit(self.truth8)).to(device)
        sampling = model.sampling_class().for_validation()
        output = model.colorize(lightness, seeds=range(len(lightness)), sampling=sampling)
        pair = (rgb_to_8bit(output).cpu(), self.truth8)
        found = score([pair], self.suite, SCORES)
        means = {key: sum(values) / found.n for key, values in found.images.items()}
        return means | {key: score.value for key, score in found.sets.items()}

    @staticmethod
    def selection_score(scores: dict[str, float]) -> float:
        """What the best weights have least of: LPIPS + ab divergence.

        The one alone is lowest for timid colors; the other alone sees no image. On photos both
        go from about a tenth to a few tenths.
        """
        return scores.get("lpips", 0.0) + scores["ab_divergence"]
