"""The reference of the documentation: every option and every setting, written from the code."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmark import registry  # noqa: E402
from benchmark.settings import Settings, preset_of  # noqa: E402

COMMANDS, SETTINGS = "<!-- commands -->", "<!-- settings -->"
"""What a page has in the place of the tables."""


def fill(text: str) -> str:
    """Replace the marks of a page by the tables of all commands and of all settings."""
    if COMMANDS in text:
        text = text.replace(COMMANDS, "\n".join(commands()))
    if SETTINGS in text:
        text = text.replace(SETTINGS, "\n".join(settings()))
    return text


def commands() -> Iterator[str]:
    """Yield the lines of a section for each command, with a table of its options."""
    import main  # the command line, whose import needs no torch

    program: Any = typer.main.get_command(main.app)
    yield from _command("main.py", program)
    for name, command in program.commands.items():
        yield from _command(f"main.py {name}", command)


def _command(name: str, command: Any) -> Iterator[str]:
    context: Any = typer.Context(command, info_name=name)
    records = [one.get_help_record(context) for one in command.get_params(context)]
    yield f"### `python {name}`\n"
    for paragraph in (command.help or "").split("\n\n"):
        yield f"{_plain(paragraph)}\n"
    rows = ((f"`{record[0]}`", record[1]) for record in records if record)
    yield from _table(("option", "meaning"), rows)


def settings() -> Iterator[str]:
    """Yield the lines of a section for the general settings, and for those of each model."""
    described = {
        name: (f.default, f.description or "") for name, f in Settings.model_fields.items()
    }
    described.pop("architecture")
    yield "### Every model\n"
    yield from _settings(described, Settings.presets)
    for entry in registry.entries():
        own, model = registry.load_settings(entry.name), registry.load_model(entry.name)
        values = own.described()
        new = {name: value for name, value in values.items() if value != described.get(name)}
        presets = {name: preset_of(own, name) for name in [*Settings.presets, *own.presets]}
        yield f"### `{entry.name}`\n"
        yield f"{_plain(entry.summary)}\n"
        yield from _settings(new, presets)
        fields = model.sampling_class.model_fields
        if fields:
            sampling = {name: (f.default, f.description or "") for name, f in fields.items()}
            yield "Sampling, with `--set` or an option of the same name:\n"
            yield from _settings(sampling, model.sampling_class.presets)


def _settings(described: dict[str, tuple[Any, str]], presets: Any) -> Iterator[str]:
    def rows() -> Iterator[Sequence[str]]:
        for name, (default, text) in described.items():
            changed = [f"{key} {own[name]}" for key, own in presets.items() if name in own]
            value = "by the weights" if default is None else str(default)
            yield f"`{name}`", value, "; ".join(changed), text

    yield from _table(("setting", "default", "in presets", "meaning"), rows())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        cells = [_plain(cell) for cell in row]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _plain(text: str) -> str:
    """Return text in one line that Markdown and its tables show as it is."""
    special = "|" if "`" in text else "\\|<>*_[]"
    for character in special:
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
