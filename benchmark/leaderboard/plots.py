"""The plots of a board as SVG to be placed inside a page, in the page's own colors.

matplotlib draws them; every name in them is text, which it escapes.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from benchmark.evaluation.baselines import GRAY, GROUND_TRUTH
from benchmark.evaluation.calibration import outcome_colors
from benchmark.leaderboard.ranking import WITHOUT_LPIPS, ProtocolBoard, Row
from benchmark.leaderboard.tables import all_columns
from benchmark.results.records import Score

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, which the color-blind tell apart, less those that white or black swallows."""
MARKERS = "osD^vPX"
"""As many as have no factor in common with the colors: 42 pairs before one comes again."""
INK, RULE = "#010203", "#040506"
"""Stand for the page's colors of text and of lines, which differ by day and by night."""
PAGE_COLORS = {INK: "var(--ink, #222)", RULE: "var(--rule, #ccc)"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be found, read aloud and set in any font
    "svg.hashsalt": "chromabench",  # without it the ids are others each time
    "text.parse_math": False,  # a name may hold dollars
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "figure.dpi": 72,  # a pixel of the layout is a point of the SVG
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "font.size": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}
SIZE = (5.0, 3.6)
SMALL = FontProperties(size=8.5)
LONGEST_NAME = 30
NEAR = 6
"""Pixels around the middle of a point that no name covers."""
GAPS = (9, 15, 23, 34, 48, 66)
"""Pixels between a point and its name; only the first needs no line from one to the other."""
LOG_FROM = 20
"""Values that span this factor are drawn on a logarithmic axis."""
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


@dataclass(frozen=True)
class Plot:
    """An image to stand in a page as it is: `svg` is one element, its text escaped."""

    title: str
    svg: str


@dataclass(frozen=True)
class Point:
    """A row at its place; `name` is written beside it."""

    row: Row
    x: float
    y: float
    name: str


Drawn = tuple[str, Figure]
"""A title and what it is of."""


def plots_of(board: ProtocolBoard, prefix: str) -> list[Plot]:
    """All plots of a board that there are values for; another plot is another entry in `draw`.

    The board's metric stands against other metrics and against costs; then it is shown image by
    image. prefix: of the ids in the SVGs, another for each board of a page.
    """
    draw: Sequence[Callable[[ProtocolBoard], Drawn | None]] = (
        lambda board: _against_metric(board, "delta_e2000"),
        lambda board: _against_metric(board, "ssim"),
        lambda board: _against_metric(board, "colorfulness"),
        _against_time,
        _against_training,
        _distributions,
        _calibration,
    )
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Of signs its font lacks matplotlib guesses the width only; the browser has other fonts.
        warnings.filterwarnings("ignore", message="Glyph")
        drawn = [found for one in draw if (found := one(board))]
        return [
            Plot(title, _inline(figure, f"{prefix}-plot-{place}-", title))
            for place, (title, figure) in enumerate(drawn, start=1)
        ]


# ---- the plots -----------------------------------------------------------------------------------


def _against_metric(board: ProtocolBoard, key: str) -> Drawn | None:
    """The board's metric over another one, with the models' intervals."""
    points = [
        Point(row, x, y, _label(board, row))
        for row in _without_truth(board)
        for x, y in [(row.scores[key].mean, row.scores[board.sort].mean)]
        if x is not None and y is not None
    ]
    if key == board.sort or all(point.row.is_fixed for point in points):
        return None
    across, up = (board.rows[0].scores[name] for name in (key, board.sort))
    figure, axes = _axes()
    axes.set(xlabel=_axis_label(across), ylabel=_axis_label(up))
    for point in points:
        if point.row.is_fixed:
            continue  # its interval says nothing of the models, and would stretch the axes
        color = _look(board, point.row)[0]
        x_score, y_score = point.row.scores[key], point.row.scores[board.sort]
        if x_score.low is not None and x_score.high is not None:
            axes.hlines(point.y, x_score.low, x_score.high, color, alpha=0.35, linewidth=1)
        if y_score.low is not None and y_score.high is not None:
            axes.vlines(point.x, y_score.low, y_score.high, color, alpha=0.35, linewidth=1)
    truth = board.fixed(GROUND_TRUTH)
    target = truth.scores[key].mean if truth and across.direction == "none" else None
    if target is not None:
        axes.axvline(target, color=INK, linewidth=1, linestyle="--")
        axes.set_xlabel(f"{_axis_label(across)} (dashed: {GROUND_TRUTH})")
    _mark(axes, board, points)
    return f"{up.label} against {across.label}", figure


def _against_time(board: ProtocolBoard) -> Drawn | None:
    devices = [row.record.timing.device if row.record.timing else "" for row in board.models]
    return _against_cost(board, "ms/image", "milliseconds an image", devices)


def _against_training(board: ProtocolBoard) -> Drawn | None:
    devices = [row.record.cost.device if row.record.cost else "" for row in board.models]
    return _against_cost(board, "training", "minutes of training", devices)


def _against_cost(
    board: ProtocolBoard, heading: str, label: str, devices: Sequence[str]
) -> Drawn | None:
    """The board's metric over a column of the costs; the input's own value as a line.

    devices: of each model. Where they differ they are named, since their times do not compare.
    """
    cell = next(column.cell for column in all_columns(board) if column.heading == heading)
    known = sorted({*devices} - {""})
    points = []
    for row, device in zip(board.models, devices, strict=True):
        x, y = cell(row).value, row.scores[board.sort].mean
        if isinstance(x, float) and y is not None:
            where = f" on {_short(device)}" if len(known) > 1 else ""
            points.append(Point(row, x, y, _label(board, row) + where))
    if not points:
        return None
    up = board.rows[0].scores[board.sort]
    on = f" on {known[0]}" if len(known) == 1 else ""
    figure, axes = _axes()
    axes.set(xlabel=f"← better · {label}{on}", ylabel=_axis_label(up))
    _choose_scale(axes, [point.x for point in points])
    gray = board.fixed(GRAY)
    level = gray.scores[board.sort].mean if gray else None
    if level is not None:
        axes.axhline(level, color=INK, linewidth=1, linestyle="--")
        axes.set_ylabel(f"{_axis_label(up)} (dashed: {GRAY})")
    _mark(axes, board, points)
    return f"{up.label} against {label}", figure


def _distributions(board: ProtocolBoard) -> Drawn | None:
    """A box for each row over its images."""
    key = metric_of_images(board)
    by_row = [(row, row.values(key)) for row in _without_truth(board)]
    found = [(row, values) for row, values in by_row if values is not None]
    if all(row.is_fixed for row, _ in found):
        return None
    found.reverse()  # boxes are stacked from below, and the best row stands on top
    figure, axes = _axes(height=max(SIZE[1], 1 + 0.28 * len(found)))
    boxes = axes.boxplot(
        [values for _, values in found],
        orientation="horizontal",
        tick_labels=[_label(board, row) for row, _ in found],
        widths=0.6,
        showmeans=True,
        meanprops={"marker": "D", "markersize": 4, "markeredgecolor": INK, "markerfacecolor": INK},
        medianprops={"color": INK, "linewidth": 1.5},
        whiskerprops={"color": INK, "linewidth": 0.8},
        capprops={"color": INK, "linewidth": 0.8},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": INK, "alpha": 0.6},
        patch_artist=True,
    )
    for (row, _), box in zip(found, boxes["boxes"], strict=True):
        box.set(facecolor=_look(board, row)[0], alpha=0.6, edgecolor=INK, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    score = board.rows[0].scores[key]
    axes.set_xlabel(_axis_label(score))
    return f"{score.label} of each image: quartiles, median and mean (diamond)", figure


def _calibration(board: ProtocolBoard) -> Drawn | None:
    """Which paints things of random paint took: a bar in the paints' own colors for each row.

    On top what a right sampler would take. Of several seeds the first is shown, as in the table.
    """
    known = [(_label(board, row), row.record.calibration) for row in _without_truth(board)]
    found = [(name, calibration) for name, calibration in known if calibration is not None]
    if not found:
        return None
    chances = found[0][1].probabilities
    figure, axes = _axes(height=max(SIZE[1], 1.4 + 0.28 * len(found)))
    places = np.arange(len(found) + 1)
    left, colors = np.zeros(len(places)), outcome_colors()
    for paint, chance in chances.items():
        shares = np.array([chance, *(of.overall.shares[paint].value for _, of in found)])
        axes.barh(places, shares, 0.7, left, color=colors[paint], label=paint)
        left += shares
    names = [f"{name} ({of.overall.total_variation.value:.2f})" for name, of in found]
    axes.set_yticks(places, ["right", *names])
    axes.invert_yaxis()  # in the order of the table
    axes.set(xlim=(0, 1), xlabel="share of things (in brackets total variation: 0 is right)")
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=len(chances), frameon=False, fontsize="small")
    return "Paints that things of random paint took", figure


# ---- parts of a plot -----------------------------------------------------------------------------


def metric_of_images(board: ProtocolBoard) -> str:
    """The board's metric, or ΔE2000 if that is of whole sets or has no value for some image."""
    known = all(row.values(board.sort) is not None for row in board.models)
    return board.sort if known else WITHOUT_LPIPS


def _without_truth(board: ProtocolBoard) -> list[Row]:
    """The truth is perfect in everything: its place is known, and far from all others."""
    return [row for row in board.rows if row is not board.fixed(GROUND_TRUTH)]


def _axes(height: float = SIZE[1]) -> tuple[Figure, Axes]:
    """An empty plot of this height in inches. Not pyplot's, which would keep it alive."""
    figure = Figure(figsize=(SIZE[0], height), layout="constrained")
    FigureCanvasAgg(figure)  # which can tell how large a text is
    return figure, figure.add_subplot()


def _look(board: ProtocolBoard, row: Row) -> tuple[str, str]:
    """Color and marker, the same in all plots of a board; fixed rows are of no color."""
    if row.is_fixed:
        return INK, "+"
    place = next(place for place, other in enumerate(board.models) if other is row)
    return COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)]


def _label(board: ProtocolBoard, row: Row) -> str:
    """A row's name, shortened; of a fixed row its kind, where it is the only one of it."""
    alike = sum(other.is_fixed and other.record.model == row.record.model for other in board.rows)
    return row.record.model if row.is_fixed and alike == 1 else _short(row.name)


def _short(name: str) -> str:
    """A name that leaves room for others: its middle gives way, since ends tell runs apart."""
    name = "".join(sign if sign.isprintable() else "�" for sign in name)  # XML takes not all signs
    half = (LONGEST_NAME - 1) // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _axis_label(score: Score) -> str:
    """The metric, and an arrow along the axis to where it is better."""
    label = f"{score.label} [{score.unit}]" if score.unit else score.label
    return {"up": f"{label} · better →", "down": f"← better · {label}", "none": label}[
        score.direction
    ]


def _choose_scale(axes: Axes, values: Sequence[float]) -> None:
    """Logarithmic for values of several magnitudes, with as many plain numbers as there is room."""
    low, high = min(values), max(values)
    if low > 0 and high / low > LOG_FROM:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 500 else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(LogLocator(subs=()))


def _mark(axes: Axes, board: ProtocolBoard, points: Sequence[Point]) -> None:
    """Draw the points, each with its name beside it."""
    for point in points:
        color, marker = _look(board, point.row)
        axes.plot(point.x, point.y, marker, color=color, markersize=6, zorder=3)
    axes.margins(0.12)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what was found stays, or names would lie elsewhere
    centres = axes.transData.transform([(point.x, point.y) for point in points])
    sizes = np.array([_extent(figure, point.name) for point in points])
    shifts = place_names(centres, sizes, np.array(axes.get_window_extent().extents))
    for point, (x, y), (width, height) in zip(points, shifts, sizes, strict=True):
        gap = max(abs(x) - width / 2, abs(y) - height / 2)
        side = int(np.sign(x))
        name = axes.annotate(
            point.name,
            (point.x, point.y),
            # Held at the end that faces the point: in another font it is of another width.
            xytext=(x - side * width / 2, y),
            ha={-1: "right", 0: "center", 1: "left"}[side],
            va="center",
            textcoords="offset pixels",
            fontproperties=SMALL,
            zorder=4,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.5, "shrinkB": 3},
        )
        assert name.arrow_patch is not None
        # A line to the point is needed only where the name is not right beside it.
        name.arrow_patch.set_visible(gap > GAPS[0])


def _extent(figure: Figure, text: str) -> tuple[float, float]:
    """Width and height of a name in pixels."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    width, height, _ = renderer.get_text_width_height_descent(text, SMALL, ismath=False)
    return float(width) + 2, float(height) + 2  # air between two names


def place_names(
    centres: NDArray[np.float64], sizes: NDArray[np.float64], room: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each point the shift of its name's middle from it, in pixels, (N, 2).

    One name after another goes to the nearest place where neither it nor the line to its point
    covers another point or a name before it; if there is none, to where they cover the least. It
    stays in the room if it can. centres: x and y of the points, (N, 2); sizes: width and height of
    their names, (N, 2); room: the box (left, bottom, right, top).
    """
    points = np.concatenate([centres - NEAR, centres + NEAR], axis=1)
    names = np.empty((0, 4))
    along = np.linspace(0, 1, 17)[:, None, None]
    found = []
    for place, (center, size) in enumerate(zip(centres, sizes, strict=True)):
        shifts = _shifts(size)
        boxes = np.concatenate([center + shifts - size / 2, center + shifts + size / 2], axis=1)
        others = np.concatenate([np.delete(points, place, axis=0), names])
        line = np.concatenate([center + along * shifts] * 2, axis=2)  # boxes without extent
        covered = _overlap(boxes, others).sum(axis=1)
        crossed = _overlap(line, others).any(axis=0).sum(axis=1)
        outside = (boxes[:, :2] < room[:2]).any(axis=1) | (boxes[:, 2:] > room[2:]).any(axis=1)
        best = np.lexsort([np.arange(len(boxes)), 2 * covered + crossed, outside])[0]
        names = np.concatenate([names, boxes[[best]]])
        found.append(shifts[best])
    return np.array(found)


def _overlap(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether boxes (..., 4) have a part in common with each of some others (M, 4): (..., M)."""
    low, high = boxes[..., None, :2], boxes[..., None, 2:]
    return np.all((low < others[:, 2:]) & (others[:, :2] < high), axis=-1)


def _shifts(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places around a point, (C, 2), nearest first and of those the right side first."""
    turns = np.radians([0, 180, 90, 270, *range(15, 360, 15)])
    ways = np.stack([np.cos(turns), np.sin(turns)], axis=1).round(9)
    shifts: NDArray[np.float64] = np.concatenate(
        [gap * ways + np.sign(ways) * size / 2 for gap in GAPS]
    )
    return shifts


# ---- into the page -------------------------------------------------------------------------------


def _inline(figure: Figure, prefix: str, title: str) -> str:
    """A figure as an SVG element for a page with others: ids of its own, colors of the page."""
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    for element in [child for child in root if child.tag == f"{{{SVG}}}metadata"]:
        root.remove(element)
    for parent in root.iter():
        for style in parent.findall(f"{{{SVG}}}style"):
            parent.remove(style)  # in a page it would be the style of everything
        for name, value in parent.attrib.items():
            parent.set(name, _adapted(name, value, prefix))
    for name in ("width", "height", "version"):
        del root.attrib[name]
    root.attrib |= {"role": "img", "aria-label": title}
    return ElementTree.tostring(root, encoding="unicode")


def _adapted(name: str, value: str, prefix: str) -> str:
    """An attribute as it has to be where several SVGs share a page."""
    if name == "id":
        return prefix + value
    if name == f"{{{XLINK}}}href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    if value.startswith("url(#"):
        return f"url(#{prefix}{value[5:]}"
    if name == "style":
        for color, of_page in PAGE_COLORS.items():
            value = value.replace(color, of_page)
    return value
