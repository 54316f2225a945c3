"""From the tests of a results folder to ranked rows. Nothing is scored here."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.console import info
from benchmark.errors import UserError, did_you_mean
from benchmark.evaluation.baselines import GRAY
from benchmark.evaluation.per_image import read_test
from benchmark.results.records import RunRecord, Score, SeveralSamples
from benchmark.settings import Settings
from benchmark.statistics import mean_interval, ranks
from benchmark.metrics.table import METRICS

DEFAULT_SORT = "lpips"
WITHOUT_LPIPS = "delta_e2000"


@dataclass(frozen=True)
class TestResult:
    """One test: its folder, run.json, and the rows of per_image.csv, images in one order."""

    folder: Path
    record: RunRecord
    table: pd.DataFrame

    def values(self, key: str) -> NDArray[np.float64]:
        """A metric of each image, first sample, (N,)."""
        return self.of_sample(0)[key].to_numpy(dtype=np.float64)

    def of_sample(self, sample: int | str) -> pd.DataFrame:
        return self.table[self.table["sample"] == str(sample)]


@dataclass(frozen=True)
class Row:
    """A model as trained, sampled and weighted: one test, or one for each of several seeds.

    rank: by the board's metric; None for fixed rows and where nothing can be compared.
    """

    tests: tuple[TestResult, ...]
    rank: int | None = None

    @property
    def record(self) -> RunRecord:
        """What all seeds have in common is read off the first."""
        return self.tests[0].record

    @property
    def is_fixed(self) -> bool:
        return self.record.kind == "fixed"

    @property
    def seeds(self) -> list[int]:
        return [test.record.seed for test in self.tests]

    @cached_property
    def name(self) -> str:
        """The run, and what of its choices is not usual and in no column of its own."""
        record = self.record
        if record.kind == "fixed":
            of = record.training_data
            return f"{record.model} of {of.name}, {of.n_train} images" if of else record.model
        facts = [
            f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}"
            for k, v in record.sampling.items()
            if k != "steps"
        ]
        if record.kind == "submitted":
            facts.append("submitted")
        if record.submission is not None:
            facts += ["resized"] * record.submission.resized
            facts += ["the input's L*"] * (record.submission.lightness == "input")
        elif self.seeds != [Settings.model_fields["seed"].default] and len(self.seeds) == 1:
            facts.append(f"seed {record.seed}")
        if record.weights and record.weights.trained_as != record.model:
            facts.append(f"weights of {record.weights.trained_as}")
        if record.weights and Path(record.weights.file).stem != "best":
            facts.append(f"weights {Path(record.weights.file).stem}")
        name = record.run if record.run == record.model else f"{record.run} ({record.model})"
        return ", ".join([name, *facts])

    def values(self, key: str) -> NDArray[np.float64] | None:
        """A metric of each image, mean over seeds, (N,); None where it has no value."""
        if any(key not in test.table for test in self.tests):
            return None
        values: NDArray[np.float64] = np.mean([test.values(key) for test in self.tests], axis=0)
        return values if np.isfinite(values).all() else None

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Every metric; of several seeds their mean, with the interval of the mean's images."""
        if len(self.tests) == 1:
            return self.record.metrics
        return {key: self._over_seeds(key) for key in self.record.metrics}

    def _over_seeds(self, key: str) -> Score:
        scores = [test.record.metrics[key] for test in self.tests]
        means = [score.mean for score in scores if score.mean is not None]
        if len(means) < len(scores):
            reasons = {score.reason for score in scores if score.reason}
            gap = {"mean": None, "std": None, "low": None, "high": None}
            return scores[0].model_copy(update={**gap, "reason": "; ".join(sorted(reasons))})
        mean, low, high = float(np.mean(means)), None, None
        values = self.values(key)
        if values is not None and not METRICS[key].between_samples:
            mean, low, high = mean_interval(values.tolist())
        several = {"mean": mean, "std": None, "low": low, "high": high}
        return scores[0].model_copy(update=several)

    @property
    def milliseconds(self) -> float | None:
        """Of coloring an image, mean over seeds."""
        known = [test.record.timing for test in self.tests if test.record.timing]
        return sum(t.ms_per_image for t in known) / len(known) if known else None

    @cached_property
    def samples(self) -> SeveralSamples | None:
        """What several samples showed, mean over seeds; None unless all seeds have as many."""
        each = [test.record.samples for test in self.tests]
        first = each[0]
        if first is None or any(one is None or one.count != first.count for one in each):
            return None
        if len(each) == 1:
            return first

        def mean(part: str) -> dict[str, Score]:
            found = {}
            for key, score in getattr(first, part).items():
                means = [getattr(one, part)[key].mean for one in each]
                value = float(np.mean(means)) if None not in means else None
                update = {"mean": value, "std": None, "low": None, "high": None}
                found[key] = score.model_copy(update=update)
            return found

        return SeveralSamples(count=first.count, mean=mean("mean"), best=mean("best"))

    def spread(self, key: str) -> float | None:
        """The deviation of a metric over seeds; None of a single seed."""
        means = [test.record.metrics[key].mean for test in self.tests]
        known = [mean for mean in means if mean is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else None


@dataclass(frozen=True)
class ProtocolBoard:
    """The rows of one protocol, best first, fixed ones below.

    sort: the metric that orders them. no_better_than_gray: names of the rows that by that metric
    are not significantly better than the input itself.
    """

    protocol: dict[str, Any]
    code: str
    rows: list[Row]
    sort: str
    no_better_than_gray: list[str] = field(default_factory=list)

    @property
    def models(self) -> list[Row]:
        """The rows that compete: all but the fixed ones."""
        return [row for row in self.rows if not row.is_fixed]

    @property
    def n_images(self) -> int:
        return int(self.protocol["n_images"])

    def fixed(self, model: str) -> Row | None:
        """The fixed row of this name."""
        return next((row for row in self.rows if row.is_fixed and row.record.model == model), None)


@dataclass(frozen=True)
class Leaderboard:
    """All boards of a results folder. refused: why a test stands in none, by its run.json."""

    boards: list[ProtocolBoard]
    refused: dict[str, str]

    def for_protocol(self, code: str) -> "Leaderboard":
        """The board of one protocol, by its hash."""
        return Leaderboard([board for board in self.boards if board.code == code], {})


def read(results: Path, sort: str = DEFAULT_SORT) -> Leaderboard:
    """Every test below `results`, ranked. What may not stand in a table is named on stderr.

    UserError for a metric that does not exist, or if there is no test.
    """
    known = [key for key, metric in METRICS.items() if not metric.between_samples]
    if sort not in known:
        raise UserError(f"No row is ordered by {sort!r}{did_you_mean(sort.lower(), known)}.")
    tests, refused = _read_tests(results)
    for path, reason in refused.items():
        info(f"Left out: {path}: {reason}")
    if not tests:
        raise UserError(f"{results} holds no finished test: train a model, then --mode test.")
    by_protocol = defaultdict(list)
    for test in tests:
        by_protocol[test.record.protocol_hash].append(test)
    groups = sorted(by_protocol.values(), key=lambda group: str(group[0].record.protocol["name"]))
    return Leaderboard([_board(group, sort) for group in groups], refused)


def _read_tests(results: Path) -> tuple[list[TestResult], dict[str, str]]:
    tests, refused = [], {}
    for path in sorted(results.glob("*/seed-*/tests/*/run.json")):
        place = path.relative_to(results).as_posix()
        try:
            tests.append(_read_test(path))
        except UserError as error:
            reason = str(error).removeprefix(f"{path}: ").replace(f"{path} ", "it ")
            refused[place] = reason.replace(f"{path.parent}/", "")
    return tests, refused


def _read_test(path: Path) -> TestResult:
    """UserError with the reason why it may not stand in a table."""
    record, table = read_test(path.parent)
    # The order of their contents, which is that of no folder, so that tests are compared in pairs.
    table = table.sort_values(["sha256", "file"], kind="stable", ignore_index=True)
    return TestResult(path.parent, record, table)


def _board(tests: list[TestResult], sort: str) -> ProtocolBoard:
    rows = _rows(tests)
    record = tests[0].record
    by = _sorting(rows, sort)
    rows = _ranked(rows, by)
    return ProtocolBoard(
        record.protocol, record.protocol_hash, rows, by, _no_better_than_gray(rows, by)
    )


def _rows(tests: Sequence[TestResult]) -> list[Row]:
    """Seeds of one run that were trained, sampled and tested alike become one row.

    A set of images may have been tested on by two names; of the same seed the last test counts.
    """
    alike: dict[str, dict[int, TestResult]] = defaultdict(dict)
    for test in sorted(tests, key=lambda test: test.record.finished):
        alike[_identity(test.record)][test.record.seed] = test
    return [Row(tuple(of_seed[seed] for seed in sorted(of_seed))) for of_seed in alike.values()]


def _identity(record: RunRecord) -> str:
    """What makes two tests of one protocol the same row but for their seed."""
    weights = record.weights
    facts = {
        "kind": record.kind,
        "model": record.model,
        "run": record.run,
        "settings": {key: value for key, value in record.settings.items() if key != "seed"},
        "sampling": record.sampling,
        "submission": record.submission.model_dump() if record.submission else None,
        "weights": [weights.trained_as, Path(weights.file).stem] if weights else None,
        "training_data": record.training_data.manifest if record.training_data else None,
    }
    return json.dumps(facts, sort_keys=True)


def _sorting(rows: list[Row], sort: str) -> str:
    """LPIPS gives way to ΔE2000 where it is not there for all: two metrics order nothing."""
    known = all(row.scores[sort].mean is not None for row in rows if not row.is_fixed)
    return WITHOUT_LPIPS if sort == DEFAULT_SORT and not known else sort


def _ranked(rows: list[Row], by: str) -> list[Row]:
    """The rows in the order of a metric, those without it below them, the fixed ones last."""
    sign = -1 if METRICS[by].direction == "up" else 1

    def order(row: Row) -> tuple[bool, bool, float, str]:
        mean = row.scores[by].mean
        return (row.is_fixed, mean is None, sign * (mean or 0.0), row.name)

    rows = sorted(rows, key=order)
    compared = {
        place: values
        for place, row in enumerate(rows)
        if not row.is_fixed and (values := row.values(by)) is not None and len(values) > 1
    }
    if not compared or METRICS[by].direction == "none":
        return rows
    found = ranks(np.stack(list(compared.values())), higher_is_better=sign < 0)
    for place, rank in zip(compared, found, strict=True):
        rows[place] = replace(rows[place], rank=rank)
    return rows


def _no_better_than_gray(rows: list[Row], by: str) -> list[str]:
    gray = next((row for row in rows if row.is_fixed and row.record.model == GRAY), None)
    base = gray.values(by) if gray else None
    if base is None or len(base) < 2 or METRICS[by].direction == "none":
        return []
    higher = METRICS[by].direction == "up"
    named = []
    for row in rows:
        values = None if row.is_fixed else row.values(by)
        # Of the two, gray has rank 2 where the row is significantly better.
        if values is not None and ranks(np.stack([values, base]), higher)[1] == 1:
            named.append(row.name)
    return named
