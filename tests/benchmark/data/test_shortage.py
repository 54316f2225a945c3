"""Where a split has no image, the message names what helps, and it does when it is done."""

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from PIL import Image

from benchmark.colorizer import Colorizer
from benchmark.data import sources as sources_module
from benchmark.data.loading import load_test, load_training
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.sources import locate
from benchmark.errors import UserError
from benchmark.evaluation.baselines import Gray
from benchmark.settings import Settings

Fill = Callable[..., list[Path]]
Do = Callable[[Path, Fill], object]
TWO = "; training needs at least two different images, of which some are held out."
THREE = TWO.replace("two", "three")


class Plain(Settings):
    """The settings that every model has."""

    model_class: ClassVar[type[Colorizer]] = Gray


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "TEST_IMAGES", tmp_path / "none")


def load(tmp_path: Path, folder: Path, **typed: Any) -> None:
    sources = locate(str(folder), None, tmp_path / "Results")
    load_training(sources, Plain(size=32, **typed), is_tested=True)
    load_test(sources, Preprocessing(32), 8000)


def in_folders(**counts: int) -> Do:
    """Put as many images into folders of these names."""

    def do(top: Path, fill: Fill) -> None:
        for place, (name, count) in enumerate(counts.items()):
            fill(top / name, range(20 * place, 20 * place + count))

    return do


def more(*seeds: int, into: str = ".") -> Do:
    return lambda top, fill: [fill(top / into, range(seed, seed + 1)) for seed in seeds]


def copies(top: Path, fill: Fill) -> None:
    fill(top / "train", range(3))
    shutil.copytree(top / "train", top / "test")


def identical(top: Path, fill: Fill) -> None:
    (path,) = fill(top, range(1))
    for name in "abc":
        shutil.copy(path, path.with_name(f"{name}.png"))


def broken(folder: str, *others: str) -> Do:
    def do(top: Path, fill: Fill) -> None:
        for place, other in enumerate(others):
            fill(top / other, range(20 * place, 20 * place + 3))
        (top / folder).mkdir(exist_ok=True)
        (top / folder / "image_100.png").write_text("no image")

    return do


def grayscale(top: Path, fill: Fill) -> None:
    for path in fill(top, range(5)):
        Image.open(path).convert("L").save(path)


PUT = (
    "put images into {}, outside of folders for validation, for the test and of masks, such as "
    "into a folder train beside"
)
CASES: dict[str, tuple[Do, str, Do]] = {
    "only val": (in_folders(val=3), PUT + TWO, more(40, 41)),
    "only test": (in_folders(test=3), PUT + TWO, more(40, 41, into="photos")),
    "val and test": (
        in_folders(val=3, test=3), PUT + "; training needs at least one image.", more(40)
    ),
    "only masks": (in_folders(train_masks=3, test_masks=3), PUT + THREE, more(40, 41, 42)),
    "identical": (identical, "for validation or the test: add images" + THREE, more(40, 41)),
    "one for training": (
        in_folders(train=1, test=3), "none for validation: add images" + TWO, more(40)
    ),
    "copies of the test": (
        copies, "add images for training that are in no other split" + TWO,
        lambda top, fill: (shutil.rmtree(top / "train"), fill(top, range(40, 42))),
    ),
    "broken": (
        broken("train", "test"), "replace the files for training that cannot be used" + TWO,
        more(100, 101, into="train"),
    ),
    "broken val": (
        broken("val", "train", "test"),
        "replace the files for validation that cannot be used (of val/).",
        more(100, into="val"),
    ),
    "grayscale": (grayscale, "add images in color, or train on", more(*range(40, 60))),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message", "do"), CASES.values(), ids=CASES)
def test_what_a_message_names_helps(
    tmp_path: Path, fill_folder: Fill, make: Do, message: str, do: Do
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    make(folder, fill_folder)
    with pytest.raises(UserError) as caught:
        load(tmp_path, folder)
    assert message.format(folder) in str(caught.value)
    do(folder, fill_folder)
    load(tmp_path, folder)


def test_grayscale_images_are_trained_on_with_the_settings_that_the_message_names(
    tmp_path: Path, fill_folder: Fill
) -> None:
    folder = tmp_path / "data"
    grayscale(folder, fill_folder)
    with pytest.raises(
        UserError, match="with --set drop_grayscale=false and --set min_colorfulness=0"
    ):
        load(tmp_path, folder)
    load(tmp_path, folder, drop_grayscale=False, min_colorfulness=0)


def test_copies_of_the_test_that_were_held_out_are_named_and_to_be_deleted(
    tmp_path: Path, fill_folder: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    fill_folder(folder / "train", range(12))
    fill_folder(folder / "test", range(10))
    with pytest.raises(UserError, match="delete the copies that the warnings name"):
        load(tmp_path, folder)
    while names := re.findall(r"(\S+) \(as ", capsys.readouterr().err):
        for name in names:
            (folder / name).unlink()
        with suppress(UserError):
            load(tmp_path, folder)
    load(tmp_path, folder)
    assert len([*(folder / "train").iterdir()]) == 2
