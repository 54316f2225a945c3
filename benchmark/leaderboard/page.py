"""leaderboard.html: one file with tables, plots and images, which opens without a network.

page.html.j2 is its template, page.css its style, and page.js sorts its tables and its gallery. All
three go into the file, and every text that comes from a result is escaped.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from benchmark.evaluation.baselines import GRAY, GROUND_TRUTH
from benchmark.files import sha256_of_bytes
from benchmark.leaderboard.notes import COST_NOTE, caption, metric_keys, notes, quality_note
from benchmark.leaderboard.plots import Plot, per_image_metric, plots_of
from benchmark.leaderboard.ranking import Leaderboard, ProtocolBoard
from benchmark.leaderboard.rows import TestResult
from benchmark.leaderboard.tables import (
    Table,
    all_columns,
    further_tables,
    metric_heading,
    table_of,
)
from benchmark.metrics.table import ALL_METRICS

HERE = Path(__file__).resolve().parent
MOST_IMAGES = 100
MOST_PIXELS = 2**24
"""The most pixels of all images of a gallery together: about 40 MB in the file."""


@dataclass(frozen=True)
class Tile:
    """An image of the gallery.

    uri: its data URI; None if its file is missing or is not the one that was scored.
    row: the index of its row among those that the gallery can be sorted by.
    """

    title: str
    uri: str | None
    row: int | None = None


@dataclass(frozen=True)
class Choice:
    """A metric that the gallery can be sorted by."""

    key: str
    heading: str


@dataclass(frozen=True)
class Gallery:
    """The test images, those with the worst values first.

    rows: the names of the rows. names: the names of the images. tiles: for each image its input,
    outputs and truth. data: for the script, by metric: its direction and each row's values of the
    images.
    """

    rows: list[str]
    choices: list[Choice]
    chosen: Choice
    names: list[str]
    tiles: list[list[Tile]]
    data: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Section:
    """All that the page shows of one protocol.

    note: what the columns of the table judge. models, fixed: the table's rows that are models, and
    those that are references. sorted_by: the heading of the board's metric. unusable: the reason
    for each test file that could not be used. environments: each environment with the names of the
    rows that were tested in it.
    """

    id: str
    board: ProtocolBoard
    caption: str
    note: str
    models: Table
    fixed: Table
    sorted_by: str
    others: list[Table]
    notes: list[str]
    plots: list[Plot]
    gallery: Gallery | None
    unusable: dict[str, str]
    environments: list[tuple[list[str], Mapping[str, str]]]


def html(leaderboard: Leaderboard) -> str:
    """The whole page, which is the same each time as long as the results are the same."""
    sections = [
        _section(board, f"board-{i}") for i, board in enumerate(leaderboard.boards, start=1)
    ]
    script = (HERE / "page.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            sections=sections,
            refused=leaderboard.refused,
            style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            # The hash lets the browser run this script and no other, whatever a name contains.
            script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["zip"] = zip
    return environment


def _section(board: ProtocolBoard, section_id: str) -> Section:
    columns = all_columns(board)
    return Section(
        id=section_id,
        board=board,
        caption=caption(board),
        note=f"{quality_note(board)} {COST_NOTE}",
        models=table_of(columns, board.models),
        fixed=table_of(columns, [row for row in board.rows if row.is_fixed]),
        sorted_by=metric_heading(board.rows[0].scores[board.sort]),
        others=further_tables(board),
        notes=notes(board),
        plots=plots_of(board, section_id),
        gallery=_gallery(board),
        unusable={name: reason for row in board.rows for name, reason in row.record.failed.items()},
        environments=_environments(board),
    )


def _environments(board: ProtocolBoard) -> list[tuple[list[str], Mapping[str, str]]]:
    """Each environment once, with the names of the rows that were tested in it."""
    found: list[tuple[list[str], Mapping[str, str]]] = []
    for row in board.rows:
        for test in row.tests:
            environment = test.record.environment
            names = next((names for names, other in found if other == environment), None)
            if names is None:
                names = []
                found.append((names, environment))
            if row.name not in names:
                names.append(row.name)
    return found


# ---- gallery -------------------------------------------------------------------------------------


def _gallery(board: ProtocolBoard) -> Gallery | None:
    """The gallery; None where no model was tested, or where no row's images are at hand, as beside
    published tables. Of several seeds, the first one is shown.
    """
    columns = _columns(board)
    if not board.models or not any(column.test.folder.images.is_dir() for column in columns):
        return None
    scores = board.rows[0].scores
    values = _values([column.test for column in columns if column.row is not None])
    choices = {key: Choice(key, metric_heading(scores[key])) for key in values}
    chosen = per_image_metric(board)
    order = _worst_first(values[chosen], scores[chosen].direction)
    fitting = MOST_PIXELS // (len(columns) * board.protocol.size**2)
    order = order[: max(1, min(MOST_IMAGES, fitting))]
    names = columns[0].test.sample_table(0)["file"].tolist()
    return Gallery(
        rows=[column.title for column in columns if column.row is not None],
        choices=list(choices.values()),
        chosen=choices[chosen],
        names=[names[index] for index in order],
        tiles=_tiles(columns, order),
        data={
            key: {
                "direction": scores[key].direction,
                "values": [[_six_digits(row[index]) for index in order] for row in rows],
            }
            for key, rows in values.items()
        },
    )


@dataclass(frozen=True)
class _Column:
    """A test whose images the gallery shows. row: its index among the models, if it is one."""

    title: str
    test: TestResult
    row: int | None = None


def _columns(board: ProtocolBoard) -> list[_Column]:
    """The input, the models and the truth; input and truth only if they were tested."""
    gray, truth = board.fixed(GRAY), board.fixed(GROUND_TRUTH)
    models = []
    for index, row in enumerate(board.models):
        seed = f", seed {row.seeds[0]}" if len(row.seeds) > 1 else ""
        models.append(_Column(row.name + seed, row.tests[0], index))
    return [
        *([_Column("input", gray.tests[0])] if gray else []),
        *models,
        *([_Column("truth", truth.tests[0])] if truth else []),
    ]


def _tiles(columns: Sequence[_Column], order: Iterable[int]) -> list[list[Tile]]:
    """The tiles of each image in this order, one for each column."""
    tiles = [
        [Tile(column.title, uri, column.row) for uri in _uris(column.test, order)]
        for column in columns
    ]
    return [list(of_image) for of_image in zip(*tiles, strict=True)]


def _values(tests: Sequence[TestResult]) -> dict[str, NDArray[np.float64]]:
    """Every metric of single images that any test has, (tests, N); NaN where a test lacks it."""
    nothing = np.full(len(tests[0].sample_table(0)), np.nan)
    return {
        key: np.stack([test.values(key) if key in test.table else nothing for test in tests])
        for key in metric_keys(tests[0].record.metrics)
        if ALL_METRICS[key].per_image and any(key in test.table for test in tests)
    }


def _worst_first(values: NDArray[np.float64], direction: str) -> NDArray[np.intp]:
    """The indices of the images, worst first, by the mean of a metric over tests: (T, N) → (N,).

    For a metric without a direction, the highest value comes first.
    """
    mean = values.mean(axis=0)
    return np.argsort(mean if direction == "up" else -mean, kind="stable")


def _six_digits(value: float) -> float | None:
    """A value with six digits, as it is written to JSON; None if it is not finite."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _uris(test: TestResult, order: Iterable[int]) -> list[str | None]:
    """The first samples of these images as data URIs of the files' bytes.

    None where a file is missing or is not the one that was scored.
    """
    table = test.sample_table(0)
    outputs = list(zip(table["output"], table["output_sha256"], strict=True))
    return [_uri(test.folder.path / outputs[index][0], outputs[index][1]) for index in order]


def _uri(path: Path, sha256: str) -> str | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if sha256_of_bytes(content) != sha256:
        return None
    return f"data:image/png;base64,{b64encode(content).decode()}"
