"""Imports point one way: from the command line down to the ground, without a circle.

Every import counts, also those inside functions and those for types alone. The layers are those of
docs/architecture.md.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (
    {"main"},
    {"benchmark.cli"},
    {"benchmark.jobs"},
    {"benchmark.training", "benchmark.leaderboard"},
    {"benchmark.evaluation"},
    {"benchmark.data", "benchmark.checkpoints", "benchmark.registry"},
    {
        "benchmark.metrics",
        "benchmark.results",
        "benchmark.figures",
        "benchmark.settings",
        "benchmark.recipe",
    },
    {"benchmark.colorizer", "benchmark.device", "benchmark.files"},
    {
        "benchmark.randomness",
        "benchmark.color",
        "benchmark.statistics",
        "benchmark.console",
        "benchmark.errors",
    },
)
"""The rooms from top to bottom: a room imports rooms below it, or beside it without a circle."""

OPEN_TO_MODELS = {
    "benchmark.recipe",
    "benchmark.settings",
    "benchmark.colorizer",
    "benchmark.randomness",
    "benchmark.metrics.histogram",
    "benchmark.errors",
}
"""The modules of the harness that a model may import."""


def modules() -> dict[str, Path]:
    """Every module of the project but its tests, by its dotted name."""
    paths = [ROOT / "main.py", ROOT / "metrics.py"]
    for folder in ("benchmark", "models", "experiments"):
        paths += sorted((ROOT / folder).rglob("*.py"))
    return {name_of(path): path for path in paths}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The project's modules that a file imports, wherever in it the import stands."""
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            members = {f"{source}.{alias.name}" for alias in node.names}
            submodules = members & known.keys()
            found |= submodules
            if submodules != members:  # a name is taken from the package itself
                found.add(source)
    return (found & known.keys()) - {name}


KNOWN = modules()
IMPORTS = {name: imported_by(name, path, KNOWN) for name, path in KNOWN.items()}


def room_of(name: str) -> str:
    """The room of a module of the harness: a folder or a file of benchmark/, or main."""
    return ".".join(name.split(".")[:2])


def layer_of(room: str) -> int:
    return next(level for level, rooms in enumerate(LAYERS) if room in rooms)


def circle_in(graph: dict[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def rooms() -> dict[str, set[str]]:
    """The imports of the harness from room to room."""
    graph: dict[str, set[str]] = {}
    for name, imports in IMPORTS.items():
        room = room_of(name)
        if room == "main" or (room.startswith("benchmark.") and room != "benchmark"):
            inner = {room_of(other) for other in imports if other.startswith("benchmark.")}
            graph.setdefault(room, set()).update(inner - {room})
    return graph


def test_no_import_leads_in_a_circle() -> None:
    assert circle_in(IMPORTS) is None
    assert circle_in(rooms()) is None


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_imports_no_room_above_it(room: str) -> None:
    above = {other for other in rooms()[room] if layer_of(other) < layer_of(room)}
    assert not above, f"{room} imports {above}"


def test_every_room_has_its_layer() -> None:
    assert set().union(*LAYERS) == {"main", *rooms()}


def test_the_harness_imports_no_model() -> None:
    """Models are found by folder: the registry loads them by name, on use."""
    for name, imports in IMPORTS.items():
        if name.startswith("benchmark") or name in ("main", "metrics"):
            assert not {other for other in imports if other.startswith("models")}, name


def test_nothing_imports_the_metrics_at_the_root() -> None:
    assert not [name for name, imports in IMPORTS.items() if "metrics" in imports]


def test_a_model_imports_its_contracts_and_its_siblings_only() -> None:
    for name, imports in IMPORTS.items():
        if name.startswith("models."):
            outside = {other for other in imports if not other.startswith("models")}
            assert outside <= OPEN_TO_MODELS, f"{name} imports {outside - OPEN_TO_MODELS}"
            assert name != "models.common" or not imports


def test_shared_layers_import_no_model() -> None:
    for name, imports in IMPORTS.items():
        if name.startswith("models.common"):
            models = {o for o in imports if o.startswith("models") and "common" not in o}
            assert models <= {"models"}, f"{name} imports {models}"


def test_a_circle_inside_a_function_is_found(tmp_path: Path) -> None:
    """The test itself sees what it is for."""
    for name, text in (("a", "def f():\n    from b import g\n"), ("b", "import a\n")):
        (tmp_path / f"{name}.py").write_text(text)
    known = {name: tmp_path / f"{name}.py" for name in ("a", "b")}
    graph = {name: imported_by(name, path, known) for name, path in known.items()}
    assert graph == {"a": {"b"}, "b": {"a"}}
    assert circle_in(graph) is not None
