"""The registry of models: each folder under `models/` with a `model.py` is a model.

Models are listed without importing them, so that listing needs no torch.
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
    from benchmark.recipe import Recipe
    from benchmark.settings import Settings

MODELS = ROOT / "models"


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
    module: Any = _import(f"models.{name}.{file}")
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        kind = f"a class {class_name}({base.__name__})"
        raise UserError(f"models/{name}/{file}.py does not define {kind}.")
    return found


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:  # a contributor's file may raise anything
        path = module.replace(".", "/") + ".py"
        raise UserError(f"{path} cannot be imported: {first_line(error)}.") from error
