"""A colorizer and a protocol → pictures and scores, in one folder under a run's tests/."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

import metrics

from .baselines import GREY, GROUND_TRUTH, MEAN_AB, Grey, GroundTruth, MeanAb
from .color import rgb_from_8bit, rgb_to_lightness
from .colorizer import Colorizer, Sampling
from .console import progress, say
from .data.cache import Pictures
from .data.reading import read_whole
from .errors import UserError
from .figures import read_png, save_png, save_results
from .files import replacing, sha256_of_json
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
    instruments: metrics.Instruments
    num_images: int
    batch_size: int

    def folder(self, subject: Subject) -> Path:
        """tests/<protocol>[-<sampling>]; part of the hash keeps two sets of one name apart."""
        parts = [self.protocol.name, self.protocol.hash[:8], subject.sampling.label()]
        return subject.folder.tests / "-".join(part for part in parts if part)


def prepare(
    pictures: Pictures,
    source: str,
    size: int,
    *,
    instruments: metrics.Instruments,
    num_images: int = 4,
    batch_size: int = 64,
) -> Test:
    """A test on these pictures. Metrics without genuine weights are named, and the rest is done."""
    rows = metrics.table(instruments.options)
    for key, reason in instruments.missing.items():
        say(f"{rows[key].label} is left out: {reason}.")
    if len(pictures) == 1:
        say("There is one test picture only: no interval tells how sure its scores are.")
    protocol = Protocol.of(pictures, source, size, instruments.options)
    return Test(pictures, protocol, instruments, num_images, batch_size)


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
    milliseconds = _colorize_all(subject, on, folder)
    _draw_figure(folder, on)
    scores = metrics.score(_written(folder, on.pictures), on.instruments)
    _write_per_image(folder / "per_image.csv", on.pictures, scores)
    timing = Timing(
        ms_per_picture=round(milliseconds, 3),
        batch_size=on.batch_size,
        device=device_name(subject.device),
    )
    result = _record(subject, on, scores, timing)
    write_record(record, result)
    return result


def test_baselines(results: Path, on: Test, training_set: Mapping[str, Any]) -> None:
    """The fixed rows of this protocol. RuntimeError if ground truth does not come out perfect.

    training_set: the facts of the training data, whose mean ab is a row too; of runs that know no
    `ab_mean` there is none.
    """
    cpu = torch.device("cpu")
    if "ab_mean" in training_set:
        code = sha256_of_json([training_set["manifest"], training_set["ab_mean"]])[:8]
        subject = Subject(
            # Each training set has its own, and a table may show several.
            RunFolder(results, f"{MEAN_AB.replace(' ', '-')}-{code}", 0),
            MEAN_AB,
            MeanAb(tuple(training_set["ab_mean"])).eval(),
            cpu,
            Sampling(),
            kind="fixed",
            training_data=dict(training_set),
        )
        test(subject, on)
    truths = {
        mixed(0, picture.name, 0): rgb_from_8bit(rgb8)
        for picture, rgb8 in zip(on.pictures.files, on.pictures.rgb8, strict=True)
    }
    for name, colorizer in ((GREY, Grey()), (GROUND_TRUTH, GroundTruth(truths))):
        folder = RunFolder(results, name.replace(" ", "-"), 0)
        subject = Subject(folder, name, colorizer.eval(), cpu, Sampling(), kind="fixed")
        record = test(subject, on)
        if name == GROUND_TRUTH:
            _require_perfect(record.metrics, on.instruments.options)


def _earlier(path: Path, subject: Subject, on: Test) -> RunRecord | None:
    """The record of a test that need not be done again, or None."""
    try:
        record = read_record(path)
    except UserError:  # none yet, or of an older version
        return None
    # A network that was missing then and is there now is worth doing the test again.
    lacking = any(record.metrics[key].n == 0 for key in on.instruments.networks)
    return record if record.weights == subject.weights and not lacking else None


def _draw_figure(folder: Path, on: Test) -> None:
    """figure.png from the pictures as written: the first ones, as many as were asked for."""
    truth8 = on.pictures.rgb8[: on.num_images]
    names = _file_names(on.pictures)[: on.num_images]
    output = torch.stack([read_png(folder / "pictures" / name) for name in names])
    save_results(folder / "figure.png", rgb_to_lightness(rgb_from_8bit(truth8)), output, truth8)


def _require_perfect(scores: Mapping[str, Score], options: metrics.Options) -> None:
    for key, metric in metrics.table(options).items():
        mean, wanted = scores[key].mean, metric.perfect
        if mean is not None and wanted is not None and abs(mean - wanted) > 2e-5:
            raise RuntimeError(
                f"ground truth scores {mean} in {key}, not {wanted}: a fault of ours"
            )


def _colorize_all(subject: Subject, on: Test, folder: Path) -> float:
    """Colour and write one batch after another; returns the milliseconds of colouring a picture.

    Seeds follow the files' names.
    """
    written = _file_names(on.pictures)
    seconds = 0.0
    rows = torch.split(torch.arange(len(on.pictures)), on.batch_size)
    for part in progress(rows, total=len(rows), label=f"testing {subject.model}", unit="batches"):
        truth = rgb_from_8bit(on.pictures.rgb8[part]).to(subject.device)
        names = [on.pictures.files[row].name for row in part.tolist()]
        seeds = [mixed(subject.folder.seed, name, 0) for name in names]
        lightness = rgb_to_lightness(truth)
        before = time.perf_counter()
        rgb = subject.colorizer.colorize(lightness, seeds=seeds, sampling=subject.sampling)
        rgb = rgb.cpu()  # the clock stops when it is there
        seconds += time.perf_counter() - before
        for row, one in zip(part.tolist(), rgb, strict=True):
            save_png(folder / "pictures" / written[row], one)
    return 1000 * seconds / len(on.pictures)


def _written(folder: Path, pictures: Pictures) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the pictures as written and their truths, uint8 (B, 3, S, S)."""
    paths = [folder / "pictures" / name for name in _file_names(pictures)]
    outputs = (torch.from_numpy(read_whole(path)) for path in paths)
    return metrics.in_batches(zip(outputs, pictures.rgb8, strict=True))


def _file_names(pictures: Pictures) -> list[str]:
    """A PNG's name for each picture: its own without folders, numbered where two would collide."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for picture in pictures.files:
        stem = Path(picture.name).with_suffix("").as_posix().replace("/", "__")
        seen[stem] += 1
        names.append(f"{stem}~{seen[stem]}.png" if seen[stem] > 1 else f"{stem}.png")
    return names


def _write_per_image(path: Path, pictures: Pictures, scores: metrics.Scores) -> None:
    table = pd.DataFrame(
        {
            "file": [picture.name for picture in pictures.files],
            "sha256": [picture.digest for picture in pictures.files],
            "sample": 0,
            "picture": _file_names(pictures),
            **scores.pictures,
        }
    )
    with replacing(path) as part:
        table.to_csv(part, index=False)


def _record(subject: Subject, on: Test, scores: metrics.Scores, timing: Timing) -> RunRecord:
    pictures, rows = on.pictures, metrics.table(on.instruments.options)
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
        n_scored=scores.n,
        failed=pictures.failures,
        metrics={key: _score(metric, scores) for key, metric in rows.items()},
        timing=timing,
        cost=subject.cost,
        environment=environment(),
        finished=now(),
    )


def _score(metric: metrics.Metric, scores: metrics.Scores) -> Score:
    """The entry of run.json: of one value a picture, of one a set, or the reason why of none."""
    mean, low, high, std, n = None, None, None, None, scores.n
    reason = scores.missing.get(metric.key)
    values = scores.pictures.get(metric.key)
    if metric.key in scores.sets:
        mean, std = scores.sets[metric.key]
    elif values is None:
        n = 0
    elif not all(finite(value) is not None for value in values):
        reason = "infinite for a picture that equals the truth"
    else:
        mean, low, high = mean_interval(values)
        std = float(torch.tensor(values, dtype=torch.float64).std()) if n > 1 else None
    return Score(
        label=metric.label,
        unit=metric.unit,
        direction=metric.direction,
        mean=mean,
        std=std,
        low=low,
        high=high,
        n=n,
        reason=reason,
    )
