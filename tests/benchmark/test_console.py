"""What may reach a terminal: escapes of control characters at the points of writing."""

import pytest

from benchmark.console import info, output, printable, shorten


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
