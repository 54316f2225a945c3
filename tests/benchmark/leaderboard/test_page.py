"""leaderboard.html: escaped, the same each time; in a browser it sorts and fetches nothing."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmark.data.cache import ImageSet
from benchmark.data.manifest import ImageFile
from benchmark.evaluation import baselines, evaluate
from benchmark.leaderboard import page, tables
from benchmark.leaderboard.plots import (
    LONGEST_NAME,
    STYLE,
    Plot,
    _axes,
    _draw_legend,
    _look,
    plots_of,
)
from benchmark.leaderboard.ranking import Leaderboard, ProtocolBoard, read
from benchmark.metrics.table import MetricSuite
from benchmark.results.folders import RunFolder
from benchmark.results.records import Calibration, Cost, Estimate, PaintShares, WeightsUsed

EVIL = "<script>alert(1)"
COST = Cost(
    parameters=1_500_000,
    training_seconds=90.0,
    images_per_second=10.0,
    epochs=1,
    steps=1,
    device="CPU",
    precision="32",
    peak_device_bytes=None,
    best_epoch=1,
)


class MeanDifference(nn.Module):
    """A stand-in for LPIPS."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return (first - second).abs().mean(dim=(1, 2, 3))


def images(count: int) -> ImageSet:
    """Soft colors, as if read from files; the name of the first is a script."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    rgb8 = (nn.functional.interpolate(coarse, (32, 32), mode="bilinear") * 255).byte()
    names = [f"{EVIL}.png", *(f"{place}.png" for place in range(1, count))]
    files = [ImageFile(name, Path(name), f"{place:064d}") for place, name in enumerate(names)]
    return ImageSet(files, rgb8, {})


def prepare(count: int, name: str = "soft", **networks: nn.Module) -> evaluate.TestSetup:
    unavailable = dict.fromkeys({"lpips", "kid"} - networks.keys(), "left out here")
    suite = MetricSuite(networks=networks, unavailable=unavailable)
    return evaluate.prepare(images(count), name, 32, suite=suite, num_images=1)


def add(
    results: Path,
    run: str,
    ab: tuple[float, float],
    setup: evaluate.TestSetup,
    *,
    seed: int = 8000,
    cost: Cost | None = COST,
) -> None:
    """Test a model that paints everything in one color."""
    folder = RunFolder(results, run, seed)
    weights = WeightsUsed(
        trained_as=run, run=run, file="best.safetensors", sha256="0" * 64, epoch=1
    )
    candidate = evaluate.Candidate(folder, run, weights=weights, cost=cost)
    evaluate.test(candidate, baselines.MeanAb(ab).eval(), setup)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two protocols: one with several rows and the stand-in for LPIPS, and a minimal one with one
    model without costs, one image, no LPIPS and no fixed rows."""
    folder = tmp_path_factory.mktemp("Results")
    setup = prepare(8, lpips=MeanDifference())
    baselines.test_baselines(folder, setup, None)
    add(folder, EVIL, (10.0, 20.0), setup)
    fast = COST.model_copy(update={"training_seconds": 30.0, "device": "GPU"})
    add(folder, "$warm$", (20.0, 60.0), setup, cost=fast)
    add(folder, "_cold", (0.0, -40.0), setup, cost=None)
    for seed in (1, 2):
        add(folder, "seeds", (-20.0 * seed, 5.0), setup, seed=seed)
    add(folder, "alone", (5.0, 5.0), prepare(1, "spare"), cost=None)
    return folder


@pytest.fixture(scope="module")
def found(results: Path) -> Leaderboard:
    return read(results)


@pytest.fixture(scope="module")
def text(found: Leaderboard) -> str:
    return page.html(found)


def board_of(found: Leaderboard, name: str) -> ProtocolBoard:
    (board,) = (board for board in found.boards if board.protocol["name"] == name)
    return board


@pytest.fixture(scope="module")
def plots(found: Leaderboard) -> list[Plot]:
    return plots_of(board_of(found, "soft-32"), "x")


# ---- without a browser ---------------------------------------------------------------------------


class Elements(HTMLParser):
    """All elements of a page, as (tag, attributes), and their text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_text_is_escaped(found: Leaderboard, text: str) -> None:
    assert EVIL not in text
    assert EVIL in Elements(text).text
    scripts = [attributes for tag, attributes in Elements(text).found if tag == "script"]
    galleries = [{"type": "application/json"}] * len(found.boards)
    assert scripts == [*galleries, {}]
    refused = page.html(Leaderboard([], {f"{EVIL}/run.json": f"a fault: {EVIL}"}))
    assert EVIL not in refused
    assert f"a fault: {EVIL}" in Elements(refused).text


def test_nothing_is_fetched_and_ids_are_unique(text: str) -> None:
    elements = Elements(text).found
    ids: Counter[str | None] = Counter()
    for tag, attributes in elements:
        ids.update([attributes["id"]] if "id" in attributes else [])
        for name in ("src", "href", "xlink:href", "data", "srcset", "poster", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("data:", "#")), (tag, name, value)
    assert max(ids.values()) == 1
    targets = {f"#{element_id}" for element_id in ids}
    used = {attributes.get("xlink:href", "#board-1") for tag, attributes in elements}
    assert used <= targets
    assert "@import" not in text
    assert text.count("url(") == text.count("url(#board-")


def test_the_same_results_make_the_same_page(results: Path, text: str) -> None:
    assert page.html(read(results)) == text


def test_each_board_has_the_plots_that_it_has_values_for(
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
    taken = PaintShares(
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
        overall=taken,
        kinds={},
        per_object=None,
        per_object_perfect=None,
    )
    board = board_of(found, "spare-32")
    (row,) = board.rows
    record = row.record.model_copy(update={"calibration": calibration})
    painted = replace(row, tests=(replace(row.tests[0], record=record),))
    board = replace(board, rows=[painted])
    table = tables.tables_of(board)[-1]
    assert table.title == "Calibration"
    assert {"red (0.50)", "blue (0.50)", "none (0.00)"} <= set(table.columns)
    assert [cell.text for cell in table.rows[0]].count("0.50") == 2
    plot = plots_of(board, "x")[-1]
    lines = {element.text for element in ElementTree.fromstring(plot.svg).iter()}
    assert {"true probabilities", "alone (0.00)", *even} <= lines


def test_names_in_plots_are_those_of_the_rows(found: Leaderboard, plots: list[Plot]) -> None:
    board = board_of(found, "soft-32")
    for plot in plots:
        lines = {element.text for element in ElementTree.fromstring(plot.svg).iter()}
        for row in board.models:
            if "training" not in plot.title:
                assert row.name in lines
            elif row.record.cost:  # of two devices, which are named since they do not compare
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
def test_names_lie_below_the_plot_and_never_on_each_other(names: list[str]) -> None:
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
    assert axes.get_window_extent().height > 2 * 72  # the legend takes no room from the plot


def test_all_rows_of_a_board_look_different(found: Leaderboard) -> None:
    board = board_of(found, "soft-32")
    rows = [row for row in board.rows if row is not board.fixed("ground truth")]
    assert len({_look(board, row) for row in rows}) == len(rows)


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time, and are not what is looked at."""
    monkeypatch.setattr(page, "plots_of", lambda board, prefix: [])


def test_images_are_those_that_were_scored_and_others_leave_a_gap(
    found: Leaderboard, without_plots: None
) -> None:
    board = board_of(found, "soft-32")
    gallery = page._gallery(board)
    assert gallery is not None
    assert [tile.title for tile in gallery.tiles[0]][1:-1] == gallery.rows
    assert [tile.title for tile in gallery.tiles[0]][:: len(gallery.rows) + 1] == ["input", "truth"]
    assert all(tile.uri for tiles in gallery.tiles for tile in tiles)

    test = board.models[0].tests[0]
    moved = replace(test, table=test.table.assign(output="nowhere.png"))
    altered = replace(test, table=test.table.assign(output_sha256="0" * 64))
    rows = [replace(board.models[0], tests=(broken,)) for broken in (moved, altered)]
    text = page.html(Leaderboard([replace(board, rows=rows)], {}))
    assert text.count('class="missing"') == 2 * 8
    assert "<img" not in text


def test_of_many_images_the_worst_are_shown(
    found: Leaderboard, monkeypatch: pytest.MonkeyPatch, without_plots: None
) -> None:
    monkeypatch.setattr(page, "MOST_IMAGES", 3)
    board = board_of(found, "soft-32")
    tests = [row.tests[0] for row in board.models]
    means = np.mean([test.values("lpips") for test in tests], axis=0)
    files = tests[0].sample_table(0)["file"].to_numpy()
    gallery = page._gallery(board)
    assert gallery is not None
    assert gallery.names == files[np.argsort(-means)[:3]].tolist()
    assert "3 of 8 test images: the worst by LPIPS (alex) ↓" in page.html(found)


def test_fixed_rows_alone_make_a_page(found: Leaderboard) -> None:
    board = board_of(found, "soft-32")
    fixed = [row for row in board.rows if row.is_fixed]
    text = page.html(Leaderboard([replace(board, rows=fixed)], {}))
    assert "ground truth" in text
    assert "<svg" not in text
    assert "<img" not in text
    assert "soft-32" in page.html(Leaderboard([], {"soft-32": "a fault"}))


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, which writes down what it requests and complains of."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium with chromedriver: the page is not tried in a browser")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=Service(driver))
    yield chromium
    chromium.quit()


@pytest.fixture
def opened(browser: Any, text: str, tmp_path: Path) -> Any:
    """The browser, with the page opened afresh."""
    path = tmp_path / "leaderboard.html"
    path.write_text(text, encoding="utf-8")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    return browser


def test_it_opens_without_network_errors_or_dialogs(opened: Any) -> None:
    widths = opened.execute_async_script(
        """const [done] = arguments, images = [...document.images];
        for (const image of images) image.loading = "eager";
        Promise.all(images.map((image) => image.decode()))
          .then(() => done(images.map((image) => image.naturalWidth)))
          .catch((error) => done(String(error)));"""
    )
    assert widths == [32] * (8 * 6 + 1)  # input, four models, truth; and the other board's one
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    requests = [
        message["params"]["request"]["url"].partition(":")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert requests.count("file") == 1
    assert set(requests) == {"file", "data"}
    assert opened.get_log("browser") == []
    # An alert would have made every command before this fail; the name is there as text.
    assert EVIL in opened.find_element("tag name", "main").text


def test_no_script_but_the_pages_own_runs_and_none_may_fetch(opened: Any) -> None:
    opened.execute_script(
        """const script = document.createElement("script");
        script.textContent = "window.broken = true";
        document.body.append(script);
        const image = "<img src='data:,' onerror='broken = true'>";
        document.body.insertAdjacentHTML("beforeend", image);"""
    )
    assert (
        opened.execute_async_script(
            """const [done] = arguments;
        fetch("data:,text").then(() => done("fetched"), () => done("refused"));"""
        )
        == "refused"
    )
    assert opened.execute_script("return window.broken") is None


def column(browser: Any, heading: str) -> tuple[list[str | None], str]:
    """What the cells of the first table's models are sorted by under a heading; its aria-sort."""
    return browser.execute_script(
        """const table = document.querySelector("table");
        const heads = [...table.tHead.rows[0].cells];
        const place = heads.findIndex((head) => head.innerText.startsWith(arguments[0]));
        const cells = [...table.tBodies[0].rows].map((row) => row.cells[place].dataset);
        return [cells.map((data) => data.number ?? data.text ?? null), heads[place].ariaSort];""",
        heading,
    )


def head(browser: Any, heading: str) -> Any:
    """The button of a column of the first table."""
    table = browser.find_element("css selector", "table")
    buttons = table.find_elements("css selector", "thead button")
    return next(button for button in buttons if button.text.startswith(heading))


def in_order(values: list[str | None], descending: bool) -> bool:
    """Whether they are sorted, empty ones last."""
    known = [float(value) for value in values if value is not None]
    empty = [None] * (len(values) - len(known))
    return values[len(known) :] == empty and known == sorted(known, reverse=descending)


@pytest.mark.parametrize("way", ["click", "enter", "space"])
def test_a_heading_sorts_and_turns_round(opened: Any, way: str) -> None:
    from selenium.webdriver.common.keys import Keys

    keys = {"enter": Keys.ENTER, "space": Keys.SPACE}

    def press(heading: str) -> None:
        button = head(opened, heading)
        if way in keys:
            opened.execute_script("arguments[0].focus()", button)
            opened.switch_to.active_element.send_keys(keys[way])
        else:
            opened.execute_script("arguments[0].scrollIntoView({inline: 'center'})", button)
            button.click()

    values, state = column(opened, "LPIPS")
    assert state == "ascending"
    assert in_order(values, descending=False)
    for heading in ("training", "SSIM"):  # a row has no training
        for expected in ("ascending", "descending", "ascending"):
            press(heading)
            values, state = column(opened, heading)
            assert state == expected
            assert in_order(values, descending=expected == "descending")
    assert column(opened, "LPIPS")[1] == "none"
    assert None in column(opened, "training")[0]
    press("Model")
    assert column(opened, "Model")[0] == ["_cold", EVIL, "$warm$", "seeds"]


def test_the_focus_is_never_below_the_names_that_stay_at_the_edge(opened: Any) -> None:
    on_top = opened.execute_script(
        """const buttons = [...document.querySelectorAll("table")[0].querySelectorAll("button")];
        return buttons.reverse().map((button) => {
          button.focus();
          const { x, y, width, height } = button.getBoundingClientRect();
          return button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
        });"""
    )
    assert len(on_top) > 15
    assert all(on_top)


def choose(browser: Any, metric: str, row: str, order: str) -> tuple[list[str], list[list[str]]]:
    """Choose in the first gallery: the names of its images, and the numbers under each."""
    return browser.execute_script(
        """const gallery = document.querySelector(".gallery");
        for (const [name, value] of Object.entries(arguments[0])) {
          const select = gallery.querySelector(`[name=${name}]`);
          select.value = value;
          select.dispatchEvent(new Event("change"));
        }
        const images = [...gallery.querySelectorAll("li")];
        const numbers = (li) => [...li.querySelectorAll("figure output")].map((out) => out.value);
        return [images.map((li) => li.querySelector("h4").firstChild.data.trim()),
                images.map(numbers)];""",
        {"metric": metric, "row": row, "order": order},
    )


def test_the_gallery_shows_the_worst_first(opened: Any, found: Leaderboard) -> None:
    models = board_of(found, "soft-32").models
    for place, row in enumerate(models):
        table = row.tests[0].sample_table(0)
        for metric, rises in (("lpips", False), ("ssim", True), ("colorfulness", False)):
            worst = table.sort_values(metric, ascending=rises, kind="stable")
            names, numbers = choose(opened, metric, str(place), "worst")
            assert names == worst["file"].tolist()
            shown = [float(of_one[place]) for of_one in numbers]
            assert shown == pytest.approx(worst[metric].tolist(), abs=0.0051)
            best = table.sort_values(metric, ascending=not rises, kind="stable")
            assert choose(opened, metric, str(place), "best")[0] == best["file"].tolist()
    means = np.mean([row.tests[0].values("delta_e2000") for row in models], axis=0)
    files = models[0].tests[0].sample_table(0)["file"].to_numpy()
    expected = files[np.argsort(-means, kind="stable")].tolist()
    assert choose(opened, "delta_e2000", "all", "worst")[0] == expected


def test_a_phone_scrolls_tables_and_not_the_page(opened: Any) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page_width, box, table = opened.execute_script(
            """const box = document.querySelector(".scroll");
            return [document.documentElement.scrollWidth, box.clientWidth, box.scrollWidth];"""
        )
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert page_width == 360
    assert box < 360 < table
