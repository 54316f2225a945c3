"""The kinds of imports, found by folder, and which of them a name means."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.console import info
from benchmark.data import importers
from benchmark.data.importing.contract import Importer
from benchmark.errors import UserError, did_you_mean, first_line


def find_importers() -> tuple[Mapping[str, Importer], Mapping[str, str]]:
    """Return the kinds of imports, and why others cannot be used, both by the name of their file.

    A broken file affects no other.
    """
    found: dict[str, Importer] = {}
    broken: dict[str, str] = {}
    for file in sorted(pkgutil.iter_modules(importers.__path__), key=lambda file: file.name):
        try:
            module = importlib.import_module(f"{importers.__name__}.{file.name}")
            found[file.name] = module.IMPORTER
        except Exception as error:  # a contributor's file may raise anything
            broken[file.name] = first_line(error)
    return found, broken


def importer_of(name: str) -> Importer:
    """Return the kind of import that a name means. UserError, with the known names, if none."""
    found, broken = find_importers()
    for file, reason in broken.items():
        info(f"Warning: benchmark/data/importers/{file}.py cannot be used: {reason}.")
    sets = {known: kind for kind in found.values() for known in kind.sets}
    if name in sets:
        if Path(name).is_dir():
            info(f"Warning: {name} is a known set and not the folder here, which is ./{name}.")
        return sets[name]
    kind = next((kind for kind in found.values() if kind.takes(name)), None)
    if kind is None:
        others = ", ".join([*sorted(sets), *_forms(found)])
        raise UserError(
            f"{name} is no known set, no folder and no archive{did_you_mean(name, sets) or '.'} "
            f"Known are {others}."
        )
    return kind


def _forms(found: Mapping[str, Importer]) -> Iterator[str]:
    for kind in found.values():
        yield from kind.forms
