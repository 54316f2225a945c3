"""The registry: each folder under `models/` with a `model.py` is a model, each file of `outsiders/`
a public colorizer.

They are listed without importing them, so that listing needs no torch.
"""

import ast
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError, did_you_mean, first_line
from benchmark.files import ROOT

if TYPE_CHECKING:
    from benchmark.colorizer import Colorizer
    from benchmark.outsider import Outsider
    from benchmark.recipe import Recipe
    from benchmark.settings import Settings

MODELS, OUTSIDERS = ROOT / "models", ROOT / "outsiders"


@dataclass(frozen=True)
class Entry:
    """A folder under `models/`: its name, its summary, and why it cannot be used, or None."""

    name: str
    summary: str
    broken: str | None = None


def entries(folder: Path = MODELS) -> list[Entry]:
    """Return all models by name, none of them imported: a broken model stops no other one."""
    return [_entry(path.parent) for path in sorted(folder.glob("[!._]*/model.py"))]


def _entry(folder: Path) -> Entry:
    """Read a model's folder as text: the first line of model.py's docstring is its summary."""
    try:
        tree = ast.parse((folder / "model.py").read_text(encoding="utf-8"), "model.py")
    except (OSError, SyntaxError, ValueError) as error:
        return Entry(folder.name, "", f"model.py cannot be read: {error}")
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    if not any(isinstance(node, ast.ClassDef) and node.name == "Model" for node in tree.body):
        return Entry(folder.name, summary, "model.py defines no class Model")
    if not (folder / "train.py").is_file():
        return Entry(folder.name, summary, "there is no train.py")
    return Entry(folder.name, summary)


@dataclass(frozen=True)
class OutsiderEntry(Entry):
    """A file of `outsiders/`; needs: what a user has to have for it."""

    needs: str = ""


def outsider_entries(folder: Path = OUTSIDERS) -> list[OutsiderEntry]:
    """Return all outsiders by name, none of them imported: a broken one stops no other one."""
    return [_outsider_entry(path) for path in sorted(folder.glob("[!._]*.py"))]


def _outsider_entry(path: Path) -> OutsiderEntry:
    """Read an outsider's file as text: its docstring's first line, and its literal `NEEDS`."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), path.name)
    except (OSError, SyntaxError, ValueError) as error:
        return OutsiderEntry(path.stem, "", f"{path.name} cannot be read: {error}")
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    if not any(isinstance(node, ast.ClassDef) and node.name == "Model" for node in tree.body):
        return OutsiderEntry(path.stem, summary, f"{path.name} defines no class Model")
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name("NEEDS")], ast.Constant(str(needs))):
                return OutsiderEntry(path.stem, summary, needs=needs)
    return OutsiderEntry(path.stem, summary, f"{path.name} defines no text NEEDS")


def load_outsider(name: str) -> "type[Outsider]":
    """Import the class `Model` of outsiders/<name>.py. UserError that offers the nearest name."""
    from benchmark.outsider import Outsider

    known = {entry.name: entry for entry in outsider_entries()}
    if name not in known:
        end = did_you_mean(name, known) or f"; the outsiders are {', '.join(known)}."
        raise UserError(f"There is no outsider {name!r}{end}")
    if known[name].broken:
        raise UserError(f"outsiders/{name}.py: {known[name].broken}.")
    return _class_in(f"outsiders.{name}", "Model", Outsider)


def require(name: str) -> None:
    """Raise UserError unless a usable model has this name; the error offers the nearest name."""
    known = {entry.name: entry for entry in entries()}
    if name not in known:
        end = did_you_mean(name, known) or f"; the models are {', '.join(known)}."
        raise UserError(f"There is no model {name!r}{end}")
    if known[name].broken:
        raise UserError(f"models/{name}: {known[name].broken}.")


def load_model(name: str) -> "type[Colorizer]":
    """Import the class `Model` of models/<name>/model.py, without train.py."""
    from benchmark.colorizer import Colorizer

    return _class(name, "model", "Model", Colorizer)


def load_settings(name: str) -> "type[Settings]":
    """Import the class `Settings` of models/<name>/train.py."""
    from benchmark.settings import Settings

    return _class(name, "train", "Settings", Settings)


def load_recipe(name: str) -> "type[Recipe[Any, Any]]":
    """Import the class `Training` of models/<name>/train.py."""
    from benchmark.recipe import Recipe

    return _class(name, "train", "Training", Recipe)


def _class(name: str, file: str, class_name: str, base: type) -> Any:
    if name not in {entry.name for entry in entries()}:
        require(name)
    return _class_in(f"models.{name}.{file}", class_name, base)


def _class_in(module: str, class_name: str, base: type) -> Any:
    found = getattr(_import(module), class_name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        kind = f"a class {class_name}({base.__name__})"
        raise UserError(f"{module.replace('.', '/')}.py does not define {kind}.")
    return found


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:  # a contributor's file may raise anything
        path = module.replace(".", "/") + ".py"
        raise UserError(f"{path} cannot be imported: {first_line(error)}.") from error
