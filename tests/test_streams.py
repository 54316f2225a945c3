"""Streams of the command line: encodings without σ, no streams at all, a reader that goes away."""

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import main
from benchmark.errors import Interrupted, UserError

ROOT = Path(main.__file__).resolve().parent
TEXT = "σ Δ × ↑ caf\udce9"


@pytest.fixture
def printing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int | None]:
    """printing() → exit code of a command line that only prints TEXT to both streams."""

    def app() -> None:
        print(TEXT)
        print(TEXT, file=sys.stderr)
        sys.exit(3)

    def run() -> int | None:
        monkeypatch.setattr(main, "app", app)
        with pytest.raises(SystemExit) as stop:
            main.main()
        return stop.value.code  # type: ignore[return-value]

    return run


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1", "utf-8"])
def test_characters_that_a_stream_cannot_encode_are_escaped(
    printing: Callable[[], int | None], monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    raw = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, buffer in raw.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(buffer, encoding))
    assert printing() == 3
    for name, buffer in raw.items():
        getattr(sys, name).flush()
        expected = TEXT.encode(encoding, "backslashreplace").decode(encoding)
        assert buffer.getvalue().decode(encoding).splitlines() == [expected]


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_streams_that_are_missing_or_of_another_kind_do_not_fail(
    printing: Callable[[], int | None], monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    """A program without a console, as under pythonw, has None in place of its streams."""
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    assert printing() == 3


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_closes_the_pipe_ends_the_program_without_a_traceback(
    unbuffered: str,
) -> None:
    """While it prints, or, with a buffer, when it ends."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "main.py", "list"],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(write)
    assert done.stderr == ""


@pytest.mark.parametrize(("raised", "code"), [(UserError("wrong"), 2), (Interrupted("saved"), 130)])
def test_the_end_of_the_terminal_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, code: int
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    def app() -> None:
        raise raised

    monkeypatch.setattr(main, "app", app)
    monkeypatch.setattr(sys, "stderr", Closed())
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == code
