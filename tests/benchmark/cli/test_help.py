"""The help of every command: where it goes, its defaults, and how it is imported."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import main
from benchmark.cli import commands
from benchmark.leaderboard import ranking
from benchmark.metrics.options import MetricOptions
from benchmark.settings import (
    CPU_PRESET,
    CPU_PRESET_FROM_SCRATCH,
    DEFAULT_PRESET,
    FIGURE_IMAGES,
    SAMPLE_PRESET,
    Settings,
)
from tests.support import RunCommand

NAMES = [name for name, _ in commands.find_commands()]


def help_of(*names: str) -> str:
    """Return the help of a command, or of the program, with single spaces between the words."""
    return " ".join(CliRunner().invoke(main.app, [*names, "--help"]).output.split())


def test_without_arguments_the_help_goes_to_stdout(run: RunCommand) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out == run("--help")[1]
    assert "Usage: " in out
    # An option alone is a command without its model.
    code, out, err = run("--overwrite")
    assert (code, out) == (2, "")
    assert "Name a model with --model" in err


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_imports_no_torch(name: str) -> None:
    code = (
        f"import sys; sys.argv = ['main.py', *{name.split()}, '--help']\n"
        "import main\n"
        "try: main.main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules), 'slow imports'"
    )
    root = Path(main.__file__).resolve().parent
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True)


def test_defaults_are_those_of_their_owners() -> None:
    program = typer.main.get_command(main.app)
    assert isinstance(program, commands.Group)

    def default(option: str, name: str | None = None) -> object:
        command = program if name is None else program.commands[name]
        return next(one.default for one in command.params if one.name == option)

    assert default("num_images") == FIGURE_IMAGES
    for name in (None, "score"):
        assert default("lpips_backbone", name) == MetricOptions().lpips_backbone
        assert default("colorfulness", name) == MetricOptions().colorfulness
    for name in ("inputs", "score"):
        assert default("size", name) == Settings.model_fields["size"].default
    assert default("sort", "leaderboard") == ranking.DEFAULT_SORT
    named = {DEFAULT_PRESET, SAMPLE_PRESET, CPU_PRESET, CPU_PRESET_FROM_SCRATCH}
    assert named <= set(Settings.presets)
    assert f"[default: {DEFAULT_PRESET}, but {SAMPLE_PRESET} for all models" in help_of()


def test_the_help_names_the_images_that_are_used() -> None:
    for name in ("inputs", "score"):
        text = help_of(name)
        assert "[default: TestImages, or if it is empty, the images held out from" in text
        assert "If --truth is not given and TestImages is empty, the images that are held" in text
    recorded = "[default: the images that settings.json or submission.json of the run names]"
    assert help_of("verify").count(recorded) == 2
    assert "otherwise 2 if a test cannot be checked" in help_of("verify")
