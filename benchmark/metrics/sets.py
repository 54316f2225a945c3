"""The metrics of whole sets of images: KID and the divergence of ab."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmark.color import rgb_to_8bit
from benchmark.metrics.histogram import ab_histogram, jensen_shannon
from benchmark.metrics.images import ImagePair

KID_SUBSETS, KID_SUBSET = 100, 1000


class SetScore(NamedTuple):
    """The value of a metric of a whole set, and its standard deviation where it has one."""

    value: float
    deviation: float | None = None


class Undefined(Exception):
    """The reason why a metric has no value for this set, as a sentence without its full stop."""


class SetMetric(ABC):
    """A metric of a whole set: features of each batch are gathered, the value is computed last."""

    @abstractmethod
    def features(self, pair: ImagePair) -> tuple[Tensor, Tensor]:
        """The features of a batch's outputs and of its truths; changes no state."""

    @abstractmethod
    def update(self, output: Tensor, truth: Tensor) -> None:
        """Accumulate what `features` returned."""

    @abstractmethod
    def compute(self) -> SetScore:
        """The value over all batches. Raises Undefined where there is none."""


class AbDivergence(SetMetric):
    """Jensen-Shannon divergence of the colors of all outputs and of all truths, in nats."""

    def __init__(self) -> None:
        self.counts: tuple[Tensor, Tensor] | None = None

    def features(self, pair: ImagePair) -> tuple[Tensor, Tensor]:
        output, truth = pair.lab
        return ab_histogram(output[:, 1:]), ab_histogram(truth[:, 1:])

    def update(self, output: Tensor, truth: Tensor) -> None:
        before = self.counts or (torch.zeros_like(output), torch.zeros_like(truth))
        self.counts = before[0] + output, before[1] + truth

    def compute(self) -> SetScore:
        assert self.counts is not None
        return SetScore(float(jensen_shannon(*self.counts)))


class Features:
    """The features of images, (N, D), in the parts in which they came; a part may lie in a file."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []

    @classmethod
    def of(cls, features: "Features | Tensor") -> "Features":
        """Features (N, D) as one part."""
        if isinstance(features, Features):
            return features
        found = cls()
        found.append(features)
        return found

    def append(self, part: Tensor) -> None:
        """Add the features of further images, (B, D)."""
        self.parts.append(part)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def sums(self) -> Tensor:
        """The sum of each image's features, (N,), float64."""
        return torch.cat([part.double().sum(dim=1) for part in self.parts])

    def take(self, rows: Tensor) -> Tensor:
        """The features of these rows, (len(rows), D)."""
        starts = torch.tensor([0, *map(len, self.parts)]).cumsum(0)
        numbers = torch.searchsorted(starts, rows, right=True) - 1
        taken = torch.empty(len(rows), self.parts[0].shape[1], dtype=self.parts[0].dtype)
        for number in sorted(set(numbers.tolist())):
            here = numbers == number
            taken[here] = self.parts[number][rows[here] - starts[number]]
        return taken


class KernelInceptionDistance(SetMetric):
    """KID (Bińkowski et al. 2018) between all outputs and all truths; keeps 16 KB an image.

    network: from `inception_network`, uint8 (B, 3, H, W) → features (B, D).
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.outputs, self.truths = Features(), Features()

    def features(self, pair: ImagePair) -> tuple[Tensor, Tensor]:
        output, truth = (self.network(rgb_to_8bit(rgb)) for rgb in (pair.output, pair.truth))
        return output.float().cpu(), truth.float().cpu()

    def update(self, output: Tensor, truth: Tensor) -> None:
        self.outputs.append(output)
        self.truths.append(truth)

    def compute(self) -> SetScore:
        return kernel_distance(self.outputs, self.truths)


def too_few_images(count: int) -> str | None:
    """Why this many images have no KID, or None."""
    return f"KID needs at least 4 images, and there are {count}" if count < 4 else None


def kernel_distance(outputs: Features | Tensor, truths: Features | Tensor) -> SetScore:
    """Mean and deviation of `kernel_mmd` over random subsets of paired features, (N, D) each.

    An output and its truth share their content, which would make any output look close. So the
    outputs and the truths of a subset come from different images, and a subset holds at most half
    of them. Raises Undefined for fewer than 4 images.
    """
    if reason := too_few_images(len(outputs)):
        raise Undefined(reason)
    outputs, truths = Features.of(outputs), Features.of(truths)
    size = min(KID_SUBSET, len(outputs) // 2)
    # Sorted by content, so that the draw does not depend on the order of the files.
    rows = truths.sums().argsort(stable=True)
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(KID_SUBSETS):
        drawn = torch.randperm(len(rows), generator=generator)
        ones, others = rows[drawn[:size]], rows[drawn[size : 2 * size]]
        values.append(kernel_mmd(outputs.take(ones), truths.take(others)))
    return SetScore(float(torch.stack(values).mean()), float(torch.stack(values).std()))


def kernel_mmd(first: Tensor, second: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two samples (N, D), kernel (x·y / D + 1)³, a scalar.

    Unbiased (Gretton et al. 2012, eq. 3): 0 on average for samples of one distribution.
    """
    n, dimensions = first.shape

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return ((x @ y.T).double() / dimensions + 1) ** 3

    one, other = kernel(first, first), kernel(second, second)
    within = one.sum() - one.trace() + other.sum() - other.trace()
    return within / (n * (n - 1)) - 2 * kernel(first, second).mean()
