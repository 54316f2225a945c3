"""The color photos inside the package scikit-image, without a network."""

from importlib.util import find_spec
from pathlib import Path

from benchmark.data.importing.contract import Importer, Item, Source, Workplace
from benchmark.errors import UserError

PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
"""Those in color of which the package holds the files. motorcycle_right.png shows what the left one
does: one of the two in a test would be known from the training."""
ORIGIN = "the package scikit-image"


def open_photos(_: str, __: Workplace) -> Source:
    """Return the photos. UserError if the package is not installed."""
    package = find_spec("skimage")  # importing it would take a second
    if package is None or package.origin is None:
        raise UserError("photos come with scikit-image: install it (pip install scikit-image).")
    folder = Path(package.origin).parent / "data"
    return Source([Item(name, (folder / name).read_bytes) for name in PHOTOS], ORIGIN, [])


IMPORTER = Importer(open_photos, {"photos": ORIGIN})
