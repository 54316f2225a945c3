"""Whatever a name or a reason contains, it is text in Markdown, LaTeX and a spreadsheet."""

import csv
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from benchmark.leaderboard import formats, ranking
from benchmark.leaderboard.formats import _csv_cell, _latex_text, markdown_text, one_line

HOSTILE = [
    "[a](https://x.example)", "<script>alert(1)</script>", "![x](y)", "a|b", "`code`", "**b** _i_",
    "https://x.example", "www.x.example", "WWW.x.example", "me@x.example", "mailto:me@x.example",
    "&lt;b&gt;", "<https://x.example>", "a\\", "\\<b>", "\\\\<b>", "``a`", "# h", "~~s~~", "$x$",
    "[a]: https://x.example", "a\nb\n\n# c", "\u202egnp", "\0", "😀", "</table>", "<!-- x",
    "é ß 中",
]  # fmt: skip
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE)))
@example("\ud800")
def test_a_text_is_shown_by_markdown_as_it_is(text: str) -> None:
    escaped = markdown_text(text)
    (token,) = (t for t in MARKDOWN.parse(f"| a |\n|---|\n| x{escaped}x |") if t.content[:1] == "x")
    shown = ""
    for child in token.children or []:
        assert child.type in ("text", "text_special") or child.content == "<!-- -->", child
        shown += child.content
    assert shown.replace("<!-- -->", "") == f"x{one_line(text)}x"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_bare_address_is_left_to_link(text: str) -> None:
    escaped = markdown_text(text)
    assert not re.search(r"://|\bwww\.", escaped.replace("\\://", "").replace("\\.", ""), re.I)
    assert not re.search(r"\w@", escaped)


@given(st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE)))
def test_latex_is_one_line_of_ascii_without_open_commands(text: str) -> None:
    latex = _latex_text(text)
    assert latex.isascii()
    assert latex.isprintable()
    plain = re.sub(r"\\[{}$&#%_]", "", latex)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert not re.search(r"(?<!\\)[#%&_]", latex)


def test_accents_are_kept_in_latex() -> None:
    assert _latex_text("é ï ç 中") == r"\'{e} \"{\i} \c{c} (U+4E2D)"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n@", "＝"])
def test_no_text_is_a_formula_of_a_spreadsheet(start: str) -> None:
    assert _csv_cell(f"{start}1+1").startswith("'")
    assert _csv_cell(-1.5) == -1.5


@pytest.mark.usefixtures("without_plots")
def test_names_of_runs_are_text_in_every_format(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    names = ["=1+1", "@me", "[a](x) <b>", "x\\", "`"]
    for name in names:
        add_record(name, {"lpips": 0.1})
    found = ranking.read(tmp_path)
    rows = list(csv.DictReader(StringIO(formats.csv(found))))
    assert {row["run"] for row in rows} == {"'=1+1", "'@me", "[a](x) <b>", "x\\", "`"}
    assert {row["lpips"] for row in rows} == {"0.1"}
    shown = MARKDOWN.render(formats.markdown(found))
    assert "<a" not in shown
    assert "<b>" not in shown
    assert shown.count("<tr>") == 2 * (1 + len(names))
