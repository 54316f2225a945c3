"""The columns and tables of a board; formats.py and page.py write them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from benchmark.leaderboard.notes import (
    COST_NOTE,
    FIRST,
    OUTSIDERS_NOTE,
    PRETRAINING_NOTE,
    SAMPLES_NOTE,
    calibration_note,
    metric_keys,
    quality_note,
)
from benchmark.leaderboard.pairs import Pair, pairs_of
from benchmark.leaderboard.ranking import ProtocolBoard, Row
from benchmark.metrics.table import METRICS
from benchmark.results.records import Estimate, Score
from benchmark.statistics import Interval

ARROWS = {"up": " ↑", "down": " ↓", "none": ""}
MARKED = 3
"""The number of best values that are marked in each column."""
Mark = int
"""0 for the best value of a column, 1 and 2 for the next two."""
MS_PER_IMAGE, TRAINING = "ms/image", "training"
"""The headings of the two columns of time, which the plots show too."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table. value: what rows are sorted by; None comes last."""

    text: str
    value: float | str | None = None
    mark: Mark | None = None


@dataclass(frozen=True)
class Table:
    """Headings and rows of cells; `note` explains how to read them."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A heading and the function that makes each row's cell below it."""

    heading: str
    cell: Callable[[Row], Cell]


# ---- tables --------------------------------------------------------------------------------------


def tables_of(board: ProtocolBoard) -> list[Table]:
    """All tables of a board: quality, cost, and the further tables."""
    return [
        table_of(_quality(board), board.rows, "Quality", quality_note(board)),
        table_of(_cost(), board.models, "Cost", COST_NOTE),
        *further_tables(board),
    ]


def further_tables(board: ProtocolBoard) -> list[Table]:
    """The tables of outsiders, pretrained encoders, several samples and calibration, where a row
    has them."""
    tables = []
    if outsiders := [row for row in board.models if row.training == "outside"]:
        tables.append(table_of(_outsiders(), outsiders, "Outsiders", OUTSIDERS_NOTE))
    if pairs := pairs_of(board):
        tables.append(_pretraining(pairs))
    several = [row for row in board.models if row.samples is not None]
    if several:
        title = "Several samples of each image"
        tables.append(table_of(_several(several), several, title, SAMPLES_NOTE))
    calibrated = [row for row in board.rows if row.calibrations]
    if calibrated:
        note = calibration_note(calibrated)
        tables.append(table_of(_calibration(calibrated), calibrated, "Calibration", note))
    return tables


def all_columns(board: ProtocolBoard) -> list[Column]:
    """The columns of quality and of cost side by side, each column once."""
    quality = _quality(board)
    headings = {column.heading for column in quality}
    return [*quality, *(column for column in _cost() if column.heading not in headings)]


def table_of(
    columns: Sequence[Column], rows: Sequence[Row], title: str = "", note: str = ""
) -> Table:
    """The table of these columns and rows."""
    cells = [[column.cell(row) for column in columns] for row in rows]
    return Table(title, [column.heading for column in columns], cells, note)


# ---- columns -------------------------------------------------------------------------------------


def metric_heading(score: Score) -> str:
    """A metric's heading, with the label of the record, which names the options of the test."""
    unit = f" [{score.unit}]" if score.unit else ""
    return f"{score.label}{unit}{ARROWS[score.direction]}"


def value_text(score: Score, std_over_seeds: float | None = None) -> str:
    """The mean ± half its interval, or (σ) for a whole set; then the deviation over seeds."""
    if score.mean is None:
        return ""
    digits = 3 if abs(score.mean) < 2 else 2
    text = f"{score.mean:.{digits}f}"
    if score.low is not None and score.high is not None:
        half = (score.high - score.low) / 2
        text += f" ± {half:.{digits}f}" if half else ""
    elif score.std is not None:
        text += f" (σ {score.std:.{digits}f})"
    return text + (f", seeds {std_over_seeds:.{digits}f}" if std_over_seeds is not None else "")


def _number(value: float | None, template: str) -> Cell:
    return Cell("") if value is None else Cell(template.format(value), float(value))


def _name_column() -> Column:
    return Column("Model", lambda row: Cell(row.name, row.name))


def _identity() -> list[Column]:
    def steps(row: Row) -> Cell:
        value = row.record.sampling.get("steps", "")
        return Cell(str(value), value or None)

    return [
        _name_column(),
        Column("steps", steps),
        Column("seeds", lambda row: Cell("") if row.is_fixed else _number(len(row.seeds), "{}")),
    ]


def _quality(board: ProtocolBoard) -> list[Column]:
    rank = Column("rank", lambda row: _number(row.rank, "{}"))
    pretrained = Column("pretrained on", lambda row: Cell(row.pretrained_on, row.pretrained_on))
    return [rank, *_identity(), *(_metric(board, key) for key in metric_keys()), pretrained]


def _metric(board: ProtocolBoard, key: str) -> Column:
    """A metric with its interval, the three best values marked; equal values share a mark.

    Rows that are ranked apart are marked apart.
    """
    first = board.rows[0].scores[key]
    best_of: dict[int, list[Any]] = {}  # by the identity of a row
    for group in board.groups if first.direction != "none" else []:
        means = {row.scores[key].mean for row in group} - {None}
        best = sorted(means, reverse=first.direction == "up")[:MARKED]  # type: ignore[type-var]
        best_of |= {id(row): best for row in group}

    def cell(row: Row) -> Cell:
        score, best = row.scores[key], best_of.get(id(row), [])
        mark = best.index(score.mean) if score.mean in best else None
        return Cell(value_text(score, row.std_over_seeds(key)), score.mean, mark)

    return Column(metric_heading(first), cell)


def _unmarked_metric(heading: str, key: str) -> Column:
    return Column(heading, lambda row: Cell(value_text(row.scores[key]), row.scores[key].mean))


def _cost() -> list[Column]:
    def cost_cell(field: str, template: str, divisor: float = 1.0) -> Callable[[Row], Cell]:
        def cell(row: Row) -> Cell:
            costs = [test.record.cost for test in row.tests]
            values = [getattr(cost, field) for cost in costs if cost is not None]
            known = [value for value in values if value is not None]
            return _number(sum(known) / len(known) / divisor if known else None, template)

        return cell

    def ms_per_image(row: Row) -> Cell:
        timing, cost = row.record.timing, row.record.cost
        value = row.ms_per_image
        if timing is None or value is None:
            return Cell("")
        other_device = cost is not None and cost.device != timing.device
        return Cell(f"{value:.1f}" + (f" ({timing.device})" if other_device else ""), value)

    def trained_on(row: Row) -> Cell:
        device = row.record.cost.device if row.record.cost else ""
        return Cell(device, device or None)

    return [
        *_identity(),
        Column("parameters", cost_cell("parameters", "{:.2f} M", 1e6)),
        Column(TRAINING, cost_cell("training_seconds", "{:.1f} min", 60)),
        Column("peak memory", cost_cell("peak_device_bytes", "{:.2f} GB", 1e9)),
        Column(MS_PER_IMAGE, ms_per_image),
        Column("trained on", trained_on),
    ]


def _several(rows: Sequence[Row]) -> list[Column]:
    def count(row: Row) -> Cell:
        return _number(row.samples.count if row.samples else None, "{}")

    def score_cell(part: str, key: str) -> Callable[[Row], Cell]:
        def cell(row: Row) -> Cell:
            score = getattr(row.samples, part)[key] if row.samples else None
            return Cell("") if score is None else Cell(value_text(score), score.mean)

        return cell

    first, samples = rows[0].record, rows[0].samples
    assert samples is not None
    between = [key for key, metric in METRICS.items() if metric.between_samples]
    shown = {"mean": (*FIRST, "colorfulness"), "best": FIRST}
    return [
        _name_column(),
        Column("samples", count),
        *(_unmarked_metric(metric_heading(first.metrics[key]), key) for key in between),
        *(
            Column(f"{metric_heading(getattr(samples, part)[key])} {label}", score_cell(part, key))
            for part, label in (("mean", "of the mean"), ("best", "of the best (oracle)"))
            for key in shown[part]
        ),
    ]


def _outsiders() -> list[Column]:
    """What is known of the rows that were not trained here."""

    def text(*names: str) -> Callable[[Row], Cell]:
        def cell(row: Row) -> Cell:
            found = {name: getattr(row.record.outsider, name) for name in names}
            known = [
                value[:8] if name.endswith("_sha256") else value
                for name, value in found.items()
                if value is not None
            ]
            return Cell(", ".join(known), ", ".join(known) or None)

        return cell

    def parameters(row: Row) -> Cell:
        count = row.record.outsider.parameters if row.record.outsider else None
        return Cell("0", 0.0) if count == 0 else _number(count and count / 1e6, "{:.2f} M")

    return [
        _name_column(),
        Column("guidance", text("guidance")),
        Column("trained on", text("trained_on")),
        Column("pretrained on", text("pretrained_on")),
        Column("parameters", parameters),
        Column("weights", text("weights_sha256")),
        Column("exemplars", text("exemplars", "exemplars_sha256")),
        Column("license", text("license")),
        Column("paper", text("paper")),
        Column("code", text("code")),
    ]


# ---- pretrained encoders -------------------------------------------------------------------------


def _pretraining(pairs: Sequence[Pair]) -> Table:
    """The paired difference in each metric that a pretrained encoder makes."""
    scores, keys = pairs[0].pretrained.scores, (*FIRST, "colorfulness")
    headings = [f"{metric_heading(scores[key])} difference" for key in keys]
    rows = [
        [
            Cell(pair.pretrained.name, pair.pretrained.name),
            Cell(pair.scratch.name, pair.scratch.name),
            *(_difference(pair.difference(key)) for key in keys),
        ]
        for pair in pairs
    ]
    columns = ["Model", "from scratch", *headings]
    return Table("What a pretrained encoder changes", columns, rows, PRETRAINING_NOTE)


def _difference(difference: Interval | None) -> Cell:
    if difference is None:
        return Cell("")
    digits = 3 if abs(difference.mean) < 1 else 2
    text = f"{difference.mean:+.{digits}f}"
    if difference.low is not None and difference.high is not None:
        text += f" [{difference.low:+.{digits}f}, {difference.high:+.{digits}f}]"
    return Cell(text, difference.mean)


# ---- calibration ---------------------------------------------------------------------------------


def _calibration(rows: Sequence[Row]) -> list[Column]:
    """How often objects of random paint took each paint; of several seeds, the mean."""

    def share(paint: str) -> Callable[[Row], Cell]:
        return lambda row: _estimate([c.overall.shares[paint] for c in row.calibrations])

    return [
        _name_column(),
        Column("samples", lambda row: _number(row.calibrations[0].n_samples, "{}")),
        Column(
            "total variation ↓",
            lambda row: _estimate([c.overall.total_variation for c in row.calibrations]),
        ),
        Column("per object ↓", lambda row: _estimate([c.per_object for c in row.calibrations])),
        *(
            Column(f"{paint} ({probability:.2f})", share(paint))
            for paint, probability in rows[0].calibrations[0].probabilities.items()
        ),
    ]


def _estimate(of_seeds: Sequence[Estimate | None]) -> Cell:
    """An estimate with its interval; of several seeds, their mean and its spread."""
    estimates = [estimate for estimate in of_seeds if estimate is not None]
    if not estimates:
        return Cell("")
    values = [estimate.value for estimate in estimates]
    if len(values) > 1:
        return Cell(f"{mean(values):.2f}, seeds {stdev(values):.2f}", mean(values))
    first = estimates[0]
    interval = f" [{first.low:.2f}, {first.high:.2f}]" if first.low is not None else ""
    return Cell(f"{first.value:.2f}{interval}", first.value)
