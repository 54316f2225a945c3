"""Validation by samples: a few validation images are colored now and then, and scored.

A noise loss does not measure color, and a sampler can fail where every single prediction is good.
So the weights of models that sample are selected by the images that they sample, with the defaults
of sampling, which are honest draws.
"""

import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer
from benchmark.metrics.score import score
from benchmark.metrics.table import MetricSuite

IMAGES = 64
METRICS = ("lpips", "colorfulness", "ab_divergence")


def spread(pixels: Tensor, count: int) -> Tensor:
    """Return `count` of the images (N, …) at even distances, or all if there are fewer.

    Images are ordered by folder, and each folder may hold one kind of scene.
    """
    count = min(count, len(pixels))
    return pixels[[i * len(pixels) // count for i in range(count)]]


class SampleValidation:
    """A few of the validation images, uint8 (N, 3, S, S), always sampled with the same seeds.

    Where the suite has no network for LPIPS, the scores are those of color alone.
    """

    def __init__(self, pixels: Tensor, suite: MetricSuite) -> None:
        self.truth8 = spread(pixels, IMAGES)
        self.suite = suite

    def scores(self, model: Colorizer, device: torch.device) -> dict[str, float]:
        """Mean LPIPS and mean colorfulness of sampled images, and the divergence of their ab."""
        lightness = rgb_to_lightness(rgb_from_8bit(self.truth8)).to(device)
        sampling = model.sampling_class().preview()
        output = model.colorize(lightness, seeds=range(len(lightness)), sampling=sampling)
        pair = (rgb_to_8bit(output).cpu(), self.truth8)
        found = score([pair], self.suite, METRICS)
        means = {key: sum(values) / found.n for key, values in found.per_image.items()}
        return means | {key: value.value for key, value in found.per_set.items()}

    @staticmethod
    def selection_score(scores: dict[str, float]) -> float:
        """LPIPS + ab divergence, which the best weights minimize.

        LPIPS alone is lowest for timid colors; the divergence alone ignores where colors are. On
        photos both lie between about 0.1 and 0.3.
        """
        return scores.get("lpips", 0.0) + scores["ab_divergence"]
