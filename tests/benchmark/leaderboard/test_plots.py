"""Plots of a board: what is drawn, with which names, and where the names are placed."""

from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
from hypothesis import given
from hypothesis import strategies as st

from benchmark.leaderboard import tables
from benchmark.leaderboard.plots import (
    LONGEST_NAME,
    STYLE,
    Plot,
    _axes,
    _draw_legend,
    _look,
    plots_of,
)
from benchmark.leaderboard.ranking import Leaderboard
from benchmark.results.records import Calibration, Estimate, PaintShares
from tests.leaderboard_support import board_of


def test_each_board_has_the_plots_whose_values_it_has(
    found: Leaderboard, plots: list[Plot]
) -> None:
    def titles(plots: list[Plot]) -> list[str]:
        return [plot.title.partition(":")[0] for plot in plots]

    assert titles(plots) == [
        "LPIPS (alex) against ΔE2000",
        "LPIPS (alex) against SSIM",
        "LPIPS (alex) against Colorfulness",
        "LPIPS (alex) against milliseconds per image",
        "LPIPS (alex) against minutes of training",
        "LPIPS (alex) of each image",
    ]
    assert titles(plots_of(board_of(found, "spare-32"), "x")) == [
        "ΔE2000 against SSIM",
        "ΔE2000 against Colorfulness",
        "ΔE2000 against milliseconds per image",
        "ΔE2000 of each image",
    ]


def test_calibration_is_drawn_for_the_rows_that_have_it(found: Leaderboard) -> None:
    even = {"red": 0.5, "blue": 0.5, "none": 0.0}
    shares = {name: Estimate(value=value, low=None, high=None) for name, value in even.items()}
    painted = PaintShares(
        n_objects=2,
        n_images=1,
        shares=shares,
        total_variation=shares["none"],
        truth=0.0,
        perfect=0.1,
        perfect_high=0.2,
    )
    calibration = Calibration(
        n_samples=1,
        n_left_out=0,
        probabilities=even,
        overall=painted,
        kinds={},
        per_object=None,
        per_object_perfect=None,
    )
    board = board_of(found, "spare-32")
    (row,) = board.rows
    record = row.record.model_copy(update={"calibration": calibration})
    calibrated = replace(row, tests=(replace(row.tests[0], record=record),))
    board = replace(board, rows=[calibrated])
    table = tables.tables_of(board)[-1]
    assert table.title == "Calibration"
    assert {"red (0.50)", "blue (0.50)", "none (0.00)"} <= set(table.columns)
    assert [cell.text for cell in table.rows[0]].count("0.50") == 2
    plot = plots_of(board, "x")[-1]
    lines = {element.text for element in ElementTree.fromstring(plot.svg).iter()}
    assert {"true probabilities", "alone (0.00)", *even} <= lines

    # Of a second seed that paints everything red, the mean is shown.
    red = {name: Estimate(value=float(name == "red"), low=None, high=None) for name in even}
    other = painted.model_copy(update={"shares": red, "total_variation": shares["red"]})
    second = record.model_copy(
        update={"calibration": calibration.model_copy(update={"overall": other}), "seed": 1}
    )
    tests = (*calibrated.tests, replace(row.tests[0], record=second))
    board = replace(board, rows=[replace(row, tests=tests)])
    table = tables.tables_of(board)[-1]
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["red (0.50)"].text == "0.75, seeds 0.35"
    assert cells["total variation ↓"].text == "0.25, seeds 0.35"
    lines = {e.text for e in ElementTree.fromstring(plots_of(board, "x")[-1].svg).iter()}
    assert any("(0.25)" in (text or "") for text in lines)


def test_names_in_plots_are_those_of_the_rows(found: Leaderboard, plots: list[Plot]) -> None:
    board = board_of(found, "soft-32")
    for plot in plots:
        lines = {element.text for element in ElementTree.fromstring(plot.svg).iter()}
        for row in board.models:
            if "training" not in plot.title:
                assert row.name in lines
            elif (
                row.record.cost
            ):  # the names include the device, since times of different devices are not comparable
                assert f"{row.name} on {row.record.cost.device}" in lines


def test_characters_that_xml_does_not_allow_are_replaced_in_plots(found: Leaderboard) -> None:
    board = board_of(found, "spare-32")
    (row,) = board.rows
    record = row.record.model_copy(update={"run": "bell\x07\n", "model": "bell\x07\n"})
    named = replace(row, tests=(replace(row.tests[0], record=record),))
    for plot in plots_of(replace(board, rows=[named]), "x"):
        lines = [element.text or "" for element in ElementTree.fromstring(plot.svg).iter()]
        assert any(line.startswith("bell��") for line in lines)


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=LONGEST_NAME),
        min_size=1,
        max_size=16,
    )
)
def test_names_are_below_the_plot_and_never_overlap(names: list[str]) -> None:
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes()
        handles = [line for _ in names for line in axes.plot(0, 0, "o")]
        _draw_legend(figure, handles, names)
        figure.draw_without_rendering()
    (legend,) = figure.legends
    texts = legend.get_texts()
    assert [text.get_text() for text in texts] == names
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    for index, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:index]) == 0
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= axes.get_tightbbox().y0
    assert axes.get_window_extent().height > 2 * 72  # the legend does not shrink the plot


def test_all_rows_of_a_board_have_different_markers(found: Leaderboard) -> None:
    board = board_of(found, "soft-32")
    rows = [row for row in board.rows if row is not board.fixed("ground truth")]
    assert len({_look(board, row) for row in rows}) == len(rows)
