"""Read the tests of a results folder and rank them as rows. Nothing is scored here."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.console import info
from benchmark.errors import UserError, did_you_mean
from benchmark.evaluation.baselines import GRAY
from benchmark.evaluation.recorded import read_test
from benchmark.metrics.options import DEFAULT_SORT
from benchmark.metrics.table import METRICS
from benchmark.results.folders import Sample, TestFolder
from benchmark.results.records import (
    Calibration,
    ProtocolRecord,
    RunRecord,
    Score,
    SeveralSamples,
)
from benchmark.settings import Settings
from benchmark.statistics import mean_interval, ranks

WITHOUT_LPIPS = "delta_e2000"
DEFAULT_SEED: int = Settings.model_fields["seed"].default
Training = Literal["scratch", "pretrained", "outside"]
TRAININGS = get_args(Training)
"""The kinds of rows that are ranked apart from each other, in the order of the table."""


# ---- rows and boards -----------------------------------------------------------------------------


@dataclass(frozen=True)
class TestResult:
    """One test: its folder, its run.json, and its per_image.csv sorted by the images' contents."""

    folder: TestFolder
    record: RunRecord
    table: pd.DataFrame

    def values(self, key: str) -> NDArray[np.float64]:
        """The values of a metric for the first sample of each image, (N,)."""
        return self.sample_table(0)[key].to_numpy(dtype=np.float64)

    def sample_table(self, sample: Sample) -> pd.DataFrame:
        """The rows of per_image.csv that belong to one sample, one for each image."""
        return self.table[self.table["sample"] == str(sample)]


@dataclass(frozen=True)
class Row:
    """A model with its training, sampling and weights: one test, or one for each of several seeds.

    rank: by the board's metric; None for fixed rows and where nothing can be compared.
    """

    tests: tuple[TestResult, ...]
    rank: int | None = None

    @property
    def record(self) -> RunRecord:
        """The first seed's record, for all that the seeds have in common."""
        return self.tests[0].record

    @property
    def is_fixed(self) -> bool:
        """Whether this is a reference, such as the ground truth, and no model."""
        return self.record.kind == "fixed"

    @property
    def pretrained_on(self) -> str:
        """What the encoder of a model was trained on before; – for a training from scratch.

        Of an outsider, the images of its own training too, which are not those of the models.
        """
        pretrained, outsider = self.record.pretrained, self.record.outsider
        if outsider is not None:
            return f"{outsider.pretrained_on or 'not known'}; trained on {outsider.trained_on}"
        unknown = {"fixed": "", "submitted": "not known"}.get(self.record.kind, "–")
        return pretrained.label if pretrained is not None else unknown

    @property
    def training(self) -> Training:
        """Whether it was trained here, with a pretrained encoder or not, or by others."""
        if self.record.outsider is not None:
            return "outside"
        return "scratch" if self.record.pretrained is None else "pretrained"

    @property
    def seeds(self) -> list[int]:
        """The seeds of the row's tests, in ascending order."""
        return [test.record.seed for test in self.tests]

    @cached_property
    def calibrations(self) -> list[Calibration]:
        """The calibration of each seed's test; empty unless it was on the built-in sample."""
        found = [test.record.calibration for test in self.tests]
        return [calibration for calibration in found if calibration is not None]

    @cached_property
    def name(self) -> str:
        """The run, followed by what differs from the defaults and has no column of its own."""
        record = self.record
        if self.is_fixed:
            data = record.training_data
            return f"{record.model} of {data.name}, {data.n_train} images" if data else record.model
        name = record.run if record.run == record.model else f"{record.run} ({record.model})"
        return ", ".join([name, *self._differences()])

    def _differences(self) -> list[str]:
        record, submission, weights = self.record, self.record.submission, self.record.weights
        found = [
            f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in record.sampling.items()
            if key in record.sampling_changes and key != "steps"
        ]
        if record.kind in ("submitted", "outsider"):
            found.append(record.kind)
        if submission is not None:
            found += ["resized"] * submission.resized
            found += ["the input's L*"] * (submission.lightness == "input")
        elif len(self.seeds) == 1 and record.kind == "model" and record.seed != DEFAULT_SEED:
            found.append(f"seed {record.seed}")
        if weights is not None and weights.trained_as != record.model:
            found.append(f"weights of {weights.trained_as}")
        if weights is not None and Path(weights.file).stem != "best":
            found.append(f"weights {Path(weights.file).stem}")
        return found

    def values(self, key: str) -> NDArray[np.float64] | None:
        """A metric of each image, mean over seeds, (N,); None if it lacks a value of any image."""
        if any(key not in test.table for test in self.tests):
            return None
        values: NDArray[np.float64] = np.mean([test.values(key) for test in self.tests], axis=0)
        return values if np.isfinite(values).all() else None

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The score in every metric, by key.

        Over several seeds it is their mean, with the interval over the images' mean values.
        """
        if len(self.tests) == 1:
            return self.record.metrics
        return {key: self._mean_score(key) for key in self.record.metrics}

    def _mean_score(self, key: str) -> Score:
        scores = [test.record.metrics[key] for test in self.tests]
        means = [score.mean for score in scores if score.mean is not None]
        if len(means) < len(scores):
            reasons = {score.reason for score in scores if score.reason}
            nothing = {"mean": None, "std": None, "low": None, "high": None}
            return scores[0].model_copy(update={**nothing, "reason": "; ".join(sorted(reasons))})
        mean, low, high = float(np.mean(means)), None, None
        values = self.values(key)
        if values is not None and not METRICS[key].between_samples:
            mean, low, high = mean_interval(values.tolist())
        update = {"mean": mean, "std": None, "low": low, "high": high}
        return scores[0].model_copy(update=update)

    @property
    def ms_per_image(self) -> float | None:
        """The time to colorize one image in milliseconds, mean over seeds."""
        timings = [test.record.timing for test in self.tests if test.record.timing]
        return sum(one.ms_per_image for one in timings) / len(timings) if timings else None

    @cached_property
    def samples(self) -> SeveralSamples | None:
        """The scores of several samples, mean over seeds; None unless all seeds have as many."""
        per_seed = [test.record.samples for test in self.tests]
        first = per_seed[0]
        if first is None or any(one is None or one.count != first.count for one in per_seed):
            return None
        if len(per_seed) == 1:
            return first

        def mean(part: str) -> dict[str, Score]:
            found = {}
            for key, score in getattr(first, part).items():
                means = [getattr(one, part)[key].mean for one in per_seed]
                value = float(np.mean(means)) if None not in means else None
                update = {"mean": value, "std": None, "low": None, "high": None}
                found[key] = score.model_copy(update=update)
            return found

        return SeveralSamples(count=first.count, mean=mean("mean"), best=mean("best"))

    def std_over_seeds(self, key: str) -> float | None:
        """The standard deviation of a metric over seeds; None for a single seed."""
        means = [test.record.metrics[key].mean for test in self.tests]
        known = [mean for mean in means if mean is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else None


@dataclass(frozen=True)
class ProtocolBoard:
    """The rows of one protocol, best first, fixed ones last.

    sort: the metric that orders them. together: whether rows from scratch, rows with a pretrained
    encoder and outsiders are ranked together; otherwise they follow each other in this order.
    no_better_than_gray: names of the rows that by that metric are not significantly better than the
    gray input.
    """

    protocol: ProtocolRecord
    protocol_hash: str
    rows: list[Row]
    sort: str
    together: bool = False
    no_better_than_gray: list[str] = field(default_factory=list)

    @property
    def models(self) -> list[Row]:
        """The rows that compete: all but the fixed ones."""
        return [row for row in self.rows if not row.is_fixed]

    @property
    def groups(self) -> list[list[Row]]:
        """The rows that are ranked together: all models, or those of each kind."""
        return _groups(self.models, self.together)

    @property
    def n_images(self) -> int:
        """The number of test images."""
        return self.protocol.n_images

    def fixed(self, model: str) -> Row | None:
        """The fixed row of this name."""
        return next((row for row in self.rows if row.is_fixed and row.record.model == model), None)


@dataclass(frozen=True)
class Leaderboard:
    """All boards of a results folder. refused: why a test is in no board, by its run.json."""

    boards: list[ProtocolBoard]
    refused: dict[str, str]

    def for_protocol(self, protocol_hash: str) -> "Leaderboard":
        """The leaderboard with only the board of one protocol."""
        boards = [board for board in self.boards if board.protocol_hash == protocol_hash]
        return Leaderboard(boards, {})


# ---- reading and ranking -------------------------------------------------------------------------


def read(results: Path, sort: str = DEFAULT_SORT, *, together: bool = False) -> Leaderboard:
    """Read and rank every test below `results`. Tests that are left out are named on stderr.

    together: whether rows from scratch, with a pretrained encoder, and outsiders share their ranks.

    Raises UserError for a metric that does not exist, or if there is no test.
    """
    known = [key for key, metric in METRICS.items() if not metric.between_samples]
    if sort not in known:
        end = did_you_mean(sort.lower(), known) or f"; the metrics are {', '.join(known)}."
        raise UserError(f"--sort {sort}: there is no such metric{end}")
    tests, refused = _read_tests(results)
    for path, reason in refused.items():
        info(f"Left out: {path}: {reason}")
    if not tests:
        raise UserError(f"{results} holds no finished test: train a model, then --mode test.")
    by_protocol = defaultdict(list)
    for test in tests:
        by_protocol[test.record.protocol_hash].append(test)
    groups = sorted(by_protocol.values(), key=lambda group: group[0].record.protocol.name)
    return Leaderboard([_board(group, sort, together) for group in groups], refused)


def _read_tests(results: Path) -> tuple[list[TestResult], dict[str, str]]:
    tests, refused = [], {}
    for folder in TestFolder.all_below(results):
        try:
            tests.append(_read_test(folder))
        except UserError as error:
            # The path heads the line already, relative to the results folder.
            reason = str(error).removeprefix(f"{folder.record}: ")
            reason = reason.replace(f"{folder.record} ", "it ").replace(f"{folder.path}/", "")
            refused[folder.record.relative_to(results).as_posix()] = reason
    return tests, refused


def _read_test(folder: TestFolder) -> TestResult:
    """Read one test. Raises UserError with the reason why it may not be in a table."""
    record, table = read_test(folder)
    # Tests are compared image by image, so all are in the order of the images' contents, which does
    # not depend on file names.
    table = table.sort_values(["sha256", "file"], kind="stable", ignore_index=True)
    return TestResult(folder, record, table)


def _board(tests: list[TestResult], sort: str, together: bool = False) -> ProtocolBoard:
    record, rows = tests[0].record, _rows(tests)
    sort = _usable_sort(rows, sort)
    rows = _ranked(rows, sort, together)
    weak = _no_better_than_gray(rows, sort)
    return ProtocolBoard(record.protocol, record.protocol_hash, rows, sort, together, weak)


def _rows(tests: Sequence[TestResult]) -> list[Row]:
    """Seeds of one run that were trained, sampled and tested alike become one row.

    The same set of images may have been tested under two names; the last test of a seed counts.
    """
    groups: dict[str, dict[int, TestResult]] = defaultdict(dict)
    for test in sorted(tests, key=lambda test: test.record.finished):
        groups[_identity(test.record)][test.record.seed] = test
    return [Row(tuple(by_seed[seed] for seed in sorted(by_seed))) for by_seed in groups.values()]


def _identity(record: RunRecord) -> str:
    """What two tests of one protocol must share to be the same row; the seed is not part of it."""
    weights = record.weights
    identity = {
        "kind": record.kind,
        "model": record.model,
        "run": record.run,
        "settings": {key: value for key, value in record.settings.items() if key != "seed"},
        "sampling": record.sampling,
        "submission": record.submission.model_dump() if record.submission else None,
        "weights": [weights.trained_as, Path(weights.file).stem] if weights else None,
        "training_data": record.training_data.manifest if record.training_data else None,
        "pretrained": record.pretrained.sha256 if record.pretrained else None,
        "outsider": record.outsider.model_dump() if record.outsider else None,
    }
    return json.dumps(identity, sort_keys=True)


def _usable_sort(rows: list[Row], sort: str) -> str:
    """The metric to sort by: ΔE2000 if some row lacks LPIPS, since no order mixes two metrics."""
    known = all(row.scores[sort].mean is not None for row in rows if not row.is_fixed)
    return WITHOUT_LPIPS if sort == DEFAULT_SORT and not known else sort


def _groups(models: Sequence[Row], together: bool) -> list[list[Row]]:
    """The rows that are ranked together, in their order: all, or first those from scratch."""
    if together:
        return [list(models)]
    kinds = ([row for row in models if row.training == kind] for kind in TRAININGS)
    return [group for group in kinds if group]


def _ranked(rows: Sequence[Row], sort: str, together: bool) -> list[Row]:
    """The rows in the order of groups and then of a metric, the fixed ones last."""
    groups = _groups([row for row in rows if not row.is_fixed], together)
    fixed = [row for row in rows if row.is_fixed]
    return [row for group in (*groups, fixed) for row in _ranked_group(group, sort)]


def _ranked_group(rows: list[Row], sort: str) -> list[Row]:
    """The rows in the order of a metric, those without a value below them."""
    sign = -1 if METRICS[sort].direction == "up" else 1

    def order(row: Row) -> tuple[bool, float, str]:
        mean = row.scores[sort].mean
        return (mean is None, sign * (mean or 0.0), row.name)

    rows = sorted(rows, key=order)
    compared = {
        index: values
        for index, row in enumerate(rows)
        if not row.is_fixed and (values := row.values(sort)) is not None and len(values) > 1
    }
    if not compared or METRICS[sort].direction == "none":
        return rows
    found = ranks(np.stack(list(compared.values())), higher_is_better=sign < 0)
    for index, rank in zip(compared, found, strict=True):
        rows[index] = replace(rows[index], rank=rank)
    return rows


def _no_better_than_gray(rows: list[Row], sort: str) -> list[str]:
    gray = next((row for row in rows if row.is_fixed and row.record.model == GRAY), None)
    baseline = gray.values(sort) if gray else None
    if baseline is None or len(baseline) < 2 or METRICS[sort].direction == "none":
        return []
    higher = METRICS[sort].direction == "up"
    names = []
    for row in rows:
        values = None if row.is_fixed else row.values(sort)
        # Ranked in a pair, gray has rank 2 where the row is significantly better.
        if values is not None and ranks(np.stack([values, baseline]), higher)[1] == 1:
            names.append(row.name)
    return names
