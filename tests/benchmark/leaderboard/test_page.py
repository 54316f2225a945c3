"""leaderboard.html: escaped, reproducible, with the images that were scored."""

from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from benchmark.leaderboard import page
from benchmark.leaderboard.ranking import Leaderboard, read
from tests.leaderboard_support import EVIL, board_of


class Elements(HTMLParser):
    """Collects all elements of a page, as (tag, attributes), and their text."""

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


def test_only_images_that_were_scored_are_shown_and_others_are_marked_missing(
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
