"""The metrics as a library: every metric by name, the score of a folder, and the leaderboard.

    from metrics import delta_e2000, score_folder
    scores = score_folder(Path("colored"), Path("truth"), load_metric_suite())

The metrics live in `benchmark/metrics/`; what each expects and returns is written there. No file of
the project imports this one.
"""

from pathlib import Path

from benchmark import leaderboard
from benchmark.data.pairs import read_pairs
from benchmark.metrics.images import (
    ImagePair,
    colorfulness,
    colorfulness_gap,
    delta_e76,
    delta_e2000,
    lightness_error,
    lpips,
    match_chroma,
    psnr,
    ssim,
)
from benchmark.metrics.networks import inception_network, lpips_network
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.score import Scores, in_batches, score, score_samples
from benchmark.metrics.sets import (
    AbDivergence,
    FrechetInceptionDistance,
    KernelInceptionDistance,
    MatchedFrechetDistance,
    frechet_distance,
    kernel_distance,
)
from benchmark.metrics.table import ALL_METRICS, METRICS, MetricSuite, load_metric_suite

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "AbDivergence",
    "FrechetInceptionDistance",
    "ImagePair",
    "KernelInceptionDistance",
    "MatchedFrechetDistance",
    "MetricOptions",
    "MetricSuite",
    "Scores",
    "colorfulness",
    "colorfulness_gap",
    "delta_e76",
    "delta_e2000",
    "frechet_distance",
    "inception_network",
    "kernel_distance",
    "lightness_error",
    "load_metric_suite",
    "lpips",
    "lpips_network",
    "match_chroma",
    "psnr",
    "score",
    "score_folder",
    "score_samples",
    "ssim",
    "write_leaderboard",
]


def score_folder(outputs: Path, truths: Path, suite: MetricSuite = MetricSuite()) -> Scores:
    """Score the images of a folder against those of the same names, suffixes aside, in another.

    Values are in the order of the names; images are read one batch at a time. Raises UserError for
    a folder without images, an image without its counterpart, of another size or unreadable.
    """
    return score(in_batches(read_pairs(outputs, truths)), suite)


def write_leaderboard(results: Path, *, together: bool = False) -> list[Path]:
    """Write leaderboard.md, .csv, .tex and .html of all tests in `results`; return their paths.

    together: whether rows from scratch and rows with a pretrained encoder share their ranks.
    """
    leaderboard.write(results, together=together)
    return leaderboard.paths(results)
