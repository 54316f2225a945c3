"""The metrics of whole sets of images: KID, FID and the divergence of ab."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from benchmark.color import rgb_to_8bit
from benchmark.metrics.histogram import ab_histogram, jensen_shannon
from benchmark.metrics.images import ImagePair
from benchmark.metrics.options import Variant
from benchmark.metrics.truths import Moments, TruthStore

KID_SUBSETS, KID_SUBSET = 100, 1000
ROWS_AT_ONCE = 512
"""Features that are multiplied at once: 16 times as fast as the batches of four large images."""


class SetScore(NamedTuple):
    """The value of a metric of a whole set; where it has them, its standard deviation, and the ends
    of its 95 % interval."""

    value: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None


class Undefined(Exception):
    """The reason why a metric has no value for this set, as a sentence without its full stop."""


class SetMetric(ABC):
    """A metric of a whole set: features of each batch are gathered, the value is computed last.

    source: names the features; metrics of one source are given the same ones, computed once.
    """

    source: ClassVar[str]

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

    source = "ab"

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

    def moments(self) -> Moments:
        """The mean, (D,), and the covariance with divisor N - 1, (D, D), float64."""
        n = len(self)
        mean = torch.stack([rows.sum(dim=0) for rows in self._blocks()]).sum(dim=0) / n
        products = torch.zeros(len(mean), len(mean), dtype=torch.float64)
        for rows in self.centered(mean):
            products.addmm_(rows.T, rows)
        return mean, products / (n - 1)

    def centered(self, mean: Tensor) -> Iterator[Tensor]:
        """Yield the features less a mean, float64, some rows at a time."""
        for rows in self._blocks():
            yield rows - mean

    def _blocks(self) -> Iterator[Tensor]:
        """Yield the features, float64, about ROWS_AT_ONCE of them at a time."""
        block: list[Tensor] = []
        for part in self.parts:
            if block and sum(map(len, block)) + len(part) > ROWS_AT_ONCE:
                yield torch.cat(block).double()
                block = []
            block.append(part)
        yield torch.cat(block).double()

    def take(self, rows: Tensor) -> Tensor:
        """The features of these rows, (len(rows), D)."""
        starts = torch.tensor([0, *map(len, self.parts)]).cumsum(0)
        numbers = torch.searchsorted(starts, rows, right=True) - 1
        taken = torch.empty(len(rows), self.parts[0].shape[1], dtype=self.parts[0].dtype)
        for number in sorted(set(numbers.tolist())):
            here = numbers == number
            taken[here] = self.parts[number][rows[here] - starts[number]]
        return taken


class TruthFeatures(Features):
    """Features of truths whose moments are kept in a file."""

    def __init__(self, store: TruthStore) -> None:
        super().__init__()
        self.store = store

    def moments(self) -> Moments:
        return self.store.moments(super().moments)


class InceptionMetric(SetMetric):
    """A metric of Inception's features of all outputs and all truths; keeps 16 KB an image.

    network: from `inception_network`, uint8 (B, 3, H, W) → features (B, D).
    """

    source = "inception"

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.outputs, self.truths = Features(), Features()

    def features(self, pair: ImagePair) -> tuple[Tensor, Tensor]:
        if pair.truth_features is None:
            pair.truth_features = self._features(pair.truth)
        return self._features(self.scored(pair)), pair.truth_features

    def scored(self, pair: ImagePair) -> Tensor:
        """The images of a pair that are compared with its truths."""
        return pair.output

    def _features(self, rgb: Tensor) -> Tensor:
        features: Tensor = self.network(rgb_to_8bit(rgb))
        return features.float().cpu()

    def update(self, output: Tensor, truth: Tensor) -> None:
        self.outputs.append(output)
        self.truths.append(truth)


class KernelInceptionDistance(InceptionMetric):
    """KID (Bińkowski et al. 2018)."""

    def compute(self) -> SetScore:
        return kernel_distance(self.outputs, self.truths)


class FrechetInceptionDistance(InceptionMetric):
    """FID (Heusel et al. 2017)."""

    def compute(self) -> SetScore:
        return frechet_distance(self.outputs, self.truths)


class MatchedFrechetDistance(FrechetInceptionDistance):
    """FID of outputs whose chroma was scaled to their truths' colorfulness.

    variant: of colorfulness.
    """

    source = "inception of matched outputs"

    def __init__(self, network: nn.Module, variant: Variant) -> None:
        super().__init__(network)
        self.variant = variant

    def scored(self, pair: ImagePair) -> Tensor:
        return pair.chroma_matched(self.variant).output


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


# ---- FID -----------------------------------------------------------------------------------------

FEWEST_FOR_FID = 2049
"""The covariance of Inception's 2,048 features has at most the rank N - 1: N of up to 2,048 images
is singular, and FID then is mostly bias."""
Z = 1.959964  # of 95 % of a normal distribution


def frechet_distance(outputs: Features | Tensor, truths: Features | Tensor) -> SetScore:
    """FID of features (N, D): the Fréchet distance of two normal distributions, with its interval.

    d² = |μ - ν|² + tr(S + T - 2 (S T)^½) with the means and the covariances (divisor N - 1) of
    outputs and truths, in float64. The interval is that of the delta method: an image, its output
    together with its truth, changes d² by the derivative of d² in its direction, and the variance
    of a mean of N such changes follows. It covers the choice of images, not the bias of a small N.
    Raises Undefined for fewer than 2 images.
    """
    outputs, truths = Features.of(outputs), Features.of(truths)
    n = len(outputs)
    if n < 2:
        raise Undefined(f"FID needs at least 2 images, and there is {n}")
    (mean, covariance), (true_mean, true_covariance) = outputs.moments(), truths.moments()
    root, inverse = _roots(covariance)
    true_root, true_inverse = _roots(true_covariance)
    # The eigenvalues of (S T)^½ are those of P = (S^½ T S^½)^½.
    squares, vectors = torch.linalg.eigh(root @ true_covariance @ root)
    eigenvalues = squares.clamp(min=0).sqrt()
    shift = mean - true_mean
    trace = (covariance + true_covariance).trace() - 2 * eigenvalues.sum()
    distance = float(shift.square().sum() + trace)
    # The derivatives of the trace: identity minus the optimal transport map, in either direction.
    # Q = (T^½ S T^½)^½ has the eigenvalues of P, and T^½ S^½ maps the vectors of P to its own.
    forth = inverse @ (vectors * eigenvalues @ vectors.T) @ inverse
    mapped = true_root @ root @ vectors * _inverse_of(eigenvalues).sqrt()
    back = true_inverse @ (mapped @ mapped.T) @ true_inverse
    changes = [
        2 * (x - y) @ shift + (x * (x - x @ forth)).sum(1) + (y * (y - y @ back)).sum(1)
        for x, y in zip(outputs.centered(mean), truths.centered(true_mean), strict=True)
    ]
    error = float(torch.cat(changes).std()) / n**0.5
    return SetScore(distance, None, max(0.0, distance - Z * error), distance + Z * error)


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The square root of a covariance, (D, D), and the inverse of that where it is not 0."""
    squares, vectors = torch.linalg.eigh(matrix)
    values = squares.clamp(min=0).sqrt()
    return vectors * values @ vectors.T, vectors * _inverse_of(values) @ vectors.T


def _inverse_of(values: Tensor) -> Tensor:
    """1 / values, and 0 for values that are 0 but for rounding."""
    positive = values > 1e-6 * values.max()
    return torch.where(positive, 1 / values.clamp(min=1e-300), 0.0)
