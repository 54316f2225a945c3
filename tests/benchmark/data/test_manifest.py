"""Splits depend on the contents of images alone, and no test image is trained on."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data import manifest
from benchmark.data.manifest import Digests, ImageFile, Splits, digest_of, scan, split
from benchmark.errors import UserError
from benchmark.files import sha256_of_bytes

DIGESTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=60, unique=True)


def image(content: int, name: str | None = None) -> ImageFile:
    name = name or f"{content}.jpg"
    return ImageFile(name, Path("/dataset") / name, sha256_of_bytes(str(content).encode()))


def split_of_each(splits: Splits) -> dict[str, str]:
    """Return digest → split of each image."""
    return {
        image.digest: name for name in ("train", "val", "test") for image in getattr(splits, name)
    }


@given(DIGESTS, st.integers(0, 10**9), st.integers(0, 3))
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
    dataset += [
        image(100, "val/a.jpg"),
        image(101, "test/a.jpg"),
        image(102, "testing/a.jpg"),
    ]
    splits = split(dataset, [], 0)
    assert [file.name for file in splits.val] == ["val/a.jpg"]
    assert [file.name for file in splits.test] == ["test/a.jpg"]
    assert len(splits.train) == 21  # a folder of another name has no meaning


def test_without_a_val_folder_some_of_train_is_held_out() -> None:
    dataset = [image(n, f"train/{n}.jpg") for n in range(400)]
    splits = split(dataset, [image(1000)], 0)
    assert len(splits.val) / 400 == pytest.approx(0.15, abs=0.05)
    assert len(splits.train) + len(splits.val) == 400


def test_dataset_test_is_never_trained_on_even_with_test_images() -> None:
    dataset = [image(n, f"{'test' if n % 2 else 'train'}/{n}.jpg") for n in range(200)]
    dataset += [image(1, "train/copy.jpg")]  # the same image as test/1.jpg
    given_tests = [image(1000), image(1001)]
    splits = split(dataset, given_tests, 0)
    assert splits.test == given_tests
    used = {file.digest for file in splits.train + splits.val}
    assert not used & {file.digest for file in dataset if file.name.startswith("test/")}


def test_an_image_in_training_and_test_is_named_and_not_trained_on() -> None:
    dataset = [image(n) for n in range(100)]
    tests = [image(3, "other name.png"), image(500)]
    splits = split(dataset, tests, 0)
    assert splits.test == tests
    assert image(3).digest not in {file.digest for file in splits.train + splits.val}
    assert len(splits.train) + len(splits.val) == 99
    (warning,) = splits.warnings
    assert "3.jpg" in warning


@given(
    st.lists(st.tuples(st.integers(0, 15), st.sampled_from(["", "train/", "val/", "test/"]))),
    st.lists(st.integers(0, 15), max_size=3),
)
def test_no_content_is_in_two_splits(files: list[tuple[int, str]], tests: list[int]) -> None:
    dataset = [image(content, f"{folder}{i}.jpg") for i, (content, folder) in enumerate(files)]
    splits = split(dataset, [image(content, f"{content}") for content in tests], 0)
    train, val, test = (
        {file.digest for file in part} for part in (splits.train, splits.val, splits.test)
    )
    assert not train & test
    assert not train & val
    assert not val & test
    assert {file.digest for file in dataset} - (train | val | test) <= {
        file.digest for file in dataset if file.name.startswith("test/")
    }


def test_the_digest_of_a_set_depends_on_contents_and_not_on_names_or_order() -> None:
    images = [image(n) for n in range(10)]
    renamed = [image(n, f"b/{n}.png") for n in reversed(range(10))]
    assert digest_of(images) == digest_of(renamed)
    assert digest_of(images) != digest_of(images[1:])
    assert digest_of(images) != digest_of([*images, images[0]])
    assert digest_of(images) != digest_of([*images[1:], image(99)])


def test_a_folder_is_listed_by_name_with_the_digests_of_its_files(
    tmp_path: Path, images_folder: Path
) -> None:
    (images_folder / "notes.txt").write_text("not an image")
    deep = images_folder / "a" / "b"
    deep.mkdir(parents=True)
    shutil.copy(images_folder / "image_000.png", deep / "again.PNG")
    found = scan(images_folder, Digests(tmp_path / "digests.json"))
    assert [file.name for file in found] == sorted(file.name for file in found)
    assert found[0].name == "a/b/again.PNG"
    assert len(found) == 25
    for file in found:
        assert file.digest == sha256_of_bytes(file.path.read_bytes())
    assert found[0].digest == next(file.digest for file in found if file.name == "image_000.png")


def test_a_missing_folder_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        scan(tmp_path / "missing", Digests(tmp_path / "digests.json"))


def test_files_are_hashed_once_and_again_after_a_change(
    tmp_path: Path, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return sha256_of_bytes(path.read_bytes())

    monkeypatch.setattr(manifest, "sha256_of_file", counted)

    def listed() -> tuple[list[ImageFile], int]:
        read.clear()
        digests = Digests(tmp_path / "cache" / "digests.json")
        found = scan(images_folder, digests)
        digests.save()
        return found, len(read)

    first, n = listed()
    assert n == 24
    assert listed() == (first, 0)
    changed = images_folder / "image_003.png"
    changed.write_bytes(changed.read_bytes() + b"\0")
    os.utime(changed, ns=(1, 1))
    second, n = listed()
    assert n == 1
    assert [a == b for a, b in zip(first, second, strict=True)].count(False) == 1


def test_a_file_without_permission_does_not_stop_the_others(
    tmp_path: Path, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:  # simulated, since root may read everything
        if path.name == "image_003.png":
            raise PermissionError(13, "Permission denied")
        return sha256_of_bytes(path.read_bytes())

    monkeypatch.setattr(manifest, "sha256_of_file", refuse)
    digests = Digests(tmp_path / "digests.json")
    found = scan(images_folder, digests)
    assert len(found) == len({file.digest for file in found}) == 24
    # Decoding reports the file. Once it is readable, it has its real digest.
    monkeypatch.undo()
    again = scan(images_folder, digests)
    assert [a == b for a, b in zip(found, again, strict=True)].count(False) == 1
