"""Helpers of the leaderboard's tests: results of models of one color, and tables read back."""

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark import leaderboard
from benchmark.data.cache import ImageSet
from benchmark.data.manifest import ImageFile
from benchmark.evaluation import baselines, evaluate
from benchmark.evaluation.named import TestImages
from benchmark.leaderboard.ranking import Leaderboard, ProtocolBoard
from benchmark.metrics.table import MetricSuite
from benchmark.results.folders import RunFolder
from benchmark.results.records import Cost, WeightsUsed

Rows = dict[str, dict[str, str]]
"""Model → column → cell."""
EVIL = "<script>alert(1)"
COST = Cost(
    parameters=1_500_000,
    training_seconds=90.0,
    images_per_second=10.0,
    epochs=1,
    steps=1,
    device="CPU",
    precision="32",
    peak_device_bytes=None,
    best_epoch=1,
)


class MeanDifference(nn.Module):
    """A stand-in for LPIPS: the mean absolute difference of two batches of images, (B,)."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return (first - second).abs().mean(dim=(1, 2, 3))


def images(count: int) -> ImageSet:
    """Return images of soft colors, as if read from files; the first file name holds a script."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    rgb8 = (nn.functional.interpolate(coarse, (32, 32), mode="bilinear") * 255).byte()
    names = [f"{EVIL}.png", *(f"{number}.png" for number in range(1, count))]
    files = [ImageFile(name, Path(name), f"{number:064d}") for number, name in enumerate(names)]
    return ImageSet(files, rgb8, {})


def prepare(count: int, name: str = "soft", **networks: nn.Module) -> evaluate.TestSetup:
    unavailable = dict.fromkeys({"lpips", "kid"} - networks.keys(), "left out here")
    suite = MetricSuite(networks=networks, unavailable=unavailable)
    return evaluate.prepare(images(count), name, TestImages.of(32), suite=suite, num_images=1)


def add(
    results: Path,
    run: str,
    ab: tuple[float, float],
    setup: evaluate.TestSetup,
    *,
    seed: int = 8000,
    cost: Cost | None = COST,
) -> None:
    """Test a model that gives every pixel the same ab."""
    folder = RunFolder(results, run, seed)
    weights = WeightsUsed(
        trained_as=run, run=run, file="best.safetensors", sha256="0" * 64, epoch=1
    )
    candidate = evaluate.Candidate(folder, run, weights=weights, cost=cost)
    evaluate.test(candidate, baselines.MeanAb(ab).eval(), setup)


def board_of(found: Leaderboard, name: str) -> ProtocolBoard:
    (board,) = (board for board in found.boards if board.protocol.name == name)
    return board


def tables(results: Path) -> dict[str, Rows]:
    """Read leaderboard.md as heading → model → column → cell; joins all tables under a heading."""
    leaderboard.write(results)
    found: dict[str, Rows] = {}
    header: list[str] = []
    for line in (results / "leaderboard.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            header = []
        if line.startswith("## ") and line != "## Left out":
            heading = re.sub(r"\\(\W|_)", r"\1", line[3:])
            found[heading] = {}
        elif line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            cells = [re.sub(r"\\(\W|_)", r"\1", cell.strip()) for cell in cells]
            if not header:
                header = cells
            elif set(line) != {"|", "-"}:
                assert len(cells) == len(header)
                row = dict(zip(header, cells, strict=True))
                found[heading].setdefault(row["Model"], {}).update(row)
    return found


def column(rows: Rows, label: str) -> dict[str, str]:
    """Return the cells of a metric's column by model, without the interval."""
    return {model: re.sub(r" ± [\d.]+", "", row[label]) for model, row in rows.items()}
