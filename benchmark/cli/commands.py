"""The commands of the command line, found by folder, and the look of their help."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from benchmark import cli
from benchmark.cli.options import GROUPS
from benchmark.console import printable
from benchmark.errors import UserError, first_line


def find_commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the name and the function of each command, by name.

    A file of benchmark/cli/ that defines a function `command` is a command of the file's name, and
    so is a folder whose __init__.py defines it. Each file of such a folder is a command of two
    words: study/read.py is `study read`. A file that cannot be used is listed with its reason,
    which is also the error of the command.
    """
    yield from _commands_in(cli.__path__, cli.__name__)


def _commands_in(
    paths: Iterable[str], package: str, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the commands of a package's files and folders; words: the name so far."""
    for file in sorted(pkgutil.iter_modules(paths), key=lambda file: file.name):
        name, inner = f"{package}.{file.name}", (*words, file.name.replace("_", "-"))
        module: ModuleType | None = None
        try:
            module = importlib.import_module(name)
            function = getattr(module, "command", None)
            if function is not None:
                _require_options(function)
        except Exception as error:  # a contributor's file may raise anything
            place = "/".join(name.split("."))
            function = _broken(place + ("/" if file.ispkg else ".py"), first_line(error))
        if function is not None:
            yield " ".join(inner), function
        if file.ispkg and module is not None:
            yield from _commands_in(module.__path__, name, inner)


def _require_options(function: Callable[..., Any]) -> None:
    """Raise typer's error for a function whose parameters cannot be options."""
    app = typer.Typer(add_completion=False)
    app.command()(function)
    typer.main.get_command(app)


def _broken(path: str, reason: str) -> Callable[[], NoReturn]:
    def command() -> NoReturn:
        raise UserError(f"{path} cannot be used: {reason}.")

    command.__doc__ = f"Broken: {reason}"
    return command


UsageError: Any = typer.BadParameter.__bases__[0]
"""What typer raises for arguments that it cannot parse. It has no public name for that."""


class Command(TyperCommand):
    """A command whose help is plain text in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options in groups."""
        _write_groups(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with errors in plain words."""
        with _plain_errors():
            return super().parse_args(ctx, args)


class Group(TyperGroup):
    """The program itself, whose help is plain text in groups, and then the commands."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options in groups, then the commands."""
        _write_groups(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with errors in plain words."""
        with _plain_errors():
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command: of two words, such as `study read`, before that of the first one.

        So an argument that is spelled as the second word is written as a path, `study ./read`.
        """
        both = " ".join(args[:2])
        if len(args) > 1 and both in self.commands:
            return both, self.commands[both], args[2:]
        of_group = [name for name in self.commands if name.startswith(f"{args[0]} ")]
        if of_group and args[0] not in self.commands:
            raise UserError(f"{both} is no command; those of {args[0]} are {', '.join(of_group)}.")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. typer would end silently, with exit code 1, after a BrokenPipeError.

        The standard streams raise none, so it is an error of the program, such as of wandb.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise RuntimeError(f"a program that was started has ended: {error}") from error


def _write_groups(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    """Write a section for each group of parameters.

    typer's own groups need rich, whose import takes 3 times as long as all of `--help`.
    """
    groups: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for parameter in command.get_params(ctx):
        default = "Arguments" if parameter.param_type_name == "argument" else "Options"
        group = getattr(parameter, "rich_help_panel", None) or default
        if record := parameter.get_help_record(ctx):
            groups[group].append(record)
    for group, records in groups.items():
        if records:
            with formatter.section(group):
                formatter.write_dl(records)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Leave out the words `Value error` that pydantic begins the reason of a wrong value with.

    typer itself writes these errors, so the control characters of arguments are escaped here.
    """
    try:
        yield
    except UsageError as error:
        error.message = printable(error.message.removeprefix("Value error, "))
        raise
