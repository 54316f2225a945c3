"""The columns of a leaderboard, and its tables as Markdown, CSV and LaTeX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.leaderboard.ranking import ProtocolBoard, Row
from benchmark.results.records import Calibration, Estimate, Score
from benchmark.metrics.table import METRICS

ARROWS = {"up": " ↑", "down": " ↓", "none": ""}


FIRST = ("ssim", "lpips", "delta_e2000")
"""The classic suite's table comes first: Model, SSIM ↑, LPIPS ↓, ΔE ↓; the others follow."""


MARKED = 3
Mark = int
"""0 for the best of a column, 1 and 2 for the next two."""


@dataclass(frozen=True)
class Cell:
    """A place of a table. value: what it is sorted by, None below all others."""

    text: str
    value: float | str | None = None
    mark: Mark | None = None


@dataclass(frozen=True)
class Table:
    """Headings and rows of cells; `note` says what a reader has to know."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A heading and the cell of each row under it."""

    heading: str
    cell: Callable[[Row], Cell]


def tables_of(board: ProtocolBoard) -> list[Table]:
    """Quality, cost, and the further tables."""
    return [
        _table("Quality", _quality(board), board.rows),
        _table("Cost", _cost(), board.models),
        *further_tables(board),
    ]


def further_tables(board: ProtocolBoard) -> list[Table]:
    """What several samples show, and calibration, where there are such tests."""
    tables = []
    several = [row for row in board.models if row.samples is not None]
    if several:
        title = "Several samples of each image"
        tables.append(_table(title, _several(several), several, SEVERAL))
    painted = [row for row in board.rows if row.record.calibration is not None]
    if painted:
        note = _calibration_note(painted)
        tables.append(_table("Calibration", _calibration(painted), painted, note))
    return tables


SEVERAL = (
    "The tables above rank the first sample. Diversity is the mean distance between samples. "
    "The mean is of the samples in Lab, scored like a sample. The best of the samples is chosen "
    "by the truth, which no user has: an oracle, never ranked."
)


def all_columns(board: ProtocolBoard) -> list[Column]:
    """Quality and cost side by side, each column once."""
    quality = _quality(board)
    there = {column.heading for column in quality}
    return [*quality, *(column for column in _cost() if column.heading not in there)]


def table_of(columns: Sequence[Column], rows: Sequence[Row], title: str = "") -> Table:
    """The table of these columns and rows."""
    return _table(title, columns, rows)


def _table(title: str, columns: Sequence[Column], rows: Sequence[Row], note: str = "") -> Table:
    cells = [[column.cell(row) for column in columns] for row in rows]
    return Table(title, [column.heading for column in columns], cells, note)


def metric_keys() -> list[str]:
    """The metrics of one sample, in the order of the columns."""
    one = [key for key, metric in METRICS.items() if not metric.between_samples]
    return [*FIRST, *(key for key in one if key not in FIRST)]


def _identity() -> list[Column]:
    def steps(row: Row) -> Cell:
        value = row.record.sampling.get("steps", "")
        return Cell(str(value), value or None)

    return [
        Column("Model", lambda row: Cell(row.name, row.name)),
        Column("steps", steps),
        Column("seeds", lambda row: Cell("") if row.is_fixed else _number(len(row.seeds), "{}")),
    ]


def _quality(board: ProtocolBoard) -> list[Column]:
    rank = Column("rank", lambda row: _number(row.rank, "{}"))
    return [rank, *_identity(), *(_metric(board, key) for key in metric_keys())]


def _metric(board: ProtocolBoard, key: str) -> Column:
    """A metric with its interval, the three best values marked; equal values share a mark."""
    first = board.rows[0].scores[key]
    ranked = {row.scores[key].mean for row in board.models} - {None}
    best: list[Any] = sorted(ranked, reverse=first.direction == "up")[:MARKED]  # type: ignore[type-var]

    def cell(row: Row) -> Cell:
        score = row.scores[key]
        marked = first.direction != "none" and not row.is_fixed and score.mean in best
        mark = best.index(score.mean) if marked else None
        return Cell(value_text(score, row.spread(key)), score.mean, mark)

    return Column(heading(first), cell)


def heading(score: Score) -> str:
    """As the record has it, since a label names what was chosen: the backbone of LPIPS, say."""
    unit = f" [{score.unit}]" if score.unit else ""
    return f"{score.label}{unit}{ARROWS[score.direction]}"


def value_text(score: Score, spread: float | None = None) -> str:
    """mean ± half the interval, or (σ) of a set's; and the deviation over seeds."""
    if score.mean is None:
        return ""
    digits = 3 if abs(score.mean) < 2 else 2
    text = f"{score.mean:.{digits}f}"
    if score.low is not None and score.high is not None:
        half = (score.high - score.low) / 2
        text += f" ± {half:.{digits}f}" if half else ""
    elif score.std is not None:
        text += f" (σ {score.std:.{digits}f})"
    return text + (f", seeds {spread:.{digits}f}" if spread is not None else "")


def _cost() -> list[Column]:
    def of_cost(fact: str, form: str, scale: float = 1.0) -> Callable[[Row], Cell]:
        def cell(row: Row) -> Cell:
            costs = [test.record.cost for test in row.tests]
            values = [getattr(cost, fact) for cost in costs if cost is not None]
            known = [value for value in values if value is not None]
            return _number(sum(known) / len(known) / scale if known else None, form)

        return cell

    def milliseconds(row: Row) -> Cell:
        timing, cost = row.record.timing, row.record.cost
        value = row.milliseconds
        if timing is None or value is None:
            return Cell("")
        elsewhere = cost is not None and cost.device != timing.device
        return Cell(f"{value:.1f}" + (f" ({timing.device})" if elsewhere else ""), value)

    def trained_on(row: Row) -> Cell:
        device = row.record.cost.device if row.record.cost else ""
        return Cell(device, device or None)

    return [
        *_identity(),
        Column("parameters", of_cost("parameters", "{:.2f} M", 1e6)),
        Column("training", of_cost("training_seconds", "{:.1f} min", 60)),
        Column("peak memory", of_cost("peak_device_bytes", "{:.2f} GB", 1e9)),
        Column("ms/image", milliseconds),
        Column("trained on", trained_on),
    ]


def _number(value: float | None, form: str) -> Cell:
    return Cell("") if value is None else Cell(form.format(value), float(value))


def _several(rows: Sequence[Row]) -> list[Column]:
    def count(row: Row) -> Cell:
        return _number(row.samples.count if row.samples else None, "{}")

    def of(part: str, key: str) -> Callable[[Row], Cell]:
        def cell(row: Row) -> Cell:
            score = getattr(row.samples, part)[key] if row.samples else None
            return Cell("") if score is None else Cell(value_text(score), score.mean)

        return cell

    first, samples = rows[0].record, rows[0].samples
    between = [key for key, metric in METRICS.items() if metric.between_samples]
    assert samples is not None
    shown = {"mean": (*FIRST, "colorfulness"), "best": FIRST}
    return [
        Column("Model", lambda row: Cell(row.name, row.name)),
        Column("samples", count),
        *(_plain(heading(first.metrics[key]), key) for key in between),
        *(
            Column(f"{heading(getattr(samples, part)[key])} {label}", of(part, key))
            for part, label in (("mean", "of the mean"), ("best", "of the best (oracle)"))
            for key in shown[part]
        ),
    ]


def _plain(title: str, key: str) -> Column:
    """A metric's values without marks."""
    return Column(title, lambda row: Cell(value_text(row.scores[key]), row.scores[key].mean))


def _calibration(rows: Sequence[Row]) -> list[Column]:
    """How often things of random paint took each; of several seeds the first."""

    def share(name: str) -> Callable[[Row], Cell]:
        return lambda row: _estimate(_of(row).overall.shares[name])

    return [
        Column("Model", lambda row: Cell(row.name, row.name)),
        Column("samples", lambda row: _number(_of(row).n_samples, "{}")),
        Column("total variation ↓", lambda row: _estimate(_of(row).overall.total_variation)),
        Column("per object ↓", lambda row: _estimate(_of(row).per_object)),
        *(
            Column(f"{name} ({chance:.2f})", share(name))
            for name, chance in _of(rows[0]).probabilities.items()
        ),
    ]


def _of(row: Row) -> Calibration:
    calibration = row.record.calibration
    assert calibration is not None
    return calibration


def _estimate(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell("")
    interval = f" [{estimate.low:.2f}, {estimate.high:.2f}]" if estimate.low is not None else ""
    return Cell(f"{estimate.value:.2f}{interval}", estimate.value)


def _calibration_note(rows: Sequence[Row]) -> str:
    taken = _of(rows[0]).overall
    return (
        f"Shares of {taken.n_objects} things of random paint in {taken.n_images} images that "
        "took each paint (in brackets the truth's chance), or none of them (brown, gray). Total "
        "variation is the share that should have been otherwise: 0 is right; a perfect sampler "
        f"with one sample of these images has {taken.perfect:.2f}, in 95 of 100 cases at most "
        f"{taken.perfect_high:.2f}. Per object, of several samples, tells a model that draws from "
        "one that repeats itself."
    )


def caption(board: ProtocolBoard) -> str:
    """The protocol, and how the values are to be read."""
    n, size = board.n_images, board.protocol["size"]
    images = f"{n} test image{'s' * (n != 1)}"
    spread = (
        "there is no interval of one image, and no rank"
        if n == 1
        else "± is half its 95 % bootstrap interval over images"
    )
    return (
        f"{images} of {size}×{size}; protocol {board.code[:8]}, version "
        f"{board.protocol['version']}. Each value is the mean over images; {spread}. "
        "KID (σ over its subsets) and JSD are each one value of the whole set."
    )


def notes(board: ProtocolBoard) -> list[str]:
    """What a reader must know of single rows and columns."""
    first = board.rows[0].scores
    found = []
    if any(row.rank for row in board.rows):
        found.append(
            f"rank: one more than the number of rows that are significantly better in "
            f"{first[board.sort].label} (paired bootstrap over images, 95 %)."
        )
    if board.no_better_than_gray:
        names = "; ".join(board.no_better_than_gray)
        found.append(f"Not significantly better than gray in {first[board.sort].label}: {names}.")
    for row in board.models:
        counts = [test.record.samples.count if test.record.samples else 1 for test in row.tests]
        if len(set(counts)) > 1:
            found.append(f"{row.name}: its seeds have {counts} samples, so they are not compared.")
    several = [row for row in board.models if len(row.seeds) > 1]
    if several:
        found.append("seeds: the deviation of the value over seeds follows it.")
    elif board.models:
        found.append("Every row is of a single seed: how much training varies is not known.")
    for key, metric in METRICS.items():
        if not metric.between_samples:
            reasons = {row.scores[key].reason for row in board.models} - {None}
            found += [
                f"{first[key].label} is empty: {reason}." for reason in sorted(map(str, reasons))
            ]
    return found
