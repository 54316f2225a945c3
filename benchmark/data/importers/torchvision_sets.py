"""Sets that torchvision downloads: each row of a table says how its class is called and read."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.data.importing.contract import Importer, Item, Label, Source, Workplace
from benchmark.data.importing.pixels import png_of
from benchmark.data.split_names import Split
from benchmark.errors import UserError, first_line


@dataclass(frozen=True)
class Adapter:
    """How a class of torchvision.datasets is called, and what it knows of its images.

    name: of the class. origin: the site of the set. calls: the arguments of each split; the split
    None is that of a set of which one split alone is imported, which is split as any dataset is.
    images: a dataset → its images, paths of files or uint8 (H, W, 3). labels: a dataset → the index
    of the class of each image, and classes: its classes; neither for a set without classes.
    """

    name: str
    origin: str
    calls: Mapping[Split | None, Mapping[str, Any]]
    images: Callable[[Any], Sequence[Any]]
    labels: Callable[[Any], Sequence[int]] = lambda dataset: []
    classes: Callable[[Any], Sequence[Label]] = lambda dataset: []


def _named(dataset: Any) -> list[Label]:
    return [Label(name) for name in dataset.classes]


def _of_celeba(dataset: Any) -> list[Path]:
    folder = Path(dataset.root) / dataset.base_folder / "img_align_celeba"
    return [folder / name for name in dataset.filename]


def _of_imagenette(dataset: Any) -> list[Label]:
    pairs = zip(dataset.wnids, dataset.classes, strict=True)
    return [Label(synonyms[0], wnid) for wnid, synonyms in pairs]


def _of_places(dataset: Any) -> list[Label]:
    numbers = dataset.class_to_idx  # such as /b/bow_window/indoor
    return [Label(name.split("/", 2)[-1]) for name in sorted(numbers, key=numbers.__getitem__)]


ADAPTERS: Mapping[str, Adapter] = {
    "celeba": Adapter(
        "CelebA",
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        {"train": {"split": "train"}, "val": {"split": "valid"}, "test": {"split": "test"}},
        images=_of_celeba,
    ),
    "flowers102": Adapter(
        "Flowers102",
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        {"train": {"split": "train"}, "val": {"split": "val"}, "test": {"split": "test"}},
        images=lambda dataset: dataset._image_files,
        labels=lambda dataset: dataset._labels,
        classes=_named,
    ),
    "stl10": Adapter(
        "STL10",
        "https://cs.stanford.edu/~acoates/stl10/",
        {"train": {"split": "train"}, "test": {"split": "test"}},
        images=lambda dataset: dataset.data.transpose(0, 2, 3, 1),
        labels=lambda dataset: dataset.labels,
        classes=_named,
    ),
    "cifar10": Adapter(
        "CIFAR10",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        {"train": {"train": True}, "test": {"train": False}},
        images=lambda dataset: dataset.data,
        labels=lambda dataset: dataset.targets,
        classes=_named,
    ),
    "imagenette": Adapter(
        "Imagenette",
        "https://github.com/fastai/imagenette",
        {"train": {"split": "train"}, "val": {"split": "val"}},
        images=lambda dataset: [path for path, _ in dataset._samples],
        labels=lambda dataset: [label for _, label in dataset._samples],
        classes=_of_imagenette,
    ),
    "oxford-pets": Adapter(
        "OxfordIIITPet",
        "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        images=lambda dataset: dataset._images,
        labels=lambda dataset: dataset._labels,
        classes=_named,
    ),
    "places365": Adapter(
        "Places365",
        "http://places2.csail.mit.edu/",
        {None: {"split": "val", "small": True}},
        images=lambda dataset: [path for path, _ in dataset.imgs],
        labels=lambda dataset: dataset.targets,
        classes=_of_places,
    ),
}


def open_set(name: str, workplace: Workplace) -> Source:
    """Return the images of a set after torchvision has downloaded it. UserError if that fails."""
    return source_of(ADAPTERS[name], workplace.folder / "torchvision", download=True)


def source_of(adapter: Adapter, root: Path, *, download: bool) -> Source:
    """Return the images of a set whose files are in `root`, or are downloaded to it."""
    items: list[Item] = []
    classes: Sequence[Label] = []
    for split, arguments in adapter.calls.items():
        dataset = _opened(adapter, root, {**arguments, "download": download})
        labels, classes = adapter.labels(dataset), adapter.classes(dataset)
        for index, image in enumerate(adapter.images(dataset)):
            label = classes[int(labels[index])] if classes else None
            items.append(_item(f"{split or 'image'}_{index:06d}.png", image, split, label))
    return Source(items, adapter.origin, classes)


def _opened(adapter: Adapter, root: Path, arguments: Mapping[str, Any]) -> Any:
    from torchvision import datasets

    root.mkdir(parents=True, exist_ok=True)
    try:
        with redirect_stdout(sys.stderr):  # torchvision prints what it downloads
            return getattr(datasets, adapter.name)(root, **arguments)
    except Exception as error:  # of the network, of a missing package or of a changed site
        raise UserError(
            f"torchvision cannot get {adapter.name} ({first_line(error)}): try again later, or "
            f"download it from {adapter.origin} and import its folder."
        ) from error


def _item(name: str, image: Any, split: Split | None, label: Label | None) -> Item:
    """Return the item of a file, or of pixels under a name."""
    if isinstance(image, str | Path):
        return Item(Path(image).name, Path(image).read_bytes, split, label)
    return Item(name, partial(png_of, image), split, label)


IMPORTER = Importer(open_set, {name: adapter.origin for name, adapter in ADAPTERS.items()})
