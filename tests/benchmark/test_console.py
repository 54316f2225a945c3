"""What may reach a terminal: escapes of control characters at the points of writing."""

import io
import os

import pytest

from benchmark.console import confirm, info, output, printable, shorten


def test_control_characters_are_escaped_where_a_line_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "a\x1b[31m\r\nb\u202e\x85\udcff.png"
    info(f"Failed: {shorten([name])}.")
    output(name)
    escaped = r"a\x1b[31m\r\nb\u202e\x85\udcff.png"
    assert capsys.readouterr() == (f"{escaped}\n", f"Failed: {escaped}.\n")


def test_names_as_people_write_them_stay() -> None:
    names = [
        "10.15\u202fAM",
        "\u6771\u4eac\u3000\u99c5",
        "caf\u00e9\u00a0\u03c3",
        "\U0001f468\u200d\U0001f469",
    ]
    assert [printable(name) for name in names] == names


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this platform has no pseudo-terminals")
@pytest.mark.parametrize(("typed", "answer"), [("y", True), ("Yes", True), ("", False)])
def test_a_question_is_asked_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, typed: str, answer: bool
) -> None:
    assert confirm("Delete it?") is None  # the streams of a test are no terminal
    user, terminal = os.openpty()
    with os.fdopen(terminal, "r+b", buffering=0) as raw:
        stream = io.TextIOWrapper(raw, write_through=True)
        monkeypatch.setattr("sys.stdin", stream)
        monkeypatch.setattr("sys.stderr", stream)
        os.write(user, f"{typed}\n".encode())
        assert confirm("Delete it?") is answer
        monkeypatch.undo()
    os.close(user)
