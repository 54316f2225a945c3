"""What is measured: one table of metrics, and the score of a set of images.

Every metric is a pure function of float32 sRGB in [0, 1], (B, 3, H, W), on any device. Those of
images give one value a image, (B,); those of sets gather batches and give one value in the end.
Images in another range or of another shape are refused (ValueError): the best-known tables of
this field were made from [-1, 1] images where [0, 1] was meant.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from benchmark.color import require_rgb, rgb8_to_lab, rgb_from_8bit, rgb_to_8bit, rgb_to_lab
from benchmark.data.reading import images_by_name, read_whole
from benchmark.errors import UserError
from benchmark.metrics.histogram import ab_histogram, jensen_shannon
from benchmark.metrics.networks import (
    LPIPS_BACKBONES,
    LpipsBackbone,
    NoBackbone,
    inception_network,
    lpips_network,
)

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_CONSTANTS = 0.01**2, 0.03**2

Variant = Literal["signed", "absolute"]


class ImagePair:
    """Outputs and their truths, sRGB (B, 3, H, W), checked once and converted to Lab once."""

    def __init__(self, output: Tensor, truth: Tensor) -> None:
        if output.shape != truth.shape:
            shapes = f"{tuple(output.shape)} and {tuple(truth.shape)}"
            raise ValueError(f"prediction and truth differ in shape: {shapes}")
        require_rgb(output, "prediction")
        require_rgb(truth, "truth")
        self.output, self.truth = output.float(), truth.float()

    @classmethod
    def from_8bit(cls, output8: Tensor, truth8: Tensor) -> "ImagePair":
        """Of written images, uint8 (B, 3, H, W), whose Lab is found faster."""
        pair = cls(rgb_from_8bit(output8), rgb_from_8bit(truth8))
        pair.lab = rgb8_to_lab(output8), rgb8_to_lab(truth8)
        return pair

    @cached_property
    def lab(self) -> tuple[Tensor, Tensor]:
        """Lab of the outputs and of the truths, (B, 3, H, W) each."""
        return rgb_to_lab(self.output), rgb_to_lab(self.truth)


# ---- metrics of images -------------------------------------------------------------------------


def ssim(prediction: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity over RGB (Wang et al. 2004), 1 for equal images.

    Gaussian window of 11×11 with σ 1.5, population covariance, data range 1, mean over the places
    where the window lies wholly inside; sides of at least 11 pixels.
    """
    return _ssim(ImagePair(prediction, truth))


def _ssim(pair: ImagePair) -> Tensor:
    if min(pair.output.shape[2:]) < SSIM_WINDOW:
        sides = tuple(pair.output.shape[2:])
        raise ValueError(f"prediction has sides {sides}; SSIM needs at least {SSIM_WINDOW} pixels")
    # Variances are what is left of squares: counted from mid-gray, float32 keeps them to 1e-6.
    # Channels last, in which these convolutions take a third of the time.
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
    return _over_pixels(cie76, ImagePair(prediction, truth))


def delta_e2000(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of the CIEDE2000 color difference (Sharma et al. 2005)."""
    return _over_pixels(ciede2000, ImagePair(prediction, truth))


def lightness_error(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of |ΔL*|: how far the output moved from the lightness it was given."""
    return _over_pixels(lightness_difference, ImagePair(prediction, truth))


def _over_pixels(difference: Callable[[Tensor, Tensor], Tensor], pair: ImagePair) -> Tensor:
    return difference(*pair.lab).mean(dim=(1, 2))


def lightness_difference(lab1: Tensor, lab2: Tensor) -> Tensor:
    """|ΔL*| of Lab colors, (B, 3, …) → (B, …)."""
    return (lab1[:, 0] - lab2[:, 0]).abs()


def cie76(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIE 1976 difference, the Euclidean distance of Lab colors: (B, 3, …) → (B, …)."""
    return (lab1 - lab2).square().sum(dim=1).sqrt()  # several times as fast as vector_norm


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

    # The shorter way round from hue to hue, and of two equal ways the one that passes no 0°: hence
    # the slack, lest rounding decide. Of gray, which has no hue, neither this nor (14) matters.
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
    return (a * a + b * b).sqrt()  # half the time of hypot, which guards against overflow


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """The angle of a color in [0, 2π]."""
    return torch.atan2(-b, -a) + math.pi


def _seventh(chroma: Tensor) -> Tensor:
    """√(C⁷ / (C⁷ + 25⁷)), which blue needs."""
    ratio = chroma / 25
    square = ratio * ratio
    power = square * square * square * ratio  # a tenth of the time of **7
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
    std = (opponents - mean[..., None]).square().mean(dim=2).sqrt()  # faster than torch's std
    return torch.linalg.vector_norm(std, dim=1) + 0.3 * torch.linalg.vector_norm(mean, dim=1)


def colorfulness_gap(prediction: Tensor, truth: Tensor, variant: Variant = "signed") -> Tensor:
    """How far the colorfulness of a image is from its truth's, either way."""
    pair = ImagePair(prediction, truth)
    return (colorfulness(pair.output, variant) - colorfulness(pair.truth, variant)).abs()


def lpips(prediction: Tensor, truth: Tensor, network: nn.Module) -> Tensor:
    """Learned perceptual distance (Zhang et al. 2018, v0.1), 0 for equal images.

    network: from `lpips_network`.
    """
    pair = ImagePair(prediction, truth)
    distance: Tensor = network(pair.output, pair.truth)
    return distance


# ---- metrics of sets -----------------------------------------------------------------------------

KID_SUBSETS, KID_SUBSET = 100, 1000


class SetScore(NamedTuple):
    """The value of a metric of a whole set, and its deviation where it has one."""

    value: float
    deviation: float | None = None


class Undefined(Exception):
    """Why a metric has no value for this set, as a sentence without its full stop."""


class SetMetric(ABC):
    """A metric of a whole set: what is seen of batches is kept, and the value comes in the end."""

    @abstractmethod
    def look(self, pair: ImagePair) -> tuple[Tensor, Tensor]:
        """What is needed of a batch, of its outputs and of its truths; changes nothing."""

    @abstractmethod
    def add(self, output: Tensor, truth: Tensor) -> None:
        """Keep what `look` returned."""

    @abstractmethod
    def result(self) -> SetScore:
        """Raises Undefined."""


class AbDivergence(SetMetric):
    """Jensen-Shannon divergence of the colors of all outputs and of all truths, in nats."""

    def __init__(self) -> None:
        self.counts: tuple[Tensor, Tensor] | None = None

    def look(self, pair: ImagePair) -> tuple[Tensor, Tensor]:
        output, truth = pair.lab
        return ab_histogram(output[:, 1:]), ab_histogram(truth[:, 1:])

    def add(self, output: Tensor, truth: Tensor) -> None:
        before = self.counts or (torch.zeros_like(output), torch.zeros_like(truth))
        self.counts = before[0] + output, before[1] + truth

    def result(self) -> SetScore:
        assert self.counts is not None
        return SetScore(float(jensen_shannon(*self.counts)))


class KernelInceptionDistance(SetMetric):
    """KID (Bińkowski et al. 2018) between all outputs and all truths; keeps 16 KB a image.

    network: from `inception_network`, uint8 (B, 3, H, W) → features (B, D).
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.outputs: list[Tensor] = []
        self.truths: list[Tensor] = []

    def look(self, pair: ImagePair) -> tuple[Tensor, Tensor]:
        output, truth = (self.network(rgb_to_8bit(rgb)) for rgb in (pair.output, pair.truth))
        return output.float().cpu(), truth.float().cpu()

    def add(self, output: Tensor, truth: Tensor) -> None:
        self.outputs.append(output)
        self.truths.append(truth)

    def result(self) -> SetScore:
        return kernel_distance(torch.cat(self.outputs), torch.cat(self.truths))


def kernel_distance(outputs: Tensor, truths: Tensor) -> SetScore:
    """Mean and deviation of `kernel_mmd` over random subsets of paired features, (N, D) each.

    An output and its truth have their content in common, so a subset of both would make any output
    look near. Hence the outputs of a subset are those of other images than its truths, which is
    why it holds at most half of them. Raises Undefined for fewer than 4 images.
    """
    size = min(KID_SUBSET, len(outputs) // 2)
    if size < 2:
        raise Undefined(f"KID needs at least 4 images, and there are {len(outputs)}")
    # From an order that is the images' own, so that the draw does not depend on the files'.
    rows = truths.double().sum(dim=1).argsort(stable=True)
    outputs, truths = outputs[rows], truths[rows]
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(KID_SUBSETS):
        drawn = torch.randperm(len(rows), generator=generator)
        values.append(kernel_mmd(outputs[drawn[:size]], truths[drawn[size : 2 * size]]))
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


# ---- the table -----------------------------------------------------------------------------------

Direction = Literal["up", "down", "none"]


@dataclass(frozen=True)
class Options:
    """What may be chosen: part of a protocol, hence of its hash, and of the labels."""

    lpips_backbone: LpipsBackbone = "alex"
    colorfulness: Variant = "signed"


@dataclass(frozen=True)
class Metric:
    """One column: what is measured, and how to read it.

    direction: where better is; "none" for what describes and does not rank.
    perfect: what the truth itself scores; None where that is not one number.
    measure: a pair (and the network, if it needs one) → one value a image, (B,). A pair is an
        output and its truth, or, where `between_samples`, two outputs of one input.
    gather: makes the SetMetric (of the network, if it needs one). Either of the two is there.
    network: the key of the network in `MetricSuite`, where one is needed.
    """

    key: str
    label: str
    unit: str
    direction: Direction
    compares: str
    parameters: str
    source: str
    perfect: float | None = None
    measure: Callable[..., Tensor] | None = None
    gather: Callable[..., SetMetric] | None = None
    network: str | None = None
    between_samples: bool = False

    @property
    def per_image(self) -> bool:
        """Whether it has one value for each output beside its truth."""
        return self.measure is not None and not self.between_samples


def table(options: Options) -> dict[str, Metric]:
    """The metrics by key, as chosen."""
    backbone, variant = options.lpips_backbone, options.colorfulness
    suffix = {"signed": "", "absolute": " (|R-G|)"}[variant]
    opponents = {"signed": "signed R - G", "absolute": "|R - G| and |(R + G) / 2 - B|"}[variant]
    both = "output and truth"
    rows = (
        Metric(
            "ssim", "SSIM", "", "up", both,
            "RGB, Gaussian 11×11 σ 1.5, population covariance, range 1, borders cropped",
            "Wang et al. 2004", 1.0, _ssim,
        ),
        Metric(
            "lpips", f"LPIPS ({backbone})", "", "down", both,
            f"v0.1, {LPIPS_BACKBONES[backbone].name}", "Zhang et al. 2018", 0.0,
            lambda pair, network: lpips(pair.output, pair.truth, network), network="lpips",
        ),
        Metric(
            "delta_e2000", "ΔE2000", "", "down", both, "mean over pixels, k = 1",
            "Sharma et al. 2005", 0.0, lambda pair: _over_pixels(ciede2000, pair),
        ),
        Metric(
            "delta_e76", "ΔE76", "", "down", both, "mean over pixels", "CIE 1976", 0.0,
            lambda pair: _over_pixels(cie76, pair),
        ),
        Metric(
            "psnr", "PSNR", "dB", "up", both, "RGB, peak 1", "mean squared error", None,
            lambda pair: psnr(pair.output, pair.truth),
        ),
        Metric(
            "colorfulness", f"Colorfulness{suffix}", "", "none", "nothing: the output alone",
            f"{opponents}, scale 0…255", "Hasler and Süsstrunk 2003", None,
            lambda pair: colorfulness(pair.output, variant),
        ),
        Metric(
            "colorfulness_gap", f"Colorfulness gap{suffix}", "", "down", both,
            f"{opponents}, scale 0…255, either way", "Hasler and Süsstrunk 2003", 0.0,
            lambda pair: colorfulness_gap(pair.output, pair.truth, variant),
        ),
        Metric(
            "lightness_error", "|ΔL*|", "", "down", "L* of output and input", "mean over pixels",
            "CIE 1976", 0.0, lambda pair: _over_pixels(lightness_difference, pair),
        ),
        Metric(
            "kid", "KID", "", "down", "all outputs and all truths",
            f"Inception-v3, cubic kernel, {KID_SUBSETS} subsets of at most {KID_SUBSET} and n / 2, "
            "outputs and truths of different images",
            "Bińkowski et al. 2018", gather=KernelInceptionDistance, network="kid",
        ),
        Metric(
            "ab_divergence", "JSD of ab", "", "down", "the ab of all outputs and of all truths",
            "32×32 bins over ±110, nats", "Lin 1991", 0.0, gather=AbDivergence,
        ),
        Metric(
            "diversity_lpips", f"Diversity, LPIPS ({backbone})", "", "none", "samples of one input",
            "mean over pairs", "Zhang et al. 2018", None,
            lambda pair, network: lpips(pair.output, pair.truth, network), network="lpips",
            between_samples=True,
        ),
        Metric(
            "diversity_delta_e2000", "Diversity, ΔE2000", "", "none", "samples of one input",
            "mean over pairs", "Sharma et al. 2005", None,
            lambda pair: _over_pixels(ciede2000, pair), between_samples=True,
        ),
    )  # fmt: skip
    return {metric.key: metric for metric in rows}


METRICS = table(Options())
"""The metrics of the default options, by key. The keys are the same whatever the options are."""


def describe(options: Options) -> Mapping[str, Any]:
    """The labels and parameters of the metrics, which belong to a protocol."""
    return {key: f"{row.label}: {row.parameters}" for key, row in table(options).items()}


# ---- scoring -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MetricSuite:
    """What a score is made with: the options, and the networks that some metrics need, by key.

    missing: why a network is not there, by key.
    """

    options: Options = Options()
    networks: Mapping[str, nn.Module] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def load_metric_suite(
    options: Options = Options(), lpips_weights: str | None = None
) -> MetricSuite:
    """All that is at hand. UserError for a file that was named and is not what it should be."""
    networks, missing = {}, {}
    finders: dict[str, Callable[[], nn.Module]] = {
        "lpips": lambda: lpips_network(lpips_weights, options.lpips_backbone),
        "kid": inception_network,
    }
    for key, find in finders.items():
        try:
            networks[key] = find()
        except NoBackbone as error:
            missing[key] = str(error)
    return MetricSuite(options, networks, missing)


@dataclass(frozen=True)
class Scores:
    """One value a image, in order, and one a set, by the key of the metric.

    n: how many images. missing: why a metric has no value.
    """

    n: int
    images: dict[str, list[float]]
    sets: dict[str, SetScore]
    missing: dict[str, str]


def score(
    batches: Iterable[tuple[Tensor, Tensor]],
    suite: MetricSuite = MetricSuite(),
    keys: Container[str] | None = None,
) -> Scores:
    """Every metric of written images: batches of (output, truth), uint8 (B, 3, H, W).

    The 8-bit images are what is scored, since they are what anyone else can score again. There
    are never more batches at once than threads and two more, so memory does not depend on
    their number (KID alone keeps the features of all). `keys` leaves out all other metrics.
    ValueError if there is no image.
    """
    rows = {
        key: row
        for key, row in table(suite.options).items()
        if not row.between_samples and (keys is None or key in keys)
    }
    missing = out_of_reach(rows, suite)
    networks = {key: _network_of(row, suite) for key, row in rows.items() if key not in missing}
    measures = {key: row.measure for key, row in rows.items() if row.measure and key in networks}
    gathered = {
        key: row.gather(*networks[key])
        for key, row in rows.items()
        if row.gather and key in networks
    }

    @torch.no_grad()
    def look(batch: tuple[Tensor, Tensor]) -> tuple[int, dict[str, list[float]], list[Any]]:
        pair = ImagePair.from_8bit(*batch)
        columns = {key: measure(pair, *networks[key]).tolist() for key, measure in measures.items()}
        return len(pair.output), columns, [metric.look(pair) for metric in gathered.values()]

    n = 0
    values: dict[str, list[float]] = {key: [] for key in measures}
    for count, columns, seen in _in_parallel(look, batches):
        n += count
        for key, column in columns.items():
            values[key] += column
        for metric, sides in zip(gathered.values(), seen, strict=True):
            metric.add(*sides)
    if not n:
        raise ValueError("there is no image to score")
    sets = {}
    for key, metric in gathered.items():
        try:
            sets[key] = metric.result()
        except Undefined as reason:
            missing[key] = str(reason)
    return Scores(n, values, sets, missing)


@torch.no_grad()
def score_samples(
    batches: Iterable[Tensor], suite: MetricSuite = MetricSuite()
) -> dict[str, list[list[float]]]:
    """How far samples of one input are from each other: batches of uint8 (K, B, 3, H, W), K ≥ 2.

    Returns for each metric of samples a list for each image: the mean distance of each of its K
    samples from the others. The mean of these is the mean over pairs.
    """
    rows = {key: row for key, row in table(suite.options).items() if row.between_samples}
    missing = out_of_reach(rows, suite)
    networks = {key: _network_of(row, suite) for key, row in rows.items() if key not in missing}
    values: dict[str, list[list[float]]] = {key: [] for key in networks}
    for samples8 in batches:
        samples = rgb_from_8bit(samples8)
        count = len(samples)
        for key, column in values.items():
            measure = rows[key].measure
            assert measure is not None
            distances = torch.zeros(samples.shape[:2])
            for i, j in combinations(range(count), 2):
                distance = measure(ImagePair(samples[i], samples[j]), *networks[key]).cpu()
                distances[i] += distance
                distances[j] += distance
            column += (distances.T / (count - 1)).tolist()
    return values


def out_of_reach(keys: Iterable[str], suite: MetricSuite) -> dict[str, str]:
    """Why a metric cannot be measured with these instruments, by its key; most can."""
    rows = table(suite.options)
    needed = {key: rows[key].network for key in keys}
    return {
        key: suite.missing.get(network, "no network was given")
        for key, network in needed.items()
        if network is not None and network not in suite.networks
    }


def _network_of(row: Metric, suite: MetricSuite) -> tuple[nn.Module, ...]:
    """What `measure` or `gather` wants besides: the network, or nothing."""
    return () if row.network is None else (suite.networks[row.network],)


Item = TypeVar("Item")
Result = TypeVar("Result")


def _in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """function(item) of each, in order, on as many threads as torch has.

    Each thread works alone on an item: small tensors gain little from being shared among threads,
    and on a busy machine all would wait for the last. An item waits for the next thread that is
    free, and another is made meanwhile. With its result an item is gone: a pool's thread would
    hold on to what it was given until it is next awake, so it is given a list and empties it.
    """

    def take(items: list[Item]) -> Result:
        return function(items.pop())

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            running: deque[Future[Result]] = deque()
            for item in items:
                if len(running) > threads:
                    yield running.popleft().result()
                running.append(pool.submit(take, [item]))
            while running:
                yield running.popleft().result()
    finally:
        torch.set_num_threads(threads)


PIXELS_AT_ONCE = 64 * 64**2
"""Pixels of a batch: the fewer, the more of the time goes into calls; twice as many leave the cache
(2.5 ms a image of 64×64 for 32 or 64 of them, 2.8 for 16, 3.4 for 128)."""


def in_batches(
    pairs: Iterable[tuple[Tensor, Tensor]], most: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Single (output, truth), uint8 (3, H, W), → batches for `score`, those of one size together.

    most: images a batch; by default as many as PIXELS_AT_ONCE allows. ValueError for a pair of
    two shapes.
    """
    batch: list[tuple[Tensor, Tensor]] = []
    for output, truth in pairs:
        if output.shape != truth.shape:
            shapes = f"{tuple(output.shape)} and {tuple(truth.shape)}"
            raise ValueError(f"prediction and truth differ in shape: {shapes}")
        full = most or max(1, PIXELS_AT_ONCE // output[0].numel())
        if batch and (len(batch) == full or batch[0][0].shape != output.shape):
            yield _stack(batch)
            batch = []
        batch.append((output, truth))
    if batch:
        yield _stack(batch)


def _stack(batch: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    outputs, truths = zip(*batch, strict=True)
    return torch.stack(outputs), torch.stack(truths)


def score_folder(outputs: Path, truths: Path, suite: MetricSuite = MetricSuite()) -> Scores:
    """Score the images of a folder against those of the same names in another.

    Names are compared without their suffix, values come in their order. Images are read one
    batch at a time. UserError for a folder without images, a image without its counterpart, of
    another size or not readable.
    """
    first, second = images_by_name(outputs), images_by_name(truths)
    for name in first.keys() ^ second.keys():
        there, lacking = (first, truths) if name in first else (second, outputs)
        raise UserError(f"{there[name]} has no counterpart in {lacking}.")

    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        for name in sorted(first):
            pair = [torch.from_numpy(read_whole(part[name])) for part in (first, second)]
            if pair[0].shape != pair[1].shape:
                raise UserError(f"{first[name]} and {second[name]} are not of one size.")
            yield pair[0], pair[1]

    return score(in_batches(pairs()), suite)


def write_leaderboard(results: Path) -> list[Path]:
    """Write leaderboard.md, .csv, .tex and .html of all tests below `results`; their paths."""
    from benchmark import leaderboard

    leaderboard.write(results)
    return leaderboard.paths(results)
