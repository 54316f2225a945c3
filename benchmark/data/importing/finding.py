"""The kinds of imports, found by folder, and which of them a name means."""

import importlib
import pkgutil
from collections.abc import Mapping
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
        raise UserError(_unknown(name, sets, found))
    return kind


def _unknown(name: str, sets: Mapping[str, Importer], found: Mapping[str, Importer]) -> str:
    """Return the sentence about a name that no kind takes."""
    if "://" in name:
        return (
            f"{name} does not end as an archive does: write zip: or tar: before the http or https "
            "address of one."
        )
    forms = [form for kind in found.values() for form in kind.forms]
    near = did_you_mean(name, sets) or f": known are {', '.join([*sorted(sets), *forms])}."
    return f"{name} is no known set, no folder and no archive{near}"
