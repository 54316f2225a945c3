"""The columns and tables of a board; formats.py and page.py write them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from benchmark.evaluation.baselines import GROUND_TRUTH
from benchmark.evaluation.named import PublishedRow, published_under
from benchmark.leaderboard.notes import (
    COST_NOTE,
    FIRST,
    OUTSIDERS_NOTE,
    PRETRAINING_NOTE,
    PUBLISHED_NOTE,
    SAMPLES_NOTE,
    calibration_note,
    metric_keys,
    quality_note,
    study_note,
)
from benchmark.leaderboard.pairs import Pair, pairs_of
from benchmark.leaderboard.ranking import ProtocolBoard
from benchmark.leaderboard.rows import Row
from benchmark.metrics.table import ALL_METRICS
from benchmark.results.records import Estimate, Score
from benchmark.results.study import Rate, Strength, StudyRecord, StudyScore
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
        quality_of(board, board.rows),
        table_of(_cost(), board.models, "Cost", COST_NOTE),
        *further_tables(board),
    ]


def quality_of(board: ProtocolBoard, rows: Sequence[Row]) -> Table:
    """The table of quality with some rows of a board, whose best values are those of all rows."""
    return table_of(_quality(board), rows, "Quality", quality_note(board))


def further_tables(board: ProtocolBoard) -> list[Table]:
    """The tables of outsiders, pretrained encoders, several samples, calibration and studies, where
    any is; and the rows that others published under the board's protocol."""
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
    tables += [_study(study, board) for study in board.studies]
    if rows := published_under(board.protocol):
        tables.append(_as_published(rows))
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
    keys = metric_keys(board.rows[0].scores)
    metrics = [_metric(board, key) for key in keys]
    after = keys.index("colorfulness_gap") + 1
    metrics[after:after] = _difference_of_means(board)
    return [rank, *_identity(), *metrics, pretrained]


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

    heading = metric_heading(first)
    # FID depends on the number of images, so that number belongs to its name.
    named = f"{first.label} (n = {board.n_images:,}){ARROWS[first.direction]}"
    return Column(named if key.startswith("fid") else heading, cell)


def difference_of_means(board: ProtocolBoard, row: Row) -> float | None:
    """ΔCF as papers print it, where a protocol has their variant of colorfulness; else None."""
    truth = board.fixed(GROUND_TRUTH)
    true_mean = None if truth is None else truth.scores["colorfulness"].mean
    mean = row.scores["colorfulness"].mean
    if true_mean is None or mean is None or board.options.colorfulness != "absolute":
        return None
    return abs(mean - true_mean)


def _difference_of_means(board: ProtocolBoard) -> list[Column]:
    if all(difference_of_means(board, row) is None for row in board.rows):
        return []
    return [Column("ΔCF of means", lambda row: _number(difference_of_means(board, row), "{:.2f}"))]


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
    between = [key for key, metric in ALL_METRICS.items() if metric.between_samples]
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


# ---- rows of others ------------------------------------------------------------------------------

PUBLISHED = {
    "FID ↓": "fid",
    "Colorfulness": "colorfulness",
    "ΔCF ↓": "delta_colorfulness",
    "PSNR [dB] ↑": "psnr",
    "SSIM ↑": "ssim",
    "LPIPS ↓": "lpips",
}
"""The headings of published rows, and the fields of `PublishedRow`."""


def _as_published(rows: Sequence[PublishedRow]) -> Table:
    """The published rows, in the order of their file; columns without a value are left out."""
    known = {
        heading: field
        for heading, field in PUBLISHED.items()
        if any(getattr(row, field) is not None for row in rows)
    }
    cells = [
        [
            Cell(row.system, row.system),
            *(_number(getattr(row, field), "{:g}") for field in known.values()),
            Cell(row.source, row.source),
        ]
        for row in rows
    ]
    return Table("As published", ["System", *known, "Source"], cells, PUBLISHED_NOTE)


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


# ---- human studies -------------------------------------------------------------------------------

STUDIES = {
    "real": ("Which is the real photo?", "fooling rate ↑"),
    "better": ("Which coloring looks better?", "preference rate ↑"),
}
"""The title of a study's table and the heading of its rate, by its question."""


def _study(study: StudyRecord, board: ProtocolBoard) -> Table:
    """What people answered about the images of some models, the most often chosen first."""
    title, heading = STUDIES[study.question]
    known = {test.record.per_image_sha256 for row in board.rows for test in row.tests}
    changed = [one.model.name for one in study.scores if one.model.per_image_sha256 not in known]
    scores = sorted(study.scores, key=lambda one: (-one.rate.value, one.model.name))
    bounded = any(one.strength is not None for one in scores)
    return Table(
        f"Human study {study.study[:8]}: {title}",
        ["Model", heading, *(["strength ↑"] if bounded else []), "answers", "participants"],
        [_study_row(one, bounded) for one in scores],
        study_note(study, bounded, changed),
    )


def _study_row(score: StudyScore, bounded: bool) -> list[Cell]:
    strength = [_with_interval(score.strength, "{:+.2f}")] if bounded else []
    counts = [_number(count, "{}") for count in (score.answers, score.participants)]
    name = Cell(score.model.name, score.model.name)
    return [name, _with_interval(score.rate, "{:.2f}"), *strength, *counts]


def _with_interval(value: Rate | Strength | None, template: str) -> Cell:
    if value is None:
        return Cell("")
    text = template.format(value.value)
    if value.low is not None and value.high is not None:
        text += f" [{template.format(value.low)}, {template.format(value.high)}]"
    return Cell(text, value.value)
