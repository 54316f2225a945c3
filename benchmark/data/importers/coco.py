"""COCO's validation images of 2017, from their zip archive of 778 MB."""

from benchmark.data.importing.archives import fetch, zip_items
from benchmark.data.importing.contract import Importer, Source, Workplace

URL = "http://images.cocodataset.org/zips/val2017.zip"


def open_coco(_: str, workplace: Workplace) -> Source:
    """Return the 5,000 images, without a class: each shows objects of several ones.

    All are of one folder, val2017, which is no split of what is imported.
    """
    return Source(zip_items(fetch(URL, workplace), workplace), URL)


IMPORTER = Importer(open_coco, {"coco-val2017": URL})
