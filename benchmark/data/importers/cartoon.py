"""The built-in sample `cartoon` as files, without a network."""

from functools import partial
from typing import get_args

from benchmark.data.importing.contract import Importer, Item, Source, Workplace
from benchmark.data.importing.pixels import png_of
from benchmark.data.split_names import Split

ORIGIN = "the built-in sample"


def open_cartoon(_: str, __: Workplace) -> Source:
    """Return the images of the sample, which are drawn when they are read."""
    from benchmark.data.cartoon.sample import COUNTS

    items: list[Item] = []
    for split in get_args(Split):  # the index goes on from split to split, as in the sample
        for index in range(len(items), len(items) + COUNTS[split]):
            items.append(Item(f"cartoon_{index:05d}.png", partial(_drawn, index), split))
    return Source(items, ORIGIN, [])


def _drawn(index: int) -> bytes:
    from benchmark.data.cartoon.sample import SEED, draw

    return png_of(draw(SEED, index).image)


IMPORTER = Importer(open_cartoon, {"cartoon": ORIGIN})
