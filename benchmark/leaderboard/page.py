"""leaderboard.html: one file with tables, plots and images, which opens without network.

page.html.j2 is its frame, page.css its looks; page.js sorts tables and gallery. All three go into
the file, and every text that comes from a result is escaped.
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
from benchmark.leaderboard import tables
from benchmark.leaderboard.plots import Plot, metric_of_images, plots_of
from benchmark.leaderboard.ranking import Leaderboard, ProtocolBoard, TestResult
from benchmark.leaderboard.tables import Table
from benchmark.metrics.table import METRICS

HERE = Path(__file__).resolve().parent
MOST_IMAGES = 100
MOST_PIXELS = 2**24
"""What a gallery may hold in all its images: some 40 MB as they stand in the file."""


@dataclass(frozen=True)
class Tile:
    """An image of the gallery: data URI, None if its file is not there as it was scored.

    row: the place of its row among those that the gallery can be sorted by.
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

    names: of the images; tiles: of each of them the input, the outputs and the truth.
    facts: for the script, by metric: its direction and the values of each row's images.
    """

    rows: list[str]
    choices: list[Choice]
    chosen: Choice
    names: list[str]
    tiles: list[list[Tile]]
    facts: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Section:
    """All that the page says of one protocol.

    fixed: the table's rows that are no models. environments: where rows were tested, by their
    names.
    """

    id: str
    board: ProtocolBoard
    caption: str
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
    """The whole page; the same each time as long as the results are the same."""
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
            # The page's own script runs and no other, wherever a name might smuggle one in.
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


def _section(board: ProtocolBoard, code: str) -> Section:
    columns = tables.all_columns(board)
    return Section(
        id=code,
        board=board,
        caption=tables.caption(board),
        models=tables.table_of(columns, board.models),
        fixed=tables.table_of(columns, [row for row in board.rows if row.is_fixed]),
        sorted_by=tables.heading(board.rows[0].scores[board.sort]),
        others=tables.further_tables(board),
        notes=tables.notes(board),
        plots=plots_of(board, code),
        gallery=_gallery(board),
        unusable={name: why for row in board.rows for name, why in row.record.failed.items()},
        environments=_environments(board),
    )


def _environments(board: ProtocolBoard) -> list[tuple[list[str], Mapping[str, str]]]:
    """Each environment once, with the rows that were tested in it."""
    found: list[tuple[list[str], Mapping[str, str]]] = []
    for row in board.rows:
        for test in row.tests:
            environment = test.record.environment
            names = next((names for names, known in found if known == environment), None)
            if names is None:
                names = []
                found.append((names, environment))
            if row.name not in names:
                names.append(row.name)
    return found


# ---- gallery -------------------------------------------------------------------------------------


def _gallery(board: ProtocolBoard) -> Gallery | None:
    """None where no model was tested. Of a row of several seeds the first one is shown."""
    if not board.models:
        return None
    columns = _columns(board)
    values = _values([column.test for column in columns if column.row is not None])
    chosen = metric_of_images(board)
    order = _worst_first(values[chosen], board.rows[0].scores[chosen].direction)
    fitting = MOST_PIXELS // (len(columns) * int(board.protocol["size"]) ** 2)
    order = order[: max(1, min(MOST_IMAGES, fitting))]
    uris = [_uris(column.test, order) for column in columns]
    names = columns[0].test.of_sample(0)["file"].tolist()
    scores = board.rows[0].scores
    return Gallery(
        rows=[column.title for column in columns if column.row is not None],
        choices=[Choice(key, tables.heading(scores[key])) for key in values],
        chosen=Choice(chosen, tables.heading(scores[chosen])),
        names=[names[place] for place in order],
        tiles=[
            [
                Tile(column.title, uri, column.row)
                for column, uri in zip(columns, of_one, strict=True)
            ]
            for of_one in zip(*uris, strict=True)
        ],
        facts={
            key: {
                "direction": scores[key].direction,
                "values": [[_short(row[place]) for place in order] for row in rows],
            }
            for key, rows in values.items()
        },
    )


@dataclass(frozen=True)
class _Column:
    """A test whose images the gallery shows. row: its place among the models, if it is one's."""

    title: str
    test: TestResult
    row: int | None = None


def _columns(board: ProtocolBoard) -> list[_Column]:
    """Input, models, truth; the fixed ones as far as they were tested."""
    gray, truth = board.fixed(GRAY), board.fixed(GROUND_TRUTH)
    models = []
    for place, row in enumerate(board.models):
        seed = f", seed {row.seeds[0]}" if len(row.seeds) > 1 else ""
        models.append(_Column(row.name + seed, row.tests[0], place))
    return [
        *([_Column("input", gray.tests[0])] if gray else []),
        *models,
        *([_Column("truth", truth.tests[0])] if truth else []),
    ]


def _values(tests: Sequence[TestResult]) -> dict[str, NDArray[np.float64]]:
    """Every metric of images that some test has, (tests, N); NaN where one lacks it."""
    n = len(tests[0].of_sample(0))
    lacking = np.full(n, np.nan)
    return {
        key: np.stack([test.values(key) if key in test.table else lacking for test in tests])
        for key in tables.metric_keys()
        if METRICS[key].per_image and any(key in test.table for test in tests)
    }


def _worst_first(values: NDArray[np.float64], direction: str) -> NDArray[np.intp]:
    """The places of the images by the mean of a metric over tests, (tests, N) → (N,).

    Where none is better, the highest is first.
    """
    mean = values.mean(axis=0)
    return np.argsort(mean if direction == "up" else -mean, kind="stable")


def _short(value: float) -> float | None:
    """As JSON may hold it: six digits, and nothing for what is not finite."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _uris(test: TestResult, order: Iterable[int]) -> list[str | None]:
    """The first samples of these images, embedded as they are.

    None where there is no file, or another than the one that was scored.
    """
    table = test.of_sample(0)
    outputs = list(zip(table["output"], table["output_sha256"], strict=True))
    return [_uri(test.folder / outputs[place][0], outputs[place][1]) for place in order]


def _uri(path: Path, sha256: str) -> str | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if sha256_of_bytes(content) != sha256:
        return None
    return f"data:image/png;base64,{b64encode(content).decode()}"
