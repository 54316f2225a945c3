"""The command line: trains, tests and compares models, and does everything else the suite can do.

    python main.py --model unet --mode train --epochs 100 --batch_size 64
    python main.py --model unetddim --mode test --steps 50
    python main.py list

benchmark/cli/run.py is the form with --model; each command is another file of benchmark/cli/.
Nothing here imports torch, so that `--help` answers at once.
"""

import os
import sys

import typer

from benchmark.cli.commands import Command, Group, find_commands
from benchmark.cli.run import train_and_test
from benchmark.cli.streams import finish_stdout, open_streams
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
    open_streams()
    code = _run()
    unwritten = finish_stdout()
    sys.exit(code or unwritten)


def _run() -> str | int | None:
    """Run the command and return its exit code."""
    try:
        app()
    except SystemExit as end:
        return end.code
    except Interrupted as stop:
        info(str(stop))
        return 130  # as a shell reports Ctrl-C
    except UserError as error:
        info(f"Error: {error}")
        return 2
    return 0


def _use_utf8() -> None:
    """Start Python again in its UTF-8 mode if it would read the names of files as ASCII.

    That is so if the environment turns off what Python does by itself in the locale C; then a name
    such as café.png is no text, which neither a table nor the files of weights can hold.
    """
    if sys.getfilesystemencoding() == "ascii":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


if __name__ == "__main__":
    _use_utf8()
    main()
