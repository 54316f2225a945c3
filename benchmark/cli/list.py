"""`main.py list [MODEL]`: list the models, or the settings of one of them."""

from collections.abc import Mapping
from typing import Annotated

import typer

from benchmark import registry
from benchmark.cli import options


def command(
    model: Annotated[str | None, typer.Argument(help="Name of a model.")] = None,
    results: options.Results = options.RESULTS,
) -> None:
    """List the models, or the settings of one model.

    A setting is listed with its default, and in brackets with what a preset changes it to.
    """
    if model is not None:
        _list_settings(model)
        return
    for entry in registry.entries():
        if entry.broken:
            typer.echo(f"{entry.name:<10}  broken: {entry.broken}")
            continue
        costs = sorted((results / entry.name).glob("seed-*/cost.json"))
        state, size = "-", ""
        if costs:
            from benchmark.results.records import Cost, read_record

            state, size = "trained", f"{read_record(costs[0], Cost).parameters / 1e6:.2f} M"
        typer.echo(f"{entry.name:<10}  {state:<8} {size:>8}  {entry.summary}")


def _list_settings(name: str) -> None:
    from benchmark.settings import Settings, preset_of

    settings, model = registry.load_settings(name), registry.load_model(name)
    presets = dict.fromkeys([*Settings.presets, *settings.presets])
    values = {preset: preset_of(settings, preset) for preset in presets}
    for key, (default, description) in settings.described().items():
        _list_setting(key, default, values, description)
    for key, field in model.sampling_class.model_fields.items():
        description = f"{field.description} (in testing)"
        _list_setting(key, field.default, model.sampling_class.presets, description)
    typer.echo(f"\npresets: {', '.join(presets)}")


def _list_setting(
    key: str, default: object, presets: Mapping[str, Mapping[str, object]], description: str
) -> None:
    changes = [f"{preset} {own[key]}" for preset, own in presets.items() if key in own]
    value = f"{default}" + (f" ({'; '.join(changes)})" if changes else "")
    typer.echo(f"{key:<18} {value:<44} {description}")
