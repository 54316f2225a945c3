"""A colorizer and a protocol → pictures and scores, in one folder under a run's tests/."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

import metrics

from .baselines import GREY, GROUND_TRUTH, Grey, GroundTruth
from .color import rgb_from_8bit, rgb_to_8bit, rgb_to_lightness
from .colorizer import Colorizer, Sampling
from .console import progress, say
from .data.cache import Pictures
from .errors import UserError
from .figures import read_png, save_png, save_results
from .files import replacing
from .protocol import Protocol
from .recipe import mixed
from .results import (
    RunFolder,
    RunRecord,
    Score,
    Timing,
    WeightsUsed,
    environment,
    finite,
    now,
    read_record,
    write_record,
)
from .statistics import mean_interval
from .training import device_name

PERFECT = {"ssim": 1.0, "lpips": 0.0, "delta_e2000": 0.0, "delta_e76": 0.0, "lightness_error": 0.0}
"""What ground truth must score; anything else means that the path itself is wrong."""


@dataclass(frozen=True)
class Subject:
    """Who is tested: all of run.json that is not measured here."""

    folder: RunFolder
    model: str
    colorizer: Colorizer
    device: torch.device
    sampling: Sampling
    kind: str = "model"
    weights: WeightsUsed | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    training_data: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Test:
    """On what: the pictures and their protocol, and how many rows the figure has."""

    pictures: Pictures
    protocol: Protocol
    network: nn.Module | None
    no_lpips: str | None
    num_images: int
    batch_size: int

    def folder(self, subject: Subject) -> Path:
        """tests/<protocol>[-<sampling>]; part of the hash keeps two sets of one name apart."""
        parts = [self.protocol.name, self.protocol.hash[:8], subject.sampling.label()]
        return subject.folder.tests / "-".join(part for part in parts if part)


def find_lpips(weights: str | None) -> tuple[nn.Module | None, str | None]:
    """(network, None), or (None, why there is none). UserError for a wrong file that was named."""
    try:
        return metrics.lpips_network(weights), None
    except metrics.NoBackbone as error:
        return None, str(error)


def prepare(
    pictures: Pictures,
    source: str,
    size: int,
    *,
    lpips_weights: str | None = None,
    num_images: int = 4,
    batch_size: int = 64,
) -> Test:
    """A test on these pictures. Without genuine weights for LPIPS it says so and does the rest."""
    network, reason = find_lpips(lpips_weights)
    if reason is not None:
        say(f"LPIPS is left out: {reason}.")
    protocol = Protocol.of(pictures, source, size)
    return Test(pictures, protocol, network, reason, num_images, batch_size)


def test(subject: Subject, on: Test, overwrite: bool = False) -> RunRecord:
    """Colour, write, score. A test that is complete and of the same weights is not done again."""
    folder = on.folder(subject)
    record = folder / "run.json"
    earlier = None if overwrite else _earlier(record, subject, on)
    if earlier is not None:
        _draw_figure(folder, on)
        if subject.kind == "model":
            say(f"{folder} is already tested.")
        return earlier
    record.unlink(missing_ok=True)  # from here on the folder is not a result until it is whole
    output8, milliseconds = _colorize_all(subject, on)
    names = _file_names(on.pictures)
    for name, rgb8 in zip(names, output8, strict=True):
        save_png(folder / "pictures" / name, rgb_from_8bit(rgb8))
    truth8 = on.pictures.rgb8
    _draw_figure(folder, on)
    values = metrics.score(output8, truth8, on.network)
    _write_per_image(folder / "per_image.csv", on.pictures, names, values)
    timing = Timing(
        ms_per_picture=round(milliseconds, 3),
        batch_size=on.batch_size,
        device=device_name(subject.device),
    )
    result = _record(subject, on, values, timing)
    write_record(record, result)
    return result


def test_baselines(results: Path, on: Test) -> None:
    """The fixed rows of this protocol. RuntimeError if ground truth does not come out perfect."""
    truths = {
        mixed(0, picture.name, 0): rgb_from_8bit(rgb8)
        for picture, rgb8 in zip(on.pictures.files, on.pictures.rgb8, strict=True)
    }
    cpu = torch.device("cpu")
    for name, colorizer in ((GREY, Grey()), (GROUND_TRUTH, GroundTruth(truths))):
        folder = RunFolder(results, name.replace(" ", "-"), 0)
        subject = Subject(folder, name, colorizer.eval(), cpu, Sampling(), kind="fixed")
        record = test(subject, on)
        if name == GROUND_TRUTH:
            _require_perfect(record.metrics)


def _earlier(path: Path, subject: Subject, on: Test) -> RunRecord | None:
    """The record of a test that need not be done again, or None."""
    try:
        record = read_record(path)
    except UserError:  # none yet, or of an older version
        return None
    lpips_missing = record.metrics["lpips"].mean is None and on.network is not None
    return record if record.weights == subject.weights and not lpips_missing else None


def _draw_figure(folder: Path, on: Test) -> None:
    """figure.png from the pictures as written: the first ones, as many as were asked for."""
    truth8 = on.pictures.rgb8[: on.num_images]
    names = _file_names(on.pictures)[: on.num_images]
    output = torch.stack([read_png(folder / "pictures" / name) for name in names])
    save_results(folder / "figure.png", rgb_to_lightness(rgb_from_8bit(truth8)), output, truth8)


def _require_perfect(scores: Mapping[str, Score]) -> None:
    for key, value in PERFECT.items():
        mean = scores[key].mean
        if mean is not None and abs(mean - value) > 2e-5:
            raise RuntimeError(f"ground truth scores {mean} in {key}, not {value}: a fault of ours")


def _colorize_all(subject: Subject, on: Test) -> tuple[Tensor, float]:
    """(uint8 (N, 3, S, S) on the CPU, milliseconds a picture); seeds follow the files' names."""
    outputs: list[Tensor] = []
    seconds = 0.0
    rows = torch.split(torch.arange(len(on.pictures)), on.batch_size)
    for part in progress(rows, total=len(rows), label=f"testing {subject.model}", unit="batches"):
        truth = rgb_from_8bit(on.pictures.rgb8[part]).to(subject.device)
        names = [on.pictures.files[row].name for row in part.tolist()]
        seeds = [mixed(subject.folder.seed, name, 0) for name in names]
        lightness = rgb_to_lightness(truth)
        before = time.perf_counter()
        rgb = subject.colorizer.colorize(lightness, seeds=seeds, sampling=subject.sampling)
        outputs.append(rgb_to_8bit(rgb).cpu())  # to the CPU: the clock stops when it is there
        seconds += time.perf_counter() - before
    return torch.cat(outputs), 1000 * seconds / len(on.pictures)


def _file_names(pictures: Pictures) -> list[str]:
    """A PNG's name for each picture: its own without folders, numbered where two would collide."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for picture in pictures.files:
        stem = Path(picture.name).with_suffix("").as_posix().replace("/", "__")
        seen[stem] += 1
        names.append(f"{stem}~{seen[stem]}.png" if seen[stem] > 1 else f"{stem}.png")
    return names


def _write_per_image(
    path: Path, pictures: Pictures, names: list[str], values: dict[str, list[float]]
) -> None:
    table = pd.DataFrame(
        {
            "file": [picture.name for picture in pictures.files],
            "sha256": [picture.digest for picture in pictures.files],
            "sample": 0,
            "picture": names,
            **values,
        }
    )
    with replacing(path) as part:
        table.to_csv(part, index=False)


def _record(
    subject: Subject, on: Test, values: dict[str, list[float]], timing: Timing
) -> RunRecord:
    pictures = on.pictures
    return RunRecord(
        kind=subject.kind,  # type: ignore[arg-type]
        model=subject.model,
        run=subject.folder.run,
        seed=subject.folder.seed,
        settings=subject.settings,
        sampling=subject.sampling.model_dump(),
        weights=subject.weights,
        protocol=on.protocol.describe(),
        protocol_hash=on.protocol.hash,
        training_data=subject.training_data,
        n_expected=len(pictures),
        n_scored=len(next(iter(values.values()))),
        failed=pictures.failures,
        metrics={key: _score(key, values.get(key), on.no_lpips) for key in metrics.METRICS},
        timing=timing,
        cost=subject.cost,
        environment=environment(),
        finished=now(),
    )


def _score(key: str, values: list[float] | None, no_lpips: str | None) -> Score:
    metric = metrics.METRICS[key]
    reason, mean, low, high, std = None, None, None, None, None
    if values is None:
        reason = no_lpips
    elif not all(finite(value) is not None for value in values):
        reason = "infinite for a picture that equals the truth"
    else:
        mean, low, high = mean_interval(values)
        std = float(torch.tensor(values, dtype=torch.float64).std()) if len(values) > 1 else None
    return Score(
        label=metric.label,
        unit=metric.unit,
        direction=metric.direction,
        mean=mean,
        std=std,
        low=low,
        high=high,
        n=len(values or []),
        reason=reason,
    )
