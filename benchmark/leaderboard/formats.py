"""Write a leaderboard as Markdown, CSV and LaTeX."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.leaderboard.notes import caption, notes
from benchmark.leaderboard.ranking import Leaderboard, ProtocolBoard
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.tables import Cell, Table, difference_of_means, tables_of
from benchmark.results.records import Score

MARKS = ("**{}**", "*{}*", "***{}***")
LATEX_MARKS = (r"\textbf{{{}}}", r"\textit{{{}}}", r"\textbf{{\textit{{{}}}}}")
"""The templates of the best, second and third value of a column."""


# ---- Markdown ------------------------------------------------------------------------------------


def markdown(leaderboard: Leaderboard) -> str:
    """All boards as Markdown, each protocol in a section of its own."""
    lines = ["# Leaderboard", ""]
    for board in leaderboard.boards:
        lines += [f"## {markdown_text(board.protocol.name)}", "", caption(board), ""]
        for table in tables_of(board):
            lines += [f"### {table.title}", "", markdown_table(table), ""]
            lines += [table.note, ""] if table.note else []
        lines += [f"- {markdown_text(note)}" for note in notes(board)] + [""]
    if leaderboard.refused:
        lines += ["## Left out", ""]
        lines += [
            f"- {markdown_text(path)}: {markdown_text(reason)}"
            for path, reason in leaderboard.refused.items()
        ]
    return "\n".join(lines).rstrip() + "\n"


def markdown_table(table: Table) -> str:
    """A table whose cells are padded, so that it reads well as plain text too."""
    # The headings are the suite's own words.
    safe = [[heading.replace("|", "\\|") for heading in table.columns]]
    safe += [[_marked(cell, MARKS, markdown_text(cell.text)) for cell in row] for row in table.rows]
    widths = [max(len(row[column]) for row in safe) for column in range(len(table.columns))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in safe]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def markdown_text(text: str) -> str:
    """A text as GitHub's Markdown shows it: one line, without markup, HTML or links.

    GitHub also links bare addresses: a backslash breaks those of pages, and an empty comment those
    of e-mail, which GitHub looks for after it has taken backslashes away.
    """
    text = re.sub(r"[\\`*_{}\[\]<>#!|~&$]", r"\\\g<0>", one_line(text))
    text = text.replace("://", "\\://").replace("@", "<!-- -->@")
    return re.sub(r"www\.", lambda found: found[0].replace(".", "\\."), text, flags=re.IGNORECASE)


def one_line(text: str) -> str:
    """A text without line breaks and control characters; what is not printable is replaced."""
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "\ufffd" for character in line)


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
    "↓": r"$\downarrow$", "…": r"\dots{}", "[": "{[}", "`": r"\textasciigrave{}", "ß": r"\ss{}",
    "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "œ": r"\oe{}", "ł": r"\l{}",
    "–": "--", "—": "---", "’": "'", "·": r"$\cdot$",
}  # fmt: skip


_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip
"""The LaTeX commands of combining accents."""


def _latex_text(text: str) -> str:
    """A text as plain LaTeX, in ASCII; a character that LaTeX may not have is named by number."""
    return "".join(map(_latex_character, one_line(text)))


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii():
        return character
    base, *accents = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in _ACCENTS:
        dotless = {"i": r"\i", "j": r"\j"}.get(base, base)
        return rf"\{_ACCENTS[accents[0]]}{{{dotless}}}"
    return f"(U+{ord(character):04X})"


# ---- CSV -----------------------------------------------------------------------------------------


def csv(leaderboard: Leaderboard) -> str:
    """Every row of every board as CSV, with all values at full precision."""
    rows = [
        {key: _csv_cell(value) for key, value in _csv_row(board, row).items()}
        for board in leaderboard.boards
        for row in board.rows
    ]
    text: str = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    return text


def _csv_cell(value: Any) -> Any:
    """A value of one line, with an apostrophe before a text that a spreadsheet would compute."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(tuple("=+-@＝＋－＠")) else text


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
        "pretrained_on": row.pretrained_on,
        "pretrained_sha256": record.pretrained.sha256 if record.pretrained else None,
        "sampling": " ".join(f"{key}={value}" for key, value in record.sampling.items()),
        "weights_sha256": " ".join(one.sha256 for one in weights if one is not None),
        "n": record.n_scored,
    }
    for key, score in row.scores.items():
        columns |= {key: score.mean, f"{key}_std": score.std, f"{key}_low": score.low}
        columns |= {f"{key}_high": score.high, f"{key}_seeds_std": row.std_over_seeds(key)}
    if (difference := difference_of_means(board, row)) is not None:
        columns["delta_cf"] = difference
    if row.samples is not None:
        columns["samples"] = row.samples.count
        for part in ("mean", "best"):
            scores: dict[str, Score] = getattr(row.samples, part)
            columns |= {f"{key}_of_{part}": score.mean for key, score in scores.items()}
    if record.timing is not None:
        columns["ms_per_image"] = row.ms_per_image
        columns["test_device"] = record.timing.device
    if record.outsider is not None:
        facts = record.outsider.model_dump()
        columns |= {f"outsider_{key}": value for key, value in facts.items()}
    if record.cost is not None:
        columns |= record.cost.model_dump(exclude={"learning_rate_halved"})
        if record.cost.learning_rate_halved:
            columns["learning_rate_halved"] = record.cost.learning_rate_halved
    return columns
