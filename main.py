"""The command line: trains, tests and compares models, and does everything else the suite can do.

    python main.py --model unet --mode train --epochs 100 --batch_size 64
    python main.py --model unetddim --mode test --steps 50
    python main.py list

benchmark/cli/run.py is the form with --model; each command is another file of benchmark/cli/.
Nothing here imports torch, so that `--help` answers at once.
"""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

import typer

from benchmark.cli.commands import Command, Group, find_commands
from benchmark.cli.run import train_and_test
from benchmark.console import info
from benchmark.errors import Interrupted, UserError

# The spinning of waiting threads is limited to some microseconds: beside another program on a full
# machine, OpenMP's milliseconds made training many times as slow; not spinning at all halves the
# speed of small networks on an idle machine. Read when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def dashes(token: str) -> str:
    """Return an option's name with dashes: `--batch_size` and `--batch-size` are one option."""
    return token.replace("_", "-")


app = typer.Typer(
    cls=Group,
    context_settings={"token_normalize_func": dashes, "help_option_names": ["-h", "--help"]},
    subcommand_metavar="[COMMAND ...]",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback(invoke_without_command=True)(train_and_test)
for name, function in find_commands():
    app.command(name, cls=Command)(function)


def main() -> None:
    """Run the command line. A user's mistake is one sentence on stderr and exit code 2."""
    _accept_every_character()
    try:
        _run()
    finally:
        _flush_stdout()


def _accept_every_character() -> None:
    """Let both streams take every character, and exist.

    Windows writes into files and pipes in an old code page, which lacks characters such as σ, Δ
    and arrows: they are written as backslash escapes. Without a console there are no streams.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            with suppress(OSError, ValueError):  # closed, or it cannot be changed any more
                reconfigure(errors="backslashreplace")


def _flush_stdout() -> None:
    """Write what is left on stdout; a reader that has closed the pipe, as `head` does, is fine."""
    try:
        sys.stdout.flush()
    except OSError:  # also the end of a terminal; Python flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (AttributeError, ValueError):  # a stream without that method, or closed
        pass


def _run() -> None:
    try:
        app()
    except Interrupted as stop:
        info(str(stop))
        sys.exit(130)  # as a shell reports Ctrl-C
    except UserError as error:
        info(f"Error: {error}")
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        info(f"Error: the output cannot be written ({error.strerror}): make room on the disk.")
        sys.exit(2)


if __name__ == "__main__":
    main()
