"""The plots of a board as SVG that can be placed inside a page, in the page's own colors.

matplotlib draws them; every name in them is text, which matplotlib escapes.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from statistics import mean
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from benchmark.evaluation.baselines import GRAY, GROUND_TRUTH
from benchmark.evaluation.calibration import outcome_colors
from benchmark.leaderboard.ranking import WITHOUT_LPIPS, WITHOUT_TRUTH, ProtocolBoard
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.tables import MS_PER_IMAGE, TRAINING, all_columns
from benchmark.results.records import Score

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, which color-blind readers can tell apart, without its black and its
yellow, which are hard to see on a black or a white page."""
MARKERS = "osD^vPX"
"""Their number shares no factor with that of the colors, so 42 rows look different."""
FIXED_MARKERS = "+x*1234"
INK, RULE = "#010203", "#040506"
"""Placeholders for the page's colors of text and of lines, which differ between light and dark."""
PAGE_COLORS = {INK: "var(--ink, #222)", RULE: "var(--rule, #ccc)"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be found, read aloud and set in any font
    "svg.hashsalt": "chromabench",  # without it, ids are different each time
    "text.parse_math": False,  # a name may hold dollar signs
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
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1,
}
SIZE = (5.0, 3.6)
"""Width and height of a plot in inches; a legend is added to the height."""
LONGEST_NAME = 30
LOG_FROM = 20
"""Values that span this factor are drawn on a logarithmic axis."""
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


@dataclass(frozen=True)
class Plot:
    """A plot that can be placed in a page as it is: `svg` is one element, its text escaped."""

    title: str
    svg: str


@dataclass(frozen=True)
class Point:
    """A row at its position in a plot; `name` stands in the legend."""

    row: Row
    x: float
    y: float
    name: str


Drawing = tuple[str, Figure]
"""The title and the figure of a plot."""


def plots_of(board: ProtocolBoard, prefix: str) -> list[Plot]:
    """Draw all plots of a board for which it has values.

    The board's metric is shown against other metrics, against costs, and image by image.
    prefix: the start of all ids in the SVGs, different for each board of a page.
    """
    draw: Sequence[Callable[[ProtocolBoard], Drawing | None]] = (
        lambda board: _against_metric(board, "delta_e2000"),
        lambda board: _against_metric(board, "ssim"),
        lambda board: _against_metric(board, "colorfulness"),
        _against_time,
        _against_training,
        _distributions,
        _calibration,
    )
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # matplotlib only guesses the width of characters that its font lacks; a browser has others.
        warnings.filterwarnings("ignore", message="Glyph")
        drawings = [found for one in draw if (found := one(board))]
        return [
            Plot(title, _inline(figure, f"{prefix}-plot-{number}-", title))
            for number, (title, figure) in enumerate(drawings, start=1)
        ]


# ---- the plots -----------------------------------------------------------------------------------


def _against_metric(board: ProtocolBoard, key: str) -> Drawing | None:
    """The board's metric over another one, with the models' intervals."""
    points = [
        Point(row, x, y, _label(board, row))
        for row in _without_truth(board)
        for x, y in [(row.scores[key].mean, row.scores[board.sort].mean)]
        if x is not None and y is not None
    ]
    if key == board.sort or all(point.row.is_fixed for point in points):
        return None
    x_score, y_score = (board.rows[0].scores[name] for name in (key, board.sort))
    figure, axes = _axes()
    axes.set(xlabel=_axis_label(x_score), ylabel=_axis_label(y_score))
    for point in points:
        if not point.row.is_fixed:  # a reference's interval is not of interest, and may be wide
            _draw_intervals(axes, board, point, key)
    truth = board.fixed(GROUND_TRUTH)
    target = truth.scores[key].mean if truth and x_score.direction == "none" else None
    if target is not None:
        axes.axvline(target, color=INK, linewidth=1, linestyle="--")
        axes.set_xlabel(f"{_axis_label(x_score)} (dashed: {GROUND_TRUTH})")
    _draw_points(axes, board, points)
    return f"{y_score.label} against {x_score.label}", figure


def _draw_intervals(axes: Axes, board: ProtocolBoard, point: Point, key: str) -> None:
    color = _look(board, point.row)[0]
    x_score, y_score = point.row.scores[key], point.row.scores[board.sort]
    if x_score.low is not None and x_score.high is not None:
        axes.hlines(point.y, x_score.low, x_score.high, color, alpha=0.35, linewidth=1)
    if y_score.low is not None and y_score.high is not None:
        axes.vlines(point.x, y_score.low, y_score.high, color, alpha=0.35, linewidth=1)


def _against_time(board: ProtocolBoard) -> Drawing | None:
    devices = [row.record.timing.device if row.record.timing else "" for row in board.models]
    return _against_cost(board, MS_PER_IMAGE, "milliseconds per image", devices)


def _against_training(board: ProtocolBoard) -> Drawing | None:
    devices = [row.record.cost.device if row.record.cost else "" for row in board.models]
    return _against_cost(board, TRAINING, "minutes of training", devices)


def _against_cost(
    board: ProtocolBoard, heading: str, label: str, devices: Sequence[str]
) -> Drawing | None:
    """The board's metric over a column of the costs; the gray input's value is a line.

    devices: the device of each model. Where they differ, each name says its own, since times on
    different devices do not compare.
    """
    cell = next(column.cell for column in all_columns(board) if column.heading == heading)
    known = sorted({*devices} - {""})
    points = []
    for row, device in zip(board.models, devices, strict=True):
        x, y = cell(row).value, row.scores[board.sort].mean
        if isinstance(x, float) and y is not None:
            suffix = f" on {_shorten(device)}" if len(known) > 1 else ""
            points.append(Point(row, x, y, _label(board, row) + suffix))
    if not points:
        return None
    y_score = board.rows[0].scores[board.sort]
    device = f" on {_shorten(known[0])}" if len(known) == 1 else ""
    figure, axes = _axes()
    axes.set(xlabel=f"← better · {label}{device}", ylabel=_axis_label(y_score))
    _choose_scale(axes, [point.x for point in points])
    gray = board.fixed(GRAY)
    level = gray.scores[board.sort].mean if gray else None
    if level is not None:
        axes.axhline(level, color=INK, linewidth=1, linestyle="--")
        axes.set_ylabel(f"{_axis_label(y_score)} (dashed: {GRAY})")
    _draw_points(axes, board, points)
    return f"{y_score.label} against {label}", figure


def _distributions(board: ProtocolBoard) -> Drawing | None:
    """The distribution of a metric over the images, a box for each row."""
    key = per_image_metric(board)
    values_of = [(row, row.values(key)) for row in _without_truth(board)]
    found = [(row, values) for row, values in values_of if values is not None]
    if all(row.is_fixed for row, _ in found):
        return None
    found.reverse()  # boxes are stacked from below, and the best row belongs at the top
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


def _calibration(board: ProtocolBoard) -> Drawing | None:
    """Which paints objects of random paint took: a bar in the paints' own colors for each row.

    The bar at the top shows the true probabilities. Of several seeds the mean is shown.
    """
    found = [row for row in _without_truth(board) if row.calibrations]
    if not found:
        return None
    probabilities, colors = found[0].calibrations[0].probabilities, outcome_colors()
    figure, axes = _axes(height=max(SIZE[1], 1.4 + 0.28 * len(found)))
    bars = np.arange(len(found) + 1)
    left = np.zeros(len(bars))
    for paint, probability in probabilities.items():
        shares = [mean(c.overall.shares[paint].value for c in row.calibrations) for row in found]
        lengths = np.array([probability, *shares])
        axes.barh(bars, lengths, 0.7, left, color=colors[paint], label=paint)
        left += lengths
    variations = [mean(c.overall.total_variation.value for c in row.calibrations) for row in found]
    names = [
        f"{_label(board, row)} ({variation:.2f})"
        for row, variation in zip(found, variations, strict=True)
    ]
    axes.set_yticks(bars, ["true probabilities", *names])
    axes.invert_yaxis()  # the rows are in the order of the table
    axes.set(xlim=(0, 1), xlabel="share of objects (in parentheses total variation: 0 is right)")
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=len(probabilities))
    return "Paints that objects of random paint took", figure


# ---- parts of a plot -----------------------------------------------------------------------------


def per_image_metric(board: ProtocolBoard) -> str:
    """The board's metric, or the first of ΔE2000 and colorfulness that every image has."""
    choices = (board.sort, WITHOUT_LPIPS, WITHOUT_TRUTH)
    known = (key for key in choices if all(row.values(key) is not None for row in board.models))
    return next(known, WITHOUT_TRUTH)


def _without_truth(board: ProtocolBoard) -> list[Row]:
    """All rows but the ground truth, whose perfect scores are known and far from all others."""
    return [row for row in board.rows if row is not board.fixed(GROUND_TRUTH)]


def _axes(height: float = SIZE[1]) -> tuple[Figure, Axes]:
    """An empty plot with this height in inches. pyplot is not used: it would keep it in memory."""
    figure = Figure(figsize=(SIZE[0], height), layout="constrained")
    FigureCanvasAgg(figure)  # measures the size of a text
    return figure, figure.add_subplot()


def _look(board: ProtocolBoard, row: Row) -> tuple[str, str]:
    """Color and marker of a row, the same in all plots of a board; fixed rows have no color."""
    alike = [other for other in _without_truth(board) if other.is_fixed == row.is_fixed]
    index = next(index for index, other in enumerate(alike) if other is row)
    if row.is_fixed:
        return INK, FIXED_MARKERS[index % len(FIXED_MARKERS)]
    return COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]


def _label(board: ProtocolBoard, row: Row) -> str:
    """A row's shortened name; only its kind for the single fixed row of a kind."""
    alike = sum(other.is_fixed and other.record.model == row.record.model for other in board.rows)
    return row.record.model if row.is_fixed and alike == 1 else _shorten(row.name)


def _shorten(name: str) -> str:
    """A name of at most LONGEST_NAME characters, cut in its middle, since its ends differ most.

    Characters that XML does not allow are replaced.
    """
    name = "".join(character if character.isprintable() else "\ufffd" for character in name)
    half = (LONGEST_NAME - 1) // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _axis_label(score: Score) -> str:
    """The metric, with an arrow along the axis to where it is better."""
    label = f"{score.label} [{score.unit}]" if score.unit else score.label
    return {"up": f"{label} · better →", "down": f"← better · {label}", "none": label}[
        score.direction
    ]


def _choose_scale(axes: Axes, values: Sequence[float]) -> None:
    """Use a logarithmic axis with plain numbers for values of several magnitudes."""
    low, high = min(values), max(values)
    if low > 0 and high / low > LOG_FROM:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 500 else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(LogLocator(subs=()))


def _draw_points(axes: Axes, board: ProtocolBoard, points: Sequence[Point]) -> None:
    """Draw the points, and below the plot a legend with their names in the order of the table."""
    handles = []
    for point in points:
        color, marker = _look(board, point.row)
        line = axes.plot(point.x, point.y, marker, color=color, markersize=6, zorder=3)
        handles += line
    figure = axes.get_figure(root=True)
    assert figure is not None
    _draw_legend(figure, handles, [point.name for point in points])


def _draw_legend(figure: Figure, handles: Sequence[Line2D], names: Sequence[str]) -> None:
    """Add a legend below a figure, in as many columns as fit, and make the figure higher by it."""
    for columns in (3, 2, 1):
        legend = figure.legend(handles, names, loc="outside lower center", ncols=columns)
        extent = legend.get_window_extent()
        if extent.width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + extent.height / figure.dpi)


# ---- into the page -------------------------------------------------------------------------------


def _inline(figure: Figure, prefix: str, title: str) -> str:
    """A figure as an SVG element for a page: with ids of its own, in the colors of the page."""
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    for element in [child for child in root if child.tag == f"{{{SVG}}}metadata"]:
        root.remove(element)
    for parent in root.iter():
        for style in parent.findall(f"{{{SVG}}}style"):
            parent.remove(style)  # it would apply to the whole page
        for name, value in parent.attrib.items():
            parent.set(name, _adapted(name, value, prefix))
    for name in ("width", "height", "version"):
        del root.attrib[name]
    root.attrib |= {"role": "img", "aria-label": title}
    return ElementTree.tostring(root, encoding="unicode")


def _adapted(name: str, value: str, prefix: str) -> str:
    """The value of an attribute, adapted to a page that holds several SVGs."""
    if name == "id":
        return prefix + value
    if name == f"{{{XLINK}}}href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    if value.startswith("url(#"):
        return f"url(#{prefix}{value[5:]}"
    if name == "style":
        for placeholder, color in PAGE_COLORS.items():
            value = value.replace(placeholder, color)
    return value
