"""torchvision's sets: small layouts on the disk, and stand-ins for those with checksums."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from benchmark.data.importers import torchvision_sets
from benchmark.data.importers.torchvision_sets import ADAPTERS, source_of
from benchmark.data.importing.writing import Limits, write_images
from benchmark.errors import UserError
from tests.import_support import files_in, imported, jpeg

MakeImage = Callable[..., Image.Image]


def places_of(name: str, root: Path) -> list[tuple[str, str | None, str | None]]:
    """Return (file, split, folder of the class) of each item of a set that is on the disk."""
    source = source_of(ADAPTERS[name], root, download=False)
    return [
        (item.name, item.split, item.label.folder if item.label else None) for item in source.items
    ]


def test_imagenette_on_the_disk(tmp_path: Path, make_image: MakeImage) -> None:
    for split in ("train", "val"):
        for wnid in ("n01440764", "n03888257"):
            folder = tmp_path / "imagenette2" / split / wnid
            folder.mkdir(parents=True)
            (folder / f"{split}.JPEG").write_bytes(jpeg(make_image(1, 40, 32)))
    assert places_of("imagenette", tmp_path) == [
        ("train.JPEG", "train", "n01440764_tench"),
        ("train.JPEG", "train", "n03888257_parachute"),
        ("val.JPEG", "val", "n01440764_tench"),
        ("val.JPEG", "val", "n03888257_parachute"),
    ]
    source = source_of(ADAPTERS["imagenette"], tmp_path, download=False)
    write_images(source, Limits(classes=("tench",)), tmp_path / "d")
    assert (tmp_path / "d/val/n01440764_tench/val.JPEG").read_bytes() == jpeg(make_image(1, 40, 32))
    assert len(files_in(tmp_path / "d")) == 2


def test_pets_on_the_disk(tmp_path: Path) -> None:
    root = tmp_path / "oxford-iiit-pet"
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True)
    (root / "annotations/trainval.txt").write_text(
        "Abyssinian_100 1 1 1\nyorkshire_terrier_3 2 2 2"
    )
    (root / "annotations/test.txt").write_text("Abyssinian_2 1 1 1\nyorkshire_terrier_9 2 2 2")
    assert places_of("oxford-pets", tmp_path) == [
        ("Abyssinian_100.jpg", "train", "Abyssinian"),
        ("yorkshire_terrier_3.jpg", "train", "Yorkshire_Terrier"),
        ("Abyssinian_2.jpg", "test", "Abyssinian"),
        ("yorkshire_terrier_9.jpg", "test", "Yorkshire_Terrier"),
    ]


PIXELS = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)
STAND_INS: dict[str, dict[str, Any]] = {
    "celeba": {"base_folder": "celeba", "filename": ["1.jpg", "2.jpg"]},
    "flowers102": {
        "_image_files": [Path("image_1.jpg")] * 2,
        "_labels": [1, 0],
        "classes": ["pink primrose", "colt's foot"],
    },
    "stl10": {
        "data": PIXELS.transpose(0, 3, 1, 2),
        "labels": np.array([1, 0], np.uint8),
        "classes": ["airplane", "bird"],
    },
    "cifar10": {"data": PIXELS, "targets": [1, 0], "classes": ["airplane", "automobile"]},
    "places365": {
        "imgs": [("a.jpg", 1), ("b.jpg", 0)],
        "targets": [1, 0],
        "class_to_idx": {"/b/bow_window/indoor": 1, "/a/airfield": 0},
    },
}


@pytest.mark.parametrize("name", sorted(STAND_INS))
def test_what_a_set_says_of_its_images(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = ADAPTERS[name]
    asked = []

    def stand_in(root: Path, **arguments: Any) -> SimpleNamespace:
        print("Files already downloaded")
        asked.append(arguments)
        return SimpleNamespace(root=root, **STAND_INS[name])

    assert hasattr(torchvision.datasets, adapter.name)
    monkeypatch.setattr(torchvision.datasets, adapter.name, stand_in)
    found = places_of(name, tmp_path)
    assert asked == [{**arguments, "download": False} for arguments in adapter.calls.values()]
    assert [split for _, split, _ in found] == [split for split in adapter.calls for _ in range(2)]
    labels = {
        "celeba": [None, None],
        "flowers102": ["colt_s_foot", "pink_primrose"],
        "stl10": ["bird", "airplane"],
        "cifar10": ["automobile", "airplane"],
        "places365": ["bow_window_indoor", "airfield"],
    }[name]
    assert [label for _, _, label in found] == labels * len(adapter.calls)


def test_pixels_are_written_without_loss_and_nothing_is_left_of_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def stand_in(root: Path, **_: Any) -> SimpleNamespace:
        print("Files already downloaded")
        (Path(root) / "archive").write_bytes(b"large")
        return SimpleNamespace(**STAND_INS["cifar10"])

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", stand_in)
    record = imported("cifar10", tmp_path / "d")
    assert record["splits"] == {"train": 2, "test": 2}
    assert files_in(tmp_path / "d")[0] == "test/airplane/test_000001.png"
    written = Image.open(tmp_path / "d/test/airplane/test_000001.png")
    assert np.array_equal(np.asarray(written), PIXELS[1])
    assert capfd.readouterr().out == ""


def test_a_set_that_cannot_be_had_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("To download files from GDrive, 'gdown' is required.\nInstall it")

    monkeypatch.setattr(torchvision.datasets, "CelebA", refuse)
    with pytest.raises(
        UserError, match=r"torchvision cannot get CelebA .*'gdown' is required"
    ) as e:
        imported("celeba", tmp_path / "d")
    assert "\n" not in str(e.value)
    assert not (tmp_path / "d").exists()
    assert set(torchvision_sets.IMPORTER.sets) == set(ADAPTERS)
