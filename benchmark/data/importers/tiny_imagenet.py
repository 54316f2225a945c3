"""Tiny ImageNet: 200 classes of ImageNet, 64×64 pixels, from its zip archive of 237 MB."""

import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import PurePosixPath

from benchmark.data.importing.archives import fetch, open_zip, read_member
from benchmark.data.importing.contract import Importer, Item, Label, Source, Workplace
from benchmark.data.split_names import Split
from benchmark.errors import UserError

NAME = "tiny-imagenet"
URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
SHA256: str | None = "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"
ROOT = "tiny-imagenet-200"


def open_tiny_imagenet(_: str, workplace: Workplace) -> Source:
    """Return the images of Tiny ImageNet; those of its test have no class."""
    path = fetch(URL, workplace, sha256=SHA256)
    archive, budget = open_zip(path, workplace)
    texts: dict[str, list[str]] = {}
    for name in ("wnids.txt", "words.txt", "val/val_annotations.txt"):
        try:
            data = read_member(archive, archive.getinfo(f"{ROOT}/{name}"), budget)
        except KeyError as error:
            raise UserError(f"{URL} is not Tiny ImageNet: {ROOT}/{name} is missing.") from error
        texts[name] = data.decode("utf-8", "replace").splitlines()
    labels = labels_of(texts["wnids.txt"], texts["words.txt"])
    annotations = texts["val/val_annotations.txt"]
    of_validation = dict(line.split("\t")[:2] for line in annotations if "\t" in line)
    items = [
        Item(
            PurePosixPath(member.filename).name,
            partial(read_member, archive, member, budget),
            split,
            label,
        )
        for member, split, label in _places(archive, labels, of_validation)
    ]
    return Source(items, URL, list(labels.values()))


def labels_of(wnids: list[str], words: list[str]) -> dict[str, Label]:
    """Return WordNet ID → class, with the first synonym of words.txt as its readable name."""
    names = dict(line.split("\t", 1) for line in words if "\t" in line)
    known = [wnid.strip() for wnid in wnids if wnid.strip()]
    return {wnid: Label(names.get(wnid, wnid).split(",")[0].strip(), wnid) for wnid in known}


def _places(
    archive: zipfile.ZipFile, labels: Mapping[str, Label], of_validation: Mapping[str, str]
) -> Iterator[tuple[zipfile.ZipInfo, Split, Label | None]]:
    """Yield each image of the archive with its split and its class, from the set's own layout.

    train/WNID/images/NAME, val/images/NAME with the table of val_annotations.txt, test/images/NAME.
    """
    for member in archive.infolist():
        match PurePosixPath(member.filename).parts:
            case (_, "train", wnid, "images", _):
                yield member, "train", labels.get(wnid)
            case (_, "val", "images", name):
                yield member, "val", labels.get(of_validation.get(name, ""))
            case (_, "test", "images", _):
                yield member, "test", None


IMPORTER = Importer(open_tiny_imagenet, {NAME: URL})
