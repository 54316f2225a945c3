"""The table of metrics: what each measures and how it is read; their options; their networks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from benchmark.metrics.images import (
    MOST_CHROMA,
    SAME_COLORFULNESS,
    ImagePair,
    cie76,
    ciede2000,
    colorfulness,
    colorfulness_gap,
    lightness_difference,
    lpips,
    mean_over_pixels,
    psnr,
    ssim_of_pair,
)
from benchmark.metrics.networks import (
    LPIPS_BACKBONES,
    NoBackbone,
    inception_network,
    lpips_network,
)
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.sets import (
    KID_SUBSET,
    KID_SUBSETS,
    AbDivergence,
    FrechetInceptionDistance,
    KernelInceptionDistance,
    MatchedFrechetDistance,
    SetMetric,
)
from benchmark.metrics.truths import TruthStore

NO_TRUTH = "these photos have no true color"
"""Why a metric that compares with the truth has no value where the reference is `none`."""
Direction = Literal["up", "down", "none"]
Aspect = Literal["fidelity", "distribution", "diversity", "lightness"]
"""What a metric judges: closeness to the one truth, likeness of the colors of all images to those
of all truths, difference between samples of one input, or whether the given L* was kept."""


@dataclass(frozen=True)
class Metric:
    """One column of a table: what is measured, and how to read it.

    direction: where better values are; "none" for a metric that describes and does not rank.
    judges: the aspect of a model that the metric is about; no metric is about two of them.
    perfect: what the ground truth itself scores; None where that is not one number.
    measure: maps an ImagePair (and the network, if one is needed) to one value an image, (B,). The
        pair is an output and its truth or, where `between_samples`, two outputs of one input.
    gather: makes the SetMetric (from the network, if one is needed). A metric has one of the two.
    network: the key of the network in `MetricSuite.networks`, where one is needed.
    """

    key: str
    label: str
    unit: str
    direction: Direction
    judges: Aspect
    compares: str
    parameters: str
    source: str
    perfect: float | None = None
    measure: Callable[..., Tensor] | None = None
    gather: Callable[..., SetMetric] | None = None
    network: str | None = None
    between_samples: bool = False

    @property
    def needs_truth(self) -> bool:
        """Whether the color of the truth is needed: not for what is measured of outputs alone."""
        return not self.between_samples and self.key not in ("colorfulness", "lightness_error")

    @property
    def per_image(self) -> bool:
        """Whether the metric has one value for each output beside its truth."""
        return self.measure is not None and not self.between_samples


def metrics_by_key(options: MetricOptions) -> dict[str, Metric]:
    """The metrics under these options, by key: the usual ones, and those that are asked for."""
    rows = [*_fidelity(options), *_color(options), *_of_sets()]
    rows += _frechet() if options.fid == "on" else ()
    rows += _chroma_matched(options) if options.chroma_matched == "on" else ()
    return {metric.key: metric for metric in (*rows, *_diversity(options))}


BOTH = "output and truth"
SETS = "all outputs and all truths"
INCEPTION = (
    "torch-fidelity's Inception-v3, images resized to 299×299 bilinearly without antialiasing as "
    "in TensorFlow 1"
)
MATCHED = (
    f"chroma of each output scaled by at most {MOST_CHROMA:g} to its truth's colorfulness, rounded "
    f"to 8 bits; unchanged within {SAME_COLORFULNESS:g}"
)


def _fidelity(options: MetricOptions) -> tuple[Metric, ...]:
    backbone = options.lpips_backbone
    return (
        Metric(
            "ssim", "SSIM", "", "up", "fidelity", BOTH,
            "RGB, Gaussian 11×11 σ 1.5, population covariance, range 1, borders cropped",
            "Wang et al. 2004", 1.0, ssim_of_pair,
        ),
        Metric(
            "lpips", f"LPIPS ({backbone})", "", "down", "fidelity", BOTH,
            f"v0.1, {LPIPS_BACKBONES[backbone].name}", "Zhang et al. 2018", 0.0,
            lambda pair, network: lpips(pair.output, pair.truth, network), network="lpips",
        ),
        Metric(
            "delta_e2000", "ΔE2000", "", "down", "fidelity", BOTH, "mean over pixels, k = 1",
            "Sharma et al. 2005", 0.0, lambda pair: mean_over_pixels(ciede2000, pair),
        ),
        Metric(
            "delta_e76", "ΔE76", "", "down", "fidelity", BOTH, "mean over pixels", "CIE 1976", 0.0,
            lambda pair: mean_over_pixels(cie76, pair),
        ),
        Metric(
            "psnr", "PSNR", "dB", "up", "fidelity", BOTH, "RGB, peak 1", "mean squared error", None,
            lambda pair: psnr(pair.output, pair.truth),
        ),
    )  # fmt: skip


def _color(options: MetricOptions) -> tuple[Metric, ...]:
    variant = options.colorfulness
    suffix = {"signed": "", "absolute": " (|R-G|)"}[variant]
    opponents = {"signed": "signed R - G", "absolute": "|R - G| and |(R + G) / 2 - B|"}[variant]
    return (
        Metric(
            "colorfulness", f"Colorfulness{suffix}", "", "none", "distribution",
            "nothing: the output alone", f"{opponents}, scale 0…255",
            "Hasler and Süsstrunk 2003", None,
            lambda pair: colorfulness(pair.output, variant),
        ),
        Metric(
            "colorfulness_gap", f"Colorfulness gap{suffix}", "", "down", "distribution", BOTH,
            f"{opponents}, scale 0…255, either way", "Hasler and Süsstrunk 2003", 0.0,
            lambda pair: colorfulness_gap(pair.output, pair.truth, variant),
        ),
        Metric(
            "lightness_error", "|ΔL*|", "", "down", "lightness", "L* of output and input",
            "mean over pixels", "CIE 1976", 0.0,
            lambda pair: mean_over_pixels(lightness_difference, pair),
        ),
    )  # fmt: skip


def _of_sets() -> tuple[Metric, ...]:
    return (
        Metric(
            "kid", "KID", "", "down", "distribution", SETS,
            f"{INCEPTION}, cubic kernel, {KID_SUBSETS} subsets of at most {KID_SUBSET} and n / 2, "
            "outputs and truths of different images",
            "Bińkowski et al. 2018", gather=KernelInceptionDistance, network="kid",
        ),
        Metric(
            "ab_divergence", "JSD of ab", "", "down", "distribution",
            "the ab of all outputs and of all truths", "32×32 bins over ±110, nats",
            "Lin 1991", 0.0, gather=AbDivergence,
        ),
    )  # fmt: skip


def _frechet() -> tuple[Metric, ...]:
    return (
        Metric(
            "fid", "FID", "", "down", "distribution", SETS,
            f"{INCEPTION}, covariances with n - 1, interval of the delta method",
            "Heusel et al. 2017", None, gather=FrechetInceptionDistance, network="kid",
        ),
    )  # fmt: skip


def _chroma_matched(options: MetricOptions) -> tuple[Metric, ...]:
    backbone, variant = options.lpips_backbone, options.colorfulness

    def distance(pair: ImagePair, network: nn.Module) -> Tensor:
        matched = pair.chroma_matched(variant)
        return lpips(matched.output, matched.truth, network)

    matched = Metric(
        "lpips_matched", f"LPIPS ({backbone}), chroma matched", "", "down", "fidelity", BOTH,
        f"v0.1, {LPIPS_BACKBONES[backbone].name}, {MATCHED}", "Zhang et al. 2018", 0.0,
        distance, network="lpips",
    )  # fmt: skip
    if options.fid == "off":
        return (matched,)
    frechet = Metric(
        "fid_matched", "FID, chroma matched", "", "down", "distribution", SETS,
        f"{INCEPTION}, {MATCHED}", "Heusel et al. 2017", None,
        gather=lambda network: MatchedFrechetDistance(network, variant), network="kid",
    )  # fmt: skip
    return matched, frechet


def _diversity(options: MetricOptions) -> tuple[Metric, ...]:
    label = f"Diversity, LPIPS ({options.lpips_backbone})"
    return (
        Metric(
            "diversity_lpips", label, "", "none", "diversity", "samples of one input",
            "mean over pairs", "Zhang et al. 2018", None,
            lambda pair, network: lpips(pair.output, pair.truth, network), network="lpips",
            between_samples=True,
        ),
        Metric(
            "diversity_delta_e2000", "Diversity, ΔE2000", "", "none", "diversity",
            "samples of one input", "mean over pairs", "Sharma et al. 2005", None,
            lambda pair: mean_over_pixels(ciede2000, pair), between_samples=True,
        ),
    )  # fmt: skip


METRICS = metrics_by_key(MetricOptions())
"""The metrics under the default options, by key."""
ALL_METRICS = metrics_by_key(MetricOptions(fid="on", chroma_matched="on"))
"""Every metric there is, by key, under otherwise default options."""


@dataclass(frozen=True)
class MetricSuite:
    """What a score is measured with: the options, and the networks that some metrics need, by key.

    unavailable: why a network cannot be had, by key. truths: the folder that keeps what Inception
    says of truths; None to keep nothing.
    """

    options: MetricOptions = MetricOptions()
    networks: Mapping[str, nn.Module] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    truths: Path | None = None

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The metrics under the suite's options, by key."""
        return metrics_by_key(self.options)

    def describe(self) -> dict[str, Any]:
        """The options, labels and parameters of all metrics, which are part of a protocol."""
        described = {key: f"{row.label}: {row.parameters}" for key, row in self.metrics.items()}
        return {"options": self.options.describe(), **described}

    def reasons_without(self, keys: Iterable[str]) -> dict[str, str]:
        """Why metrics among `keys` cannot be measured with this suite, by key; most can."""
        reasons = {}
        for key in keys:
            metric = self.metrics[key]
            network = metric.network
            if self.options.reference == "none" and metric.needs_truth:
                reasons[key] = NO_TRUTH
            elif network is not None and network not in self.networks:
                reasons[key] = self.unavailable.get(network, "no network was given")
        return reasons

    def network_arguments(self, metric: Metric) -> tuple[nn.Module, ...]:
        """The further arguments of `measure` and `gather`: the metric's network, or nothing."""
        return () if metric.network is None else (self.networks[metric.network],)

    def truth_store(self, keys: Iterable[str]) -> TruthStore | None:
        """Where what Inception says of the truths is kept; None if no metric among `keys` needs it.

        Only a network that names the `sha256` of its weights has a store.
        """
        sha256 = getattr(self.networks.get("kid"), "sha256", None)
        needed = any(self.metrics[key].network == "kid" for key in keys)
        if self.truths is None or sha256 is None or not needed:
            return None
        return TruthStore(self.truths, sha256)


def load_metric_suite(
    options: MetricOptions = MetricOptions(), lpips_weights: str | None = None
) -> MetricSuite:
    """Load every network whose genuine weights can be had; the suite says why others cannot.

    UserError for a file that was named and is not what it should be.
    """
    networks, unavailable = {}, {}
    loaders: dict[str, Callable[[], nn.Module]] = {
        "lpips": lambda: lpips_network(lpips_weights, options.lpips_backbone),
        "kid": inception_network,
    }
    for key, load in loaders.items():
        try:
            networks[key] = load()
        except NoBackbone as error:
            unavailable[key] = str(error)
    return MetricSuite(options, networks, unavailable)
