"""`main.py list [MODEL]`: which models there are, or what one of them can be set to."""

import json
from typing import Annotated

import typer

from benchmark import registry
from benchmark.cli import options


def list_models(
    model: Annotated[str | None, typer.Argument(help="Show this model's settings.")] = None,
    results: options.Results = options.RESULTS,
) -> None:
    """The models found, one line each; with a name, its settings with defaults and presets."""
    if model is not None:
        _show_settings(model)
        return
    for entry in registry.entries():
        if entry.broken:
            typer.echo(f"{entry.name:<10}  broken: {entry.broken}")
            continue
        costs = sorted((results / entry.name).glob("seed-*/cost.json"))
        state = "trained" if costs else "-"
        count = json.loads(costs[0].read_text())["parameters"] if costs else None
        size = f"{count / 1e6:.2f} M" if count else ""
        typer.echo(f"{entry.name:<10}  {state:<8} {size:>8}  {entry.summary}")


def _show_settings(name: str) -> None:
    from benchmark.settings import Settings, preset_of

    settings, model = registry.load_settings(name), registry.load_model(name)
    presets = dict.fromkeys([*Settings.presets, *settings.presets])
    values = {preset: preset_of(settings, preset) for preset in presets}
    for key, (default, help_text) in settings.described().items():
        changes = [f"{preset} {values[preset][key]}" for preset in presets if key in values[preset]]
        shown = f"{default}" + (f" ({'; '.join(changes)})" if changes else "")
        typer.echo(f"{key:<18} {shown:<44} {help_text}")
    for key, field in model.sampling_class.model_fields.items():
        chosen = model.sampling_class.presets
        changes = [f"{preset} {own[key]}" for preset, own in chosen.items() if key in own]
        shown = f"{field.default}" + (f" ({'; '.join(changes)})" if changes else "")
        typer.echo(f"{key:<18} {shown:<44} {field.description} (in testing)")
    typer.echo(f"\npresets: {', '.join(presets)}")
