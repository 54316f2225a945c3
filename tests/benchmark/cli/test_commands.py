"""Commands are found by folder, and their help is plain text in groups."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import main
from benchmark import cli
from benchmark.cli import commands
from benchmark.errors import UserError
from benchmark.settings import Settings

FILES = {
    "hello": 'def command(name: str) -> None:\n    print(f"Hello, {name}.")\n',
    "no_command": "def helper() -> None: ...\n",
    "two_words": 'def command() -> None:\n    """Print nothing."""\n',
    "greet/__init__": 'def command(names: list[str]) -> None:\n    print("Hello,", *names)\n',
    "greet/all_people": 'def command(names: list[str]) -> None:\n    print("All:", *names)\n',
    "greet/wrong": "import nothing_of_this_name\n",
    "syntax": "def command(:\n",
    "missing": "import nothing_of_this_name\n",
    "twice": "from typing import Annotated\nfrom typer import Argument, Option\n"
    "def command(value: Annotated[int, Option(), Argument()]) -> None: ...\n",
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """A program with the commands of benchmark/cli/ and those of FILES."""
    for name, text in FILES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    program = typer.Typer(cls=commands.Group, rich_markup_mode=None)
    program.callback()(lambda: None)
    for name, function in commands.find_commands():
        program.command(name, cls=commands.Command)(function)
    return program


def test_every_file_with_a_command_is_found_and_a_broken_one_affects_no_other(
    app: typer.Typer,
) -> None:
    program: Any = typer.main.get_command(app)
    working = {"colorize", "export", "inputs", "leaderboard", "list", "outsider", "score", "verify"}
    working |= {"study", "study read", "card", "push"}
    working |= {"data check", "data clean", "data import", "data to-npz"}
    broken = {"syntax", "missing", "twice"}
    groups = {"greet", "greet all-people", "greet wrong"}
    assert set(program.commands) == {*working, *broken, *groups, "hello", "two-words"}
    text = CliRunner().invoke(app, ["--help"]).output
    for name in broken:
        (line,) = (line for line in text.splitlines() if line.split()[:1] == [name])
        assert "Broken: " in line
        error = CliRunner().invoke(app, [name]).exception
        assert isinstance(error, UserError)
        assert f"benchmark/cli/{name}.py cannot be used: " in str(error)
    assert CliRunner().invoke(app, ["hello", "you"]).output == "Hello, you.\n"


def test_a_folder_is_a_command_and_its_files_are_commands_of_two_words(app: typer.Typer) -> None:
    def output(*arguments: str) -> str:
        return CliRunner().invoke(app, ["greet", *arguments]).output

    assert output("all-people", "Ann", "Bob") == "All: Ann Bob\n"
    # Only the word after the command is a part of its name, and a path is never one.
    assert output("Ann", "all-people") == "Hello, Ann all-people\n"
    assert output("./all-people") == "Hello, ./all-people\n"
    assert output("all-people", "--help").startswith("Usage: ")
    error = CliRunner().invoke(app, ["greet", "wrong"]).exception
    assert "benchmark/cli/greet/wrong.py cannot be used: " in str(error)


def test_help_is_grouped_and_at_most_80_columns_wide() -> None:
    text = CliRunner().invoke(main.app, ["--help"]).output
    lines = text.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", "Data:", "Training:", "Testing:", "Output:", "Commands:"]
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in text
    joined = " ".join(text.split())
    for name in ("epochs", "batch_size", "size", "learning_rate", "accumulate", "save_every"):
        field = Settings.model_fields[name]
        assert f"{field.description}. [default: {field.default}]" in joined
    assert "quick, small, small-pretrained, standard, large" in joined
    assert "tiny" not in joined


def test_without_arguments_the_help_is_shown() -> None:
    result = CliRunner().invoke(main.app, [])
    assert "Usage: " in result.output
    assert "--model" in result.output
    assert "Commands:" in result.output
