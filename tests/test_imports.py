"""Imports point in one direction, from the command line to the lowest layer, without a circle.

Every import counts, also those inside functions and those that only type checkers need. The layers
are those of docs/architecture.md.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (
    {"main", "benchmark"},
    {"benchmark.cli", "benchmark.library"},
    {"benchmark.jobs"},
    {"benchmark.training", "benchmark.leaderboard", "benchmark.inference", "benchmark.study"},
    {"benchmark.evaluation"},
    {
        "benchmark.data",
        "benchmark.checkpoints",
        "benchmark.registry",
        "benchmark.outsider_weights",
    },
    {
        "benchmark.metrics",
        "benchmark.results",
        "benchmark.figures",
        "benchmark.settings",
        "benchmark.recipe",
        "benchmark.outsider",
    },
    {"benchmark.colorizer", "benchmark.device", "benchmark.downloads", "benchmark.files"},
    {
        "benchmark.randomness",
        "benchmark.color",
        "benchmark.statistics",
        "benchmark.console",
        "benchmark.errors",
    },
)
"""Modules and packages of the harness from top to bottom. Each may import lower layers, and
its own layer without a circle."""

OPEN_TO_MODELS = {
    "benchmark.recipe",
    "benchmark.settings",
    "benchmark.colorizer",
    "benchmark.randomness",
    "benchmark.metrics.histogram",
    "benchmark.errors",
}
"""The modules of the harness that a model may import."""
OPEN_TO_OUTSIDERS = {
    "benchmark.outsider",
    "benchmark.results.outsider",
    "benchmark.color",
    "benchmark.colorizer",
    "benchmark.randomness",
    "benchmark.errors",
}
"""The modules of the harness that an outsider may import."""


def modules() -> dict[str, Path]:
    """Return the files of all modules of the project except its tests, by dotted name."""
    paths = [ROOT / "main.py", ROOT / "metrics.py"]
    for folder in ("benchmark", "models", "outsiders", "experiments"):
        paths += sorted((ROOT / folder).rglob("*.py"))
    return {name_of(path): path for path in paths}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Return the project's modules that a file imports anywhere, at the top or inside functions."""
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


def component_of(name: str) -> str:
    """Return the component of a module: main, or a package or module directly in benchmark.

    `benchmark` itself is what `from benchmark import load` imports, and nothing in the project.
    """
    return ".".join(name.split(".")[:2])


def layer_of(component: str) -> int:
    return next(level for level, layer in enumerate(LAYERS) if component in layer)


def circle_in(graph: dict[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def component_imports() -> dict[str, set[str]]:
    """Return component of the harness → the other components that it imports."""
    graph: dict[str, set[str]] = {}
    for name, imports in IMPORTS.items():
        component = component_of(name)
        if component in ("main", "benchmark") or component.startswith("benchmark."):
            inner = {component_of(other) for other in imports if other.startswith("benchmark.")}
            graph.setdefault(component, set()).update(inner - {component})
    return graph


def test_no_imports_are_circular() -> None:
    assert circle_in(IMPORTS) is None
    assert circle_in(component_imports()) is None


@pytest.mark.parametrize("component", sorted(component_imports()))
def test_nothing_is_imported_from_a_higher_layer(component: str) -> None:
    imports = component_imports()[component]
    above = {other for other in imports if layer_of(other) < layer_of(component)}
    assert not above, f"{component} imports {above}"


def test_every_component_of_the_harness_has_a_layer() -> None:
    assert set().union(*LAYERS) == {"main", *component_imports()}


def test_nothing_imports_the_package_itself() -> None:
    """Its names are for users: inside the project they are taken from benchmark.library."""
    assert not [name for name, imports in IMPORTS.items() if "benchmark" in imports]


def test_the_harness_imports_no_model_and_no_outsider() -> None:
    """They are found by folder, and the registry imports them by name when they are used."""
    for name, imports in IMPORTS.items():
        if name.startswith("benchmark") or name in ("main", "metrics"):
            found = {other for other in imports if other.startswith(("models", "outsiders"))}
            assert not found, name


def test_nothing_imports_the_root_module_metrics() -> None:
    assert not [name for name, imports in IMPORTS.items() if "metrics" in imports]


def test_a_model_imports_only_its_contracts_and_other_models() -> None:
    for name, imports in IMPORTS.items():
        if name.startswith("models."):
            outside = {other for other in imports if not other.startswith("models")}
            assert outside <= OPEN_TO_MODELS, f"{name} imports {outside - OPEN_TO_MODELS}"
            assert name != "models.common" or not imports


def test_an_outsider_imports_only_its_contract_and_other_outsiders() -> None:
    for name, imports in IMPORTS.items():
        if name.startswith("outsiders."):
            outside = {other for other in imports if not other.startswith("outsiders")}
            assert outside <= OPEN_TO_OUTSIDERS, f"{name} imports {outside - OPEN_TO_OUTSIDERS}"


def test_shared_layers_import_no_model() -> None:
    for name, imports in IMPORTS.items():
        if name.startswith("models.common"):
            models = {o for o in imports if o.startswith("models") and "common" not in o}
            assert models <= {"models"}, f"{name} imports {models}"


def test_a_circle_inside_a_function_is_found(tmp_path: Path) -> None:
    """The check detects a circle."""
    for name, text in (("a", "def f():\n    from b import g\n"), ("b", "import a\n")):
        (tmp_path / f"{name}.py").write_text(text)
    known = {name: tmp_path / f"{name}.py" for name in ("a", "b")}
    graph = {name: imported_by(name, path, known) for name, path in known.items()}
    assert graph == {"a": {"b"}, "b": {"a"}}
    assert circle_in(graph) is not None
