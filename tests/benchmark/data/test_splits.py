"""Splits follow folders and the contents of images, and no test image is trained on."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.manifest import ImageFile
from benchmark.data.splits import Splits, split
from benchmark.files import sha256_of_bytes

DIGESTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=60, unique=True)
MANY = st.lists(st.integers(0, 10**6), min_size=100, max_size=160, unique=True)
SPLITS = {"train": "train", "Val": "val", "Test": "reserved"}


def image(content: int, name: str | None = None) -> ImageFile:
    name = name or f"{content}.jpg"
    return ImageFile(name, Path("/dataset") / name, sha256_of_bytes(str(content).encode()))


def split_of_each(splits: Splits) -> dict[str, str]:
    """Return digest → split of each image."""
    return {
        image.digest: name for name in ("train", "val", "test") for image in getattr(splits, name)
    }


@given(MANY, st.integers(0, 10**9), st.integers(0, 3))
def test_adding_an_image_changes_no_other_images_split(
    contents: list[int], added: int, seed: int
) -> None:
    before = split_of_each(split([image(c) for c in contents], [], seed))
    after = split_of_each(split([image(c) for c in {*contents, added}], [], seed))
    assert before.items() <= after.items()
    assert len(before) == len(contents)


@given(DIGESTS)
def test_renaming_and_reordering_changes_no_images_split(contents: list[int]) -> None:
    before = split_of_each(split([image(c) for c in contents], [], 0))
    renamed = [image(c, f"folder/{i}.png") for i, c in enumerate(reversed(contents))]
    assert split_of_each(split(renamed, [], 0)) == before


def test_10_percent_are_test_images_and_15_percent_of_the_rest_validation_images() -> None:
    images = [image(content) for content in range(4000)]
    for seed in (0, 8000):
        splits = split(images, [], seed)
        assert len(splits.test) / 4000 == pytest.approx(0.10, abs=0.015)
        rest = 4000 - len(splits.test)
        assert len(splits.val) / rest == pytest.approx(0.15, abs=0.02)
        assert len(splits.train) + len(splits.val) == rest
        assert splits.warnings == []
    assert split_of_each(split(images, [], 0)) != split_of_each(split(images, [], 8000))


def test_given_folders_are_used_as_they_are() -> None:
    dataset = [image(n, f"{('train', 'val', 'test')[n % 3]}/{n}.jpg") for n in range(300)]
    splits = split(dataset, [], 0)
    assert splits.train == dataset[0::3]
    assert splits.val == dataset[1::3]
    assert splits.test == dataset[2::3]
    assert splits.warnings == []


def test_images_outside_the_given_folders_are_trained_on() -> None:
    dataset = [image(n, f"{n}.jpg") for n in range(20)]
    dataset += [image(100, "val/a.jpg"), image(101, "test/a.jpg"), image(102, "latest/a.jpg")]
    splits = split(dataset, [], 0)
    assert [file.name for file in splits.val] == ["val/a.jpg"]
    assert [file.name for file in splits.test] == ["test/a.jpg"]
    assert len(splits.train) == 21  # a folder of another name has no meaning
    assert splits.warnings == []


def test_without_a_val_folder_some_of_train_is_held_out() -> None:
    dataset = [image(n, f"train/{n}.jpg") for n in range(400)]
    splits = split(dataset, [image(1000)], 0)
    assert len(splits.val) / 400 == pytest.approx(0.15, abs=0.05)
    assert len(splits.train) + len(splits.val) == 400


def test_a_test_folder_is_never_trained_on_even_with_test_images() -> None:
    dataset = [image(n, f"{'test' if n % 2 else 'train'}/{n}.jpg") for n in range(200)]
    given_tests = [image(1000), image(1001)]
    splits = split(dataset, given_tests, 0)
    assert splits.test == given_tests
    assert splits.reserved == dataset[1::2]
    assert len(splits.train) + len(splits.val) == 100


@given(MANY, st.lists(st.integers(0, 9), max_size=3), st.integers(0, 3))
def test_every_file_is_in_one_part(contents: list[int], tests: list[int], seed: int) -> None:
    folders = ["", "train/", "val/", "test/", "my test/", "a/Validation/b/"]
    dataset = [image(c, f"{folders[c % 6]}{c}.jpg") for c in contents]
    splits = split(dataset, [image(c, f"{c}") for c in tests], seed)
    given = {} if not tests else {f"{c}" for c in tests}
    parts = [splits.train, splits.val, splits.test, splits.reserved]
    found = sorted(file.name for part in parts for file in part if file.name not in given)
    assert found == sorted(file.name for file in dataset)
    held_back = {file.name for file in dataset if "test" in file.name}
    assert held_back <= {file.name for file in splits.test + splits.reserved}


# ---- few images ----------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=30, unique=True), st.integers(0, 50))
def test_from_three_images_on_each_split_has_one(contents: list[int], seed: int) -> None:
    splits = split([image(content) for content in contents], [], seed)
    assert min(len(splits.train), len(splits.val), len(splits.test)) >= 1


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=30, unique=True), st.integers(0, 50))
def test_from_two_images_on_one_is_held_out_beside_a_test(contents: list[int], seed: int) -> None:
    splits = split([image(content) for content in contents], [image(-1)], seed)
    assert min(len(splits.train), len(splits.val)) >= 1


@given(st.integers(3, 9), st.integers(0, 50))
def test_an_image_in_two_formats_is_one_image(count: int, seed: int) -> None:
    files = [image(n) for n in range(2 * count)]
    contents = {file.digest: str(n // 2) for n, file in enumerate(files)}
    splits = split(files, [], seed, contents)
    parts = [{contents[f.digest] for f in part} for part in (splits.train, splits.val, splits.test)]
    assert all(parts)
    assert sum(map(len, parts)) == count
    # A single file is drawn as if nothing was known of the contents.
    alone = {file.digest: str(n) for n, file in enumerate(files)}
    assert split(files, [], seed, alone) == split(files, [], seed)


# ---- names of folders ----------------------------------------------------------------------------


def folders_as(*names: str) -> dict[str, str]:
    """Return the split of each folder when each holds 20 images."""
    dataset = [image(hash((name, n)), f"{name}/{n}.jpg") for name in names for n in range(20)]
    splits = split(dataset, [image(-1, "given.png")], 0)
    assert splits.warnings == []
    found: dict[str, set[str]] = {name: set() for name in names}
    # The given test image moves those of test folders to `reserved`.
    for part in ("train", "val", "reserved"):
        for file in getattr(splits, part):
            found[file.name.rpartition("/")[0]].add(part)
    return {name: min(parts) if len(parts) == 1 else "mixed" for name, parts in found.items()}


NAMES = [
    ("Train", "Val", "Test"),
    ("TRAIN", "VALIDATION", "TEST"),
    ("training", "valid", "testing"),
    ("train_images", "val_images", "test_images"),
    ("train2017", "val2017", "test2017"),
    ("TrainSet", "ValSet", "TestSet"),
    ("trainA", "validation", "testB"),
    ("trainval", "1-val", "tests"),
    ("trainimages", "imagesval", "testimages"),
    ("Trainingsbilder", "Validierung", "Testbilder"),
    ("обучение", "валидация", "тест"),
    ("训练集", "验证集", "测试集"),
    ("VOCtrainval_06-Nov-2007", "VOCval_06-Nov-2007", "VOCtest_06-Nov-2007"),
    ("seg_train/seg_train", "seg_val/seg_val", "seg_test/seg_test"),
    ("ILSVRC2012_img_train", "ILSVRC2012_img_val", "ILSVRC2012_img_test"),
]


@pytest.mark.parametrize("prefix", ["", "archive/", "a/b/c/", "train_test_split/", "test/"])
@pytest.mark.parametrize(("train", "val", "test"), NAMES)
def test_split_folders_are_recognized(prefix: str, train: str, val: str, test: str) -> None:
    names = {f"{prefix}{train}": "train", f"{prefix}{val}": "val", f"{prefix}{test}": "reserved"}
    assert folders_as(*names) == names


def test_split_folders_within_classes_and_classes_within_splits_are_recognized() -> None:
    names = {f"{c}/{s}": r for c in ("cats", "dogs") for s, r in SPLITS.items()}
    assert folders_as(*names) == names
    names = {f"{s}/{c}": r for c in ("cats", "dogs") for s, r in SPLITS.items()}
    assert folders_as(*names) == names


def test_a_test_within_another_split_is_held_back() -> None:
    names = {"train": "train", "train/test": "reserved", "test/train": "reserved", "val": "val"}
    assert folders_as(*names) == names


def test_folders_that_differ_in_the_split_alone_are_splits() -> None:
    names = {"flowers-train": "train", "flowers-val": "val", "flowers-test": "reserved"}
    assert folders_as(*names) == names


@pytest.mark.parametrize("name", ["my test", "test drive", "ILSVRC_test", "train_test"])
def test_what_only_looks_like_a_test_is_neither_trained_on_nor_tested(name: str) -> None:
    dataset = [image(n, f"{name}/{n}.jpg") for n in range(20)]
    rest = [image(n, f"photos/{n}.jpg") for n in range(20, 80)]
    splits = split(dataset + rest, [], 0)
    assert splits.reserved == dataset
    (warning,) = splits.warnings
    assert name in warning
    assert "20 images" in warning


@pytest.mark.parametrize("name", ["my val", "train of thought", "ILSVRC_val"])
def test_what_only_looks_like_another_split_is_warned_of(name: str) -> None:
    splits = split([image(n, f"{name}/{n}.jpg") for n in range(60)], [], 0)
    assert splits.reserved == []
    (warning,) = splits.warnings
    assert name in warning


def test_splits_with_a_further_word_beside_plain_ones_are_warned_of() -> None:
    names = ["train/a", "test/b", "train_depth/c", "test_depth/d"]
    (warning,) = split([image(n, name) for n, name in enumerate(names)], [], 0).warnings
    assert "test_depth, train_depth" in warning
    assert "move them out of the dataset" in warning
    for others in (names[:2], names[2:], ["trainA/a", "trainB/b", "testA/c", "testB/d"]):
        files = [image(n, name) for n, name in enumerate(others)]
        assert not split(files, [], 0).warnings


@pytest.mark.parametrize(
    ("photos", "masks"),
    [
        (["train", "test"], ["train_masks", "test_masks"]),
        ([], ["train_masks", "test_masks"]),
        (["images/train", "images/val"], ["masks/train", "masks/val"]),
        (["train/images", "test/images"], ["train/labels", "test/labels"]),
        (["train", "val"], ["trainannot", "valannot"]),
        (["JPEGImages"], ["SegmentationClass", "Annotations"]),
    ],
)
def test_masks_are_neither_trained_nor_tested_on(photos: list[str], masks: list[str]) -> None:
    files = [image(hash((f, n)), f"{f}/{n}.png") for f in photos + masks for n in range(20)]
    for splits in (split(files, [], 0), split([image(-1, "a.png")], files, 0)):
        used = {file.name.rpartition("/")[0] for file in splits.train + splits.val + splits.test}
        assert used - {""} == set(photos)
        found = {file.name.rpartition("/")[0] for file in splits.reserved}
        assert found == set(masks)
        warned = [part for part in splits.warnings if "holds masks, by its name" in part]
        assert len(warned) == len(
            {mask.removesuffix("/train").removesuffix("/val") for mask in masks}
        )


@pytest.mark.parametrize(
    "names", [["mask", "hat"], ["001", "mask"], ["gas_mask", "labels of beer"]]
)
def test_classes_of_photos_named_mask_are_no_masks(names: list[str]) -> None:
    splits = split([image(n, f"{name}/{n}.jpg") for name in names for n in range(60)], [], 0)
    assert splits.reserved == []


@pytest.mark.parametrize(
    "name", ["contest", "latest", "trains", "validity", "Testa Rossa", "values"]
)
def test_other_folders_mean_nothing(name: str) -> None:
    splits = split([image(n, f"{name}/{n}.jpg") for n in range(60)], [], 0)
    assert splits.origins == {"test": "held out", "val": "held out"}
    assert splits.warnings == []
