"""The one way in: trains and tests models, and everything else the suite can do.

    python main.py --model unet --mode train --epochs 100 --batch_size 64
    python main.py --model unetddim --mode test --steps 50
    python main.py list

Each command is a file of benchmark/cli/. Nothing here imports torch, so `--help` answers at once.
"""

import os
import sys

import typer

from benchmark.cli import colorize, leaderboard, run, score, verify
from benchmark.cli import list as models
from benchmark.errors import Interrupted, UserError

# Threads that wait may spin for some microseconds only: beside another program on a full machine,
# OpenMP's milliseconds made training many times as slow; not spinning at all halves the speed of
# small networks on an idle one. Read when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def dashes(token: str) -> str:
    """`--batch_size` and `--batch-size` are one option."""
    return token.replace("_", "-")


app = typer.Typer(
    help="Train colorizers on your own images, compare them honestly, and use them.",
    context_settings={"token_normalize_func": dashes, "help_option_names": ["-h", "--help"]},
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback(invoke_without_command=True)(run.run)
app.command("list")(models.list_models)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("inputs")(score.inputs)
app.command("score")(score.score)
app.command("verify")(verify.verify)
app.command("colorize")(colorize.colorize)


def main() -> None:
    """Run the command line. A user's mistake is one sentence on stderr and exit code 2."""
    try:
        app()
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(130)  # as a shell reports Ctrl-C
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
