"""leaderboard.html in Chromium: tables are sorted, images are shown and nothing is fetched."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.leaderboard.ranking import Leaderboard
from tests.leaderboard_support import EVIL, board_of


@pytest.fixture
def opened(browser: Any, text: str, tmp_path: Path) -> Any:
    """The browser after the page and its script have loaded.

    chromedriver may return from a navigation before that, which a busy machine shows.
    """
    from selenium.webdriver.support.wait import WebDriverWait

    path = tmp_path / "leaderboard.html"
    path.write_text(text, encoding="utf-8")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    WebDriverWait(browser, 30).until(
        lambda driver: driver.execute_script("return document.readyState") == "complete"
    )
    return browser


def test_the_page_opens_without_network_access_errors_or_dialogs(opened: Any) -> None:
    widths = opened.execute_async_script(
        """const [done] = arguments, images = [...document.images];
        for (const image of images) image.loading = "eager";
        Promise.all(images.map((image) => image.decode()))
          .then(() => done(images.map((image) => image.naturalWidth)))
          .catch((error) => done(String(error)));"""
    )
    assert widths == [32] * (
        8 * 6 + 1
    )  # 8 images of input, four models and truth; one of the other board
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    requests = [
        message["params"]["request"]["url"].partition(":")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert requests.count("file") == 1
    assert set(requests) == {"file", "data"}
    assert opened.get_log("browser") == []
    # An alert would have made every earlier command fail; the name appears as text.
    assert EVIL in opened.find_element("tag name", "main").text


def test_only_the_pages_own_script_runs_and_no_script_may_fetch(opened: Any) -> None:
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
    """Return the sort keys of a column of the first table, and its aria-sort."""
    return browser.execute_script(
        """const table = document.querySelector("table");
        const heads = [...table.tHead.rows[0].cells];
        const index = heads.findIndex((head) => head.innerText.startsWith(arguments[0]));
        const cells = [...table.tBodies[0].rows].map((row) => row.cells[index].dataset);
        return [cells.map((data) => data.number ?? data.text ?? null), heads[index].ariaSort];""",
        heading,
    )


def heading_button(browser: Any, heading: str) -> Any:
    """Return the button in the heading of a column of the first table."""
    table = browser.find_element("css selector", "table")
    buttons = table.find_elements("css selector", "thead button")
    return next(button for button in buttons if button.text.startswith(heading))


def in_order(values: list[str | None], descending: bool) -> bool:
    """Whether values are sorted, with empty ones last."""
    known = [float(value) for value in values if value is not None]
    empty = [None] * (len(values) - len(known))
    return values[len(known) :] == empty and known == sorted(known, reverse=descending)


@pytest.mark.parametrize("action", ["click", "enter", "space"])
def test_a_heading_sorts_and_reverses_the_rows(opened: Any, action: str) -> None:
    from selenium.webdriver.common.keys import Keys

    keys = {"enter": Keys.ENTER, "space": Keys.SPACE}

    def press(heading: str) -> None:
        button = heading_button(opened, heading)
        if action in keys:
            opened.execute_script("arguments[0].focus()", button)
            opened.switch_to.active_element.send_keys(keys[action])
        else:
            opened.execute_script("arguments[0].scrollIntoView({inline: 'center'})", button)
            button.click()

    values, state = column(opened, "LPIPS")
    assert state == "ascending"
    assert in_order(values, descending=False)
    for heading in ("training", "SSIM"):  # one row has no training time
        for expected in ("ascending", "descending", "ascending"):
            press(heading)
            values, state = column(opened, heading)
            assert state == expected
            assert in_order(values, descending=expected == "descending")
    assert column(opened, "LPIPS")[1] == "none"
    assert None in column(opened, "training")[0]
    press("Model")
    assert column(opened, "Model")[0] == ["_cold", EVIL, "$warm$", "seeds"]


def test_a_focused_button_is_never_covered_by_the_fixed_column_of_names(opened: Any) -> None:
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
    """Select options in the first gallery; returns image names and the numbers under each image."""
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


def test_the_gallery_sorts_images_by_the_selected_metric_and_row(
    opened: Any, found: Leaderboard
) -> None:
    models = board_of(found, "soft-32").models
    for index, row in enumerate(models):
        table = row.tests[0].sample_table(0)
        for metric, higher_is_better in (("lpips", False), ("ssim", True), ("colorfulness", False)):
            worst = table.sort_values(metric, ascending=higher_is_better, kind="stable")
            names, numbers = choose(opened, metric, str(index), "worst")
            assert names == worst["file"].tolist()
            shown = [float(of_one[index]) for of_one in numbers]
            assert shown == pytest.approx(worst[metric].tolist(), abs=0.0051)
            best = table.sort_values(metric, ascending=not higher_is_better, kind="stable")
            assert choose(opened, metric, str(index), "best")[0] == best["file"].tolist()
    means = np.mean([row.tests[0].values("delta_e2000") for row in models], axis=0)
    files = models[0].tests[0].sample_table(0)["file"].to_numpy()
    expected = files[np.argsort(-means, kind="stable")].tolist()
    assert choose(opened, "delta_e2000", "all", "worst")[0] == expected


def test_on_a_phone_tables_scroll_sideways_and_the_page_does_not(opened: Any) -> None:
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
