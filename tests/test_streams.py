"""Streams of the command line: encodings without σ, closed or full streams, exit codes."""

import errno
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

import main
from benchmark.checkpoints import load_weights
from benchmark.cli.commands import Group
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


def call(arguments: str, redirection: str, **environment: str) -> tuple[int, str]:
    """Return the exit code of `python main.py arguments redirection` in a shell, and stderr.

    PIPE in the redirection stands for a pipe whose reader has gone.
    """
    read, write = os.pipe()
    os.close(read)
    command = f'"{sys.executable}" main.py {arguments} {redirection.replace("PIPE", f"&{write}")}'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        pass_fds=[write],
    )
    os.close(write)
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", ["--help", "list"])
@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">PIPE", 141, ""),
        (">/dev/full", 2, "No space left on device"),
        (">&-", 2, "Bad file descriptor"),
        ("<&- >&- 2>&-", 2, ""),
        (">/dev/full 2>&1", 2, ""),
        ("2>&-", 0, ""),
    ],
)
def test_output_that_is_lost_gives_each_command_the_same_exit_code(
    arguments: str, redirection: str, code: int, message: str
) -> None:
    found, err = call(arguments, redirection)
    assert found == code
    assert message in err
    assert len(err.splitlines()) == bool(message)  # no traceback


def test_a_closed_pipe_is_found_without_buffering_too() -> None:
    assert call("list", ">PIPE", PYTHONUNBUFFERED="1") == (141, "")


@pytest.mark.parametrize("mistake", ["list unte", "--unknown", "unknown"])
@pytest.mark.parametrize("redirection", [">PIPE 2>&1", "2>/dev/full", "2>&-"])
def test_messages_that_are_lost_change_no_exit_code(mistake: str, redirection: str) -> None:
    assert call(mistake, redirection) == (2, "")


def test_a_training_without_streams_is_finished(options: list[str], tmp_path: Path) -> None:
    """No file of the run gets the number of a closed stream, either."""
    training = ["--model", "unet", "--mode", "train", *options]
    assert call(shlex.join(training), "<&- >&- 2>PIPE")[0] == 0
    run = tmp_path / "out/unet/seed-8000"
    assert (run / "cost.json").is_file()
    assert load_weights(run / "weights/last.safetensors", "unet", torch.device("cpu"))


def test_names_in_utf8_are_used_where_python_would_read_them_as_ascii(
    fill_folder: Callable[..., list[Path]], tmp_path: Path
) -> None:
    fill_folder(tmp_path / "größe", range(3))
    (tmp_path / "größe/image_000.png").rename(tmp_path / "größe/σ.png")
    arguments = ["inputs", str(tmp_path / "färben"), "--truth", str(tmp_path / "größe")]
    arguments += ["--size", "16", "--results", str(tmp_path / "out_ü")]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, err = call(shlex.join(arguments), "", **ascii_only)
    assert code == 0, err
    assert f"{tmp_path}/färben holds 3 images" in err
    assert (tmp_path / "färben/σ.png").is_file()


@pytest.mark.parametrize(("raised", "code"), [(UserError("wrong"), 2), (Interrupted("saved"), 130)])
def test_each_end_of_a_command_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    code: int,
) -> None:
    def app() -> None:
        raise raised

    monkeypatch.setattr(main, "app", app)
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == code
    assert str(raised) in capsys.readouterr().err


def test_a_broken_pipe_that_is_no_stream_is_an_error_of_the_program() -> None:
    """typer would end silently, with the exit code of a failed model."""
    app = typer.Typer(cls=Group, rich_markup_mode=None)

    @app.callback(invoke_without_command=True)
    def command() -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    assert isinstance(CliRunner().invoke(app, []).exception, RuntimeError)
