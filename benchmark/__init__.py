"""ChromaBench: `from benchmark import load` loads a trained model to color photos with.

Nothing else is imported with the package, so that `main.py --help` answers at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.library import LoadedModel as LoadedModel
    from benchmark.library import load as load

PUBLIC = ("LoadedModel", "load")
"""The names that are taken from benchmark/library.py when they are first used."""


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from benchmark import library

    return getattr(library, name)
