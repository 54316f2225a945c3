"""Write a leaderboard as Markdown, CSV and LaTeX."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.leaderboard.ranking import Leaderboard, ProtocolBoard, Row
from benchmark.leaderboard.tables import Cell, Table, caption, notes, tables_of
from benchmark.results.records import Score

MARKS = ("**{}**", "*{}*", "***{}***")
LATEX_MARKS = (r"\textbf{{{}}}", r"\textit{{{}}}", r"\textbf{{\textit{{{}}}}}")
"""The templates of the best, second and third value of a column."""


# ---- Markdown ------------------------------------------------------------------------------------


def markdown(leaderboard: Leaderboard) -> str:
    """All boards as Markdown, each protocol in a section of its own."""
    lines = ["# Leaderboard", ""]
    for board in leaderboard.boards:
        lines += [f"## {_one_line(board.protocol.name)}", "", caption(board), ""]
        for table in tables_of(board):
            lines += [f"### {table.title}", "", _markdown_table(table), ""]
            lines += [table.note, ""] if table.note else []
        lines += [f"- {note}" for note in notes(board)] + [""]
    if leaderboard.refused:
        lines += ["## Left out", ""]
        lines += [
            f"- `{path}`: {_one_line(reason)}" for path, reason in leaderboard.refused.items()
        ]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_table(table: Table) -> str:
    """A table whose cells are padded, so that it reads well as plain text too."""
    rows = [table.columns]
    rows += [[_marked(cell, MARKS, cell.text) for cell in row] for row in table.rows]
    safe = [
        [_one_line(text).replace("|", "\\|").replace("<", "\\<") for text in row] for row in rows
    ]
    widths = [max(len(row[column]) for row in safe) for column in range(len(table.columns))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in safe]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _marked(cell: Cell, marks: Sequence[str], text: str) -> str:
    return text if cell.mark is None or not text else marks[cell.mark].format(text)


# ---- LaTeX ---------------------------------------------------------------------------------------


def latex(leaderboard: Leaderboard) -> str:
    r"""All tables of all boards as LaTeX, which needs \usepackage{booktabs}."""
    return "\n".join(
        _latex_table(table, board) for board in leaderboard.boards for table in tables_of(board)
    )


def _latex_table(table: Table, board: ProtocolBoard) -> str:
    cells = [
        [_marked(cell, LATEX_MARKS, _latex_text(cell.text)) for cell in row] for row in table.rows
    ]
    frame = pd.DataFrame(cells, columns=[_latex_text(column) for column in table.columns])
    title = f"{table.title}. {board.protocol.name}: {caption(board)}"
    return frame.style.hide(axis="index").to_latex(
        hrules=True,
        column_format="l" * len(table.columns),
        caption=_latex_text(title),
        position="t",
    )


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "Δ": r"$\Delta$", "σ": r"$\sigma$", "±": r"$\pm$", "×": r"$\times$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "…": r"\dots{}", "[": "{[}",
}  # fmt: skip


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


# ---- CSV -----------------------------------------------------------------------------------------


def csv(leaderboard: Leaderboard) -> str:
    """Every row of every board as CSV, with all values at full precision."""
    rows = [_csv_row(board, row) for board in leaderboard.boards for row in board.rows]
    text: str = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    return text


def _csv_row(board: ProtocolBoard, row: Row) -> dict[str, Any]:
    record = row.record
    weights = [test.record.weights for test in row.tests]
    columns: dict[str, Any] = {
        "protocol": board.protocol.name,
        "protocol_hash": board.protocol_hash,
        "rank": row.rank,
        "rank_by": board.sort,
        "kind": record.kind,
        "model": record.model,
        "run": record.run,
        "seeds": " ".join(map(str, row.seeds)),
        "sampling": " ".join(f"{key}={value}" for key, value in record.sampling.items()),
        "weights_sha256": " ".join(one.sha256 for one in weights if one is not None),
        "n": record.n_scored,
    }
    for key, score in row.scores.items():
        columns |= {key: score.mean, f"{key}_std": score.std, f"{key}_low": score.low}
        columns |= {f"{key}_high": score.high, f"{key}_seeds_std": row.std_over_seeds(key)}
    if row.samples is not None:
        columns["samples"] = row.samples.count
        for part in ("mean", "best"):
            scores: dict[str, Score] = getattr(row.samples, part)
            columns |= {f"{key}_of_{part}": score.mean for key, score in scores.items()}
    if record.timing is not None:
        columns["ms_per_image"] = row.ms_per_image
        columns["test_device"] = record.timing.device
    return columns | (record.cost.model_dump() if record.cost else {})
