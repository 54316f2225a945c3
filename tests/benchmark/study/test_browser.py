"""The page of a study in Chromium, from the first click to the table in the leaderboard."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.jobs.study import Plan, read_study, write_study
from benchmark.leaderboard import page
from benchmark.results.schema import read_record
from benchmark.results.study import StudyKey
from benchmark.study.answers import read_answers

Open = Callable[..., StudyKey]


@pytest.fixture
def open_study(browser: Any, results: Path, tmp_path: Path, plan: Plan) -> Open:
    """open_study(*names, **changes of the plan) → the key of the study that the browser shows."""

    def show(*names: str, **changes: Any) -> StudyKey:
        out, key_path, _ = write_study(
            names, results, replace(plan, **changes), tmp_path / "study.html", overwrite=True
        )
        browser.get_log("browser")
        browser.get_log("performance")
        reload(browser, out)
        browser.execute_script("localStorage.clear()")
        reload(browser, out)
        return read_record(key_path, StudyKey)

    return show


def reload(browser: Any, out: Path | None = None) -> None:
    browser.get(out.as_uri() if out else browser.current_url)
    until(browser, lambda: browser.execute_script("return document.readyState") == "complete")


def until(browser: Any, condition: Callable[[], Any]) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser, 30).until(lambda _: condition())


def click(browser: Any, selector: str) -> None:
    browser.find_element("css selector", selector).click()


def begin(browser: Any) -> None:
    click(browser, "#begin")
    wait_for_pair(browser)


def shown(browser: Any) -> str:
    """The section that is visible."""
    return browser.execute_script("return document.querySelector('section:not([hidden])').id")


def wait_for_pair(browser: Any) -> None:
    """Wait until the next pair, or the end, is shown."""
    script = "return document.querySelector('.pair').className === 'pair'"
    until(browser, lambda: shown(browser) == "end" or browser.execute_script(script))


def press(browser: Any, key: str) -> None:
    browser.find_element("tag name", "body").send_keys(key)
    wait_for_pair(browser)


def save(browser: Any, folder: Path) -> Path:
    """Save the answers as a participant does; returns the file."""
    options = {"behavior": "allow", "downloadPath": str(folder)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", options)
    click(browser, "#save")
    until(browser, lambda: list(folder.glob("answers-*.json")))
    (path,) = folder.glob("answers-*.json")
    return path


def answer(browser: Any, list_index: int, key: StudyKey, wanted: int | None) -> None:
    """Answer each pair with the image of the model `wanted`, by keys and by clicks in turn."""
    from selenium.webdriver.common.keys import Keys

    for number, trial in enumerate(key.lists[list_index].values()):
        side = "left" if trial.left == wanted else "right"
        if number % 2:
            click(browser, f"#{side}")
            wait_for_pair(browser)
        else:
            press(browser, {"left": Keys.ARROW_LEFT, "right": Keys.ARROW_RIGHT}[side])


def stored(browser: Any) -> dict[str, Any]:
    return json.loads(browser.execute_script("return localStorage.getItem(localStorage.key(0))"))


def test_from_the_page_over_the_answers_to_the_table(
    browser: Any,
    open_study: Open,
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page, "plots_of", lambda board, prefix: [])
    key = open_study("warm", "cold", question="better", repeats=2)
    field = browser.find_element("id", "participant")
    field.clear()
    field.send_keys("P 7/<b>")
    begin(browser)
    assert browser.find_element("css selector", "#trial output").text == "1 of 10"
    answer(browser, stored(browser)["list_index"], key, wanted=1)
    assert shown(browser) == "end"
    assert "You have answered 10 of 10 pairs." in browser.find_element("id", "summary").text
    path = save(browser, tmp_path / "saved")
    assert path.name == "answers-P-7-b.json"
    (found,) = read_answers([path], key)
    assert found.participant == "P 7/<b>"
    assert [one.trial for one in found.answers] == list(key.lists[found.list_index])
    assert all(0 < one.seconds < 60 for one in found.answers)

    copy = tmp_path / "R"
    shutil.copytree(results, copy)
    _, board = read_study([path], tmp_path / "study.json", copy, overwrite=False)
    (study,) = board.boards[0].studies
    rates = {score.model.name: score.rate.value for score in study.scores}
    assert rates == {"warm": 0, "cold": 1}
    assert (study.repeated, study.alike) == (2, 2)
    assert "| cold  | 1.00 " in (copy / "leaderboard.md").read_text()

    # Another participant on the same device begins without these answers.
    click(browser, "#another button")
    assert shown(browser) == "start"
    assert browser.find_element("id", "participant").get_attribute("value") != "P 7/<b>"
    assert stored(browser) is None


def test_the_page_goes_on_after_a_reload_and_can_be_stopped(
    browser: Any, open_study: Open, tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    key = open_study("warm")
    begin(browser)
    for _ in range(3):
        press(browser, Keys.ARROW_RIGHT)
    before = stored(browser)
    assert len(before["answers"]) == 3
    reload(browser)
    assert "3 of 8 pairs are answered already." in browser.find_element("id", "kept").text
    begin(browser)
    assert browser.find_element("css selector", "#trial output").text == "4 of 8"
    assert stored(browser) == before
    click(browser, "#stop")
    path = save(browser, tmp_path / "saved")
    (found,) = read_answers([path], key)
    assert [one.choice for one in found.answers] == ["right"] * 3
    click(browser, "#continue")
    wait_for_pair(browser)
    assert browser.find_element("css selector", "#trial output").text == "4 of 8"


def test_a_pair_disappears_after_its_time_and_can_still_be_answered(
    browser: Any, open_study: Open
) -> None:
    from selenium.webdriver.common.keys import Keys

    open_study("warm", seconds=0.3)
    assert "Each pair disappears after 0.3 seconds." in browser.find_element("id", "start").text
    click(browser, "#begin")
    opacity = "return getComputedStyle(document.querySelector('.pair img')).opacity"
    until(browser, lambda: browser.execute_script(opacity) == "1")
    until(browser, lambda: "gone" in browser.execute_script("return pair.className"))
    assert browser.execute_script(opacity) == "0"
    browser.find_element("tag name", "body").send_keys(Keys.ARROW_LEFT)
    until(browser, lambda: len(stored(browser)["answers"]) == 1)
    assert stored(browser)["answers"][0]["seconds"] >= 0.3


def test_no_answer_is_taken_before_a_pair_is_shown(browser: Any, open_study: Open) -> None:
    open_study("warm")
    begin(browser)
    count = browser.execute_script(
        """for (let i = 0; i < 5; i++) document.getElementById("left").click();
        return state.answers.length;"""
    )
    assert count == 1
    time.sleep(0.1)
    assert len(stored(browser)["answers"]) == 1


def test_the_page_sends_and_fetches_nothing_and_fits_a_phone(
    browser: Any, open_study: Open
) -> None:
    from selenium.webdriver.common.keys import Keys

    size = {"width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        open_study("warm")
        begin(browser)
        press(browser, Keys.ARROW_LEFT)
        width, bottom, sides = browser.execute_script(
            """const boxes = images.map((image) => image.getBoundingClientRect());
            return [document.documentElement.scrollWidth, Math.max(...boxes.map((b) => b.bottom)),
                    boxes.map((box) => box.width)];"""
        )
        assert (width, bottom < 640) == (360, True)
        assert sides[0] == pytest.approx(sides[1], abs=0.1)
        assert sides[0] > 120
        click(browser, "#stop")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = {
        message["params"]["request"]["url"].partition(":")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert requests <= {"file", "data"}
    assert browser.get_log("browser") == []
