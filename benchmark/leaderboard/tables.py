"""The columns, tables, captions and notes of a board; formats.py and page.py write them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from benchmark.leaderboard.pairs import Pair, pairs_of
from benchmark.leaderboard.ranking import ProtocolBoard, Row
from benchmark.metrics.table import METRICS, Aspect
from benchmark.results.records import Estimate, Score
from benchmark.statistics import Interval

ARROWS = {"up": " ↑", "down": " ↓", "none": ""}
FIRST = ("ssim", "lpips", "delta_e2000")
"""The metrics of the classic comparison come first; the others follow."""
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


SAMPLES_NOTE = (
    "The tables above rank the first sample of each image. Diversity is the mean distance between "
    "the samples of an image: more is not better, but none means that seeds change nothing. The "
    "mean of the samples is taken in Lab and judges fidelity, as a regression's output does. "
    "The best of the samples is chosen by comparison with the truth, which no user has: this is an "
    "oracle and is never ranked."
)


def tables_of(board: ProtocolBoard) -> list[Table]:
    """All tables of a board: quality, cost, and the further tables."""
    return [
        table_of(_quality(board), board.rows, "Quality", _quality_note(board)),
        table_of(_cost(), board.models, "Cost"),
        *further_tables(board),
    ]


def further_tables(board: ProtocolBoard) -> list[Table]:
    """The tables of pretrained encoders, several samples and calibration, where a row has them."""
    tables = []
    if pairs := pairs_of(board):
        tables.append(_pretraining(pairs))
    several = [row for row in board.models if row.samples is not None]
    if several:
        title = "Several samples of each image"
        tables.append(table_of(_several(several), several, title, SAMPLES_NOTE))
    calibrated = [row for row in board.rows if row.calibrations]
    if calibrated:
        note = _calibration_note(calibrated)
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


def metric_keys() -> list[str]:
    """The metrics that a single sample has, in the order of the columns."""
    single = [key for key, metric in METRICS.items() if not metric.between_samples]
    return [*FIRST, *(key for key in single if key not in FIRST)]


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


def _quality_note(board: ProtocolBoard) -> str:
    """Which columns judge what, so that no single number hides the trade between them."""
    scores = board.rows[0].scores

    def labels(aspect: Aspect) -> str:
        found = [scores[key].label for key in metric_keys() if METRICS[key].judges == aspect]
        return f"{', '.join(found[:-1])} and {found[-1]}"

    return (
        f"{labels('fidelity')} judge fidelity to the one true image, for which the mean of all "
        "likely colors is a good answer: a regression gives it, and of a sampler the mean of its "
        f"samples is to be compared. {labels('distribution')} judge the distribution of color, for "
        "which that mean is a bad answer and a sample a good one. No column judges both."
    )


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


# ---- pretrained encoders -------------------------------------------------------------------------

PRETRAINING_NOTE = (
    "Each value is the mean over images of the difference between a model with a pretrained "
    "encoder and the same model trained from scratch on the same images, with its 95 % interval "
    "(paired bootstrap). An interval without 0 is a significant difference."
)


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


def _calibration_note(rows: Sequence[Row]) -> str:
    overall = rows[0].calibrations[0].overall
    return (
        f"Each share is the part of {overall.n_objects} objects of random paint in "
        f"{overall.n_images} images that took that paint, or no paint at all (brown or gray). The "
        "true probability is in parentheses. Total variation is the share of objects that should "
        "have taken another paint: 0 is right, and a perfect sampler with one sample of these "
        f"images has {overall.perfect:.2f} on average and at most {overall.perfect_high:.2f} in 95 "
        "of 100 cases. It judges the distribution of color where that is known. Per object, which "
        "needs several samples, distinguishes a model that draws its colors from one that repeats "
        "itself."
    )


# ---- captions and notes --------------------------------------------------------------------------


def caption(board: ProtocolBoard) -> str:
    """The test set and the protocol, and how the values are to be read."""
    n, size = board.n_images, board.protocol.size
    interval = (
        "a single image has no interval and no rank"
        if n == 1
        else "± is half of its 95 % bootstrap interval over images"
    )
    return (
        f"{n} test image{'s' * (n != 1)} of {size}×{size} pixels; protocol "
        f"{board.protocol_hash[:8]}, version {board.protocol.version}. Each value is the mean "
        f"over images; {interval}. KID (σ over its subsets) and JSD are each one value of the "
        "whole set."
    )


def notes(board: ProtocolBoard) -> list[str]:
    """What a reader must know about single rows and columns."""
    first, sort = board.rows[0].scores, board.rows[0].scores[board.sort].label
    found = []
    if any(row.rank for row in board.rows):
        found.append(
            "The rank of a row is one more than the number of rows that are significantly better "
            f"in {sort} (paired bootstrap over images, 95 %)."
        )
    if len(board.groups) > 1:
        found.append(
            "Rows whose encoder was pretrained on other images stand and are ranked below those "
            "that were trained from scratch, apart from them; `main.py leaderboard --together` "
            "ranks all rows together."
        )
    if board.no_better_than_gray:
        names = "; ".join(board.no_better_than_gray)
        found.append(f"These rows are not significantly better than gray in {sort}: {names}.")
    for row in board.models:
        counts = [test.record.samples.count if test.record.samples else 1 for test in row.tests]
        if len(set(counts)) > 1:
            found.append(
                f"The seeds of {row.name} have different numbers of samples ({counts}), so its "
                "samples are not compared."
            )
    if any(len(row.seeds) > 1 for row in board.models):
        found.append('"seeds" after a value is its standard deviation over seeds.')
    elif board.models:
        found.append("Every row is of a single seed: how much training varies is not known.")
    for key in metric_keys():
        reasons = {row.scores[key].reason for row in board.models} - {None}
        found += [f"{first[key].label} is empty: {reason}." for reason in sorted(map(str, reasons))]
    return found
