"""`main.py list [NAME]`: the models, the settings of one, the protocols, or the outsiders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmark import registry
from benchmark.cli import options
from benchmark.console import info, output
from benchmark.errors import UserError
from benchmark.results.folders import RunFolder

PROTOCOLS, OUTSIDERS = "protocols", "outsiders"


def command(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help=f"Name of a model, {PROTOCOLS}, or {OUTSIDERS}."),
    ] = None,
    results: options.Results = options.RESULTS,
) -> None:
    """List the models, the settings of one model, the protocols, or the public colorizers.

    A setting is listed with its default, and in parentheses with what a preset changes it to.
    """
    if what == PROTOCOLS:
        _list_protocols()
        return
    if what == OUTSIDERS:
        _list_outsiders()
        return
    if what is not None:
        _list_settings(what)
        return
    for entry in registry.entries():
        if entry.broken:
            output(f"{entry.name:<10}  broken: {entry.broken}")
            continue
        state, size = _state_of(entry.name, results)
        output(f"{entry.name:<10}  {state:<8} {size:>8}  {entry.summary}")


def _list_outsiders() -> None:
    for entry in registry.outsider_entries():
        if entry.broken:
            output(f"{entry.name:<10}  broken: {entry.broken}")
        else:
            output(f"{entry.name:<10}  {entry.summary}  needs: {entry.needs}")


def _state_of(model: str, results: Path) -> tuple[str, str]:
    """Whether a model is trained, and its number of parameters.

    A file that cannot be read is named on stderr, and the run counts as damaged.
    """
    from benchmark.results.records import read_cost, read_divergence

    state = "-"
    for run in RunFolder.all_of(results, model):
        try:
            cost = read_cost(run.cost)
            diverged = read_divergence(run.divergence) is not None
        except UserError as error:
            info(f"{model}: {error}")
            state = "damaged"
            continue
        if cost is not None:
            return "trained", f"{cost.parameters / 1e6:.2f} M"
        state = "diverged" if diverged and state == "-" else state
    return state, ""


def _list_protocols() -> None:
    from benchmark.evaluation import named

    for name in named.names():
        try:
            output(f"{name:<18}  {named.load(name).title}")
        except UserError as error:
            output(f"{name:<18}  broken: {error}")


def _list_settings(name: str) -> None:
    from benchmark.settings import Settings, preset_of

    settings, model = registry.load_settings(name), registry.load_model(name)
    presets = dict.fromkeys([*Settings.presets, *settings.presets])
    values = {preset: preset_of(settings, preset) for preset in presets}
    for key, (default, description) in settings.described().items():
        _list_setting(key, default, values, description)
    for key, field in model.sampling_class.model_fields.items():
        description = f"{field.description} (sampling)"
        _list_setting(key, field.default, model.sampling_class.presets, description)
    output("")
    output(f"presets: {', '.join(presets)}")


def _list_setting(
    key: str, default: object, presets: Mapping[str, Mapping[str, object]], description: str
) -> None:
    changes = [f"{preset} {own[key]}" for preset, own in presets.items() if key in own]
    value = "depends on the weights" if default is None else f"{default}"
    value += f" ({'; '.join(changes)})" if changes else ""
    output(f"{key:<18} {value:<44} {description}")
