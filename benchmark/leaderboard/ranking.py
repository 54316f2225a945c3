"""Read the tests of a results folder and rank them as rows. Nothing is scored here."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmark.console import info
from benchmark.errors import UserError, did_you_mean
from benchmark.evaluation.baselines import GRAY
from benchmark.evaluation.protocol import options_of
from benchmark.evaluation.recorded import read_test
from benchmark.leaderboard.rows import TRAININGS, Row, TestResult
from benchmark.leaderboard.studies import read_studies
from benchmark.metrics.options import DEFAULT_SORT, MetricOptions
from benchmark.metrics.table import ALL_METRICS
from benchmark.results.folders import TestFolder
from benchmark.results.records import ProtocolRecord, RunRecord
from benchmark.results.study import StudyRecord
from benchmark.statistics import Correction, ranks

WITHOUT_LPIPS, WITHOUT_TRUTH = "delta_e2000", "colorfulness"
"""The metrics that order the rows where LPIPS is missing, and where nothing has a true color."""


# ---- boards --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProtocolBoard:
    """The rows of one protocol, best first, fixed ones last.

    sort: the metric that orders them. together: whether rows from scratch, rows with a pretrained
    encoder and outsiders are ranked together; otherwise they follow each other in this order.
    no_better_than_gray: names of the rows that by that metric are not significantly better than the
    gray input. correct: how the ranks allow for the number of pairs. studies: what people answered
    about images of these rows.
    """

    protocol: ProtocolRecord
    protocol_hash: str
    rows: list[Row]
    sort: str
    together: bool = False
    no_better_than_gray: list[str] = field(default_factory=list)
    correct: Correction = "none"
    studies: list[StudyRecord] = field(default_factory=list)

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

    @property
    def options(self) -> MetricOptions:
        """The options of the metrics."""
        options = options_of(self.protocol)
        assert options is not None  # a test of unknown metrics is in no board
        return options

    def fixed(self, model: str) -> Row | None:
        """The fixed row of this name."""
        return next((row for row in self.rows if row.is_fixed and row.record.model == model), None)


@dataclass(frozen=True)
class Leaderboard:
    """All boards of a results folder.

    refused: why a test or a study is in no board, by its file.
    """

    boards: list[ProtocolBoard]
    refused: dict[str, str]

    def for_protocol(self, protocol_hash: str) -> "Leaderboard":
        """The leaderboard with only the board of one protocol."""
        boards = [board for board in self.boards if board.protocol_hash == protocol_hash]
        return Leaderboard(boards, {})

    def for_named(self, name: str) -> "Leaderboard":
        """The leaderboard with only the boards of a named protocol, whole or in part."""
        rules = [(board, board.protocol.rule) for board in self.boards]
        return Leaderboard([board for board, rule in rules if rule and rule.protocol == name], {})


# ---- reading and ranking -------------------------------------------------------------------------


def read(
    results: Path,
    sort: str = DEFAULT_SORT,
    *,
    together: bool = False,
    correct: Correction = "none",
) -> Leaderboard:
    """Read and rank every test below `results`. Tests that are left out are named on stderr.

    together: whether rows from scratch, with a pretrained encoder, and outsiders share their ranks.
    correct: how the ranks allow for the number of pairs of rows.

    Raises UserError for a metric that does not exist, or if there is no test.
    """
    known = [key for key, metric in ALL_METRICS.items() if not metric.between_samples]
    if sort not in known:
        end = did_you_mean(sort.lower(), known) or f"; the metrics are {', '.join(known)}."
        raise UserError(f"--sort {sort}: there is no such metric{end}")
    tests, refused = _read_tests(results)
    by_protocol = defaultdict(list)
    for test in tests:
        by_protocol[test.record.protocol_hash].append(test)
    studies, refused_studies = read_studies(results, by_protocol)
    refused |= refused_studies
    for path, reason in refused.items():
        info(f"Left out: {path}: {reason}")
    if not tests:
        raise UserError(f"{results} holds no finished test: train a model, then --mode test.")
    groups = sorted(by_protocol.values(), key=lambda group: group[0].record.protocol.name)
    boards = [_board(group, sort, together, correct) for group in groups]
    boards = [replace(one, studies=studies.get(one.protocol_hash, [])) for one in boards]
    return Leaderboard(boards, refused)


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


def _board(
    tests: list[TestResult], sort: str, together: bool = False, correct: Correction = "none"
) -> ProtocolBoard:
    record, rows = tests[0].record, _rows(tests)
    sort = _usable_sort(rows, sort)
    rows = _ranked(rows, sort, together, correct)
    weak = _no_better_than_gray(rows, sort)
    return ProtocolBoard(record.protocol, record.protocol_hash, rows, sort, together, weak, correct)


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
    """The metric to sort by: ΔE2000 if some row lacks LPIPS, since no order mixes two metrics.

    A metric that this protocol does not have gives way to the usual one.
    """
    sort = sort if sort in rows[0].scores else DEFAULT_SORT

    def known(key: str) -> bool:
        return all(row.scores[key].mean is not None for row in rows if not row.is_fixed)

    if sort == DEFAULT_SORT and not known(sort):
        return WITHOUT_LPIPS if known(WITHOUT_LPIPS) else WITHOUT_TRUTH
    return sort


def _groups(models: Sequence[Row], together: bool) -> list[list[Row]]:
    """The rows that are ranked together, in their order: all, or first those from scratch."""
    if together:
        return [list(models)]
    kinds = ([row for row in models if row.training == kind] for kind in TRAININGS)
    return [group for group in kinds if group]


def _ranked(rows: Sequence[Row], sort: str, together: bool, correct: Correction) -> list[Row]:
    """The rows in the order of groups and then of a metric, the fixed ones last."""
    groups = _groups([row for row in rows if not row.is_fixed], together)
    fixed = [row for row in rows if row.is_fixed]
    return [row for group in (*groups, fixed) for row in _ranked_group(group, sort, correct)]


def _ranked_group(rows: list[Row], sort: str, correct: Correction) -> list[Row]:
    """The rows in the order of a metric, those without a value below them."""
    sign = -1 if ALL_METRICS[sort].direction == "up" else 1

    def order(row: Row) -> tuple[bool, float, str]:
        mean = row.scores[sort].mean
        return (mean is None, sign * (mean or 0.0), row.name)

    rows = sorted(rows, key=order)
    compared = {
        index: values
        for index, row in enumerate(rows)
        if not row.is_fixed and (values := row.values(sort)) is not None and len(values) > 1
    }
    if not compared or ALL_METRICS[sort].direction == "none":
        return rows
    found = ranks(np.stack(list(compared.values())), higher_is_better=sign < 0, correct=correct)
    for index, rank in zip(compared, found, strict=True):
        rows[index] = replace(rows[index], rank=rank)
    return rows


def _no_better_than_gray(rows: list[Row], sort: str) -> list[str]:
    gray = next((row for row in rows if row.is_fixed and row.record.model == GRAY), None)
    baseline = gray.values(sort) if gray else None
    if baseline is None or len(baseline) < 2 or ALL_METRICS[sort].direction == "none":
        return []
    higher = ALL_METRICS[sort].direction == "up"
    names = []
    for row in rows:
        values = None if row.is_fixed else row.values(sort)
        # Ranked in a pair, gray has rank 2 where the row is significantly better.
        if values is not None and ranks(np.stack([values, baseline]), higher)[1] == 1:
            names.append(row.name)
    return names
