"""Folders as arrays: what is written, how it is split, and that it is read as the same pixels."""

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmark.data.arrays import stratify
from benchmark.data.loading import load_test
from benchmark.data.npz import BATCH_BYTES
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.sources import locate_test
from benchmark.errors import UserError
from benchmark.jobs.to_npz import to_npz
from benchmark.results.arrays import ArraySettings, Normalization

SIZE = 32
RANGES = {"none": (0, 255), "01": (0, 1), "11": (-1, 1)}


def settings(**changed: object) -> ArraySettings:
    values = {"size": SIZE, "test_size": 0.25, "seed": 42, "normalize": "none", **changed}
    return ArraySettings.model_validate(values)


@pytest.fixture
def photos(tmp_path: Path, fill_folder: Callable[..., list[Path]]) -> Path:
    """Images of two categories, and some files that cannot be used."""
    folder = tmp_path / "photos"
    fill_folder(folder / "cats", range(8))
    fill_folder(folder / "dogs/small", range(8, 20))
    (folder / "notes.txt").write_text("no image")
    (folder / "cats/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    Image.new("RGB", (9, 9)).save(folder / "tiny.png")
    return folder


def pixels(folder: Path, results: Path) -> dict[bytes, str]:
    """Return the pixels of all images of a test → the category of each."""
    images = load_test(locate_test(None, str(folder), results), Preprocessing(SIZE), 0)
    files = (file.name.rpartition("/")[0] for file in images.files)
    return {rgb8.numpy().tobytes(): name for rgb8, name in zip(images.rgb8, files, strict=True)}


# ---- what is written -----------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", ["none", "01", "11"])
def test_reading_what_was_written_gives_the_pixels_of_the_folder(
    photos: Path, tmp_path: Path, normalize: Normalization
) -> None:
    to_npz(photos, tmp_path / "out", settings(normalize=normalize), overwrite=False)
    found = [pixels(tmp_path / "out" / name, tmp_path) for name in ("train.npz", "test.npz")]
    assert found[0] | found[1] == pixels(photos, tmp_path)
    assert [len(part) for part in found] == [15, 5]
    (tmp_path / "out/metadata.json").unlink()  # the same by the range of the values alone
    assert pixels(tmp_path / "out/train.npz", tmp_path / "other") == found[0]


@pytest.mark.parametrize("normalize", ["none", "01", "11"])
def test_numpy_reads_the_arrays_without_pickle(
    photos: Path, tmp_path: Path, normalize: Normalization
) -> None:
    written = to_npz(photos, tmp_path, settings(normalize=normalize), overwrite=False)
    dtype = np.uint8 if normalize == "none" else np.float32
    low, high = RANGES[normalize]
    for name, file in written.files.items():
        with np.load(tmp_path / name, allow_pickle=False) as arrays:
            rgb, gray, labels, names = (
                arrays[key] for key in ("rgb", "grayscale", "labels", "category_names")
            )
            assert {key: [*arrays[key].shape] for key in arrays} == file.shapes
        assert rgb.shape == (file.images, SIZE, SIZE, 3)
        assert gray.shape == (file.images, SIZE, SIZE, 1)
        assert (rgb.dtype, gray.dtype) == (dtype, dtype)
        assert low <= rgb.min() < rgb.max() <= high
        assert [*names] == ["cats", "dogs/small"]
        counts = Counter(names[label].item() for label in labels)
        assert counts == file.categories
        rgb8 = np.rint((rgb.astype(np.float64) - low) * 255 / (high - low)).astype(np.uint8)
        luma = [np.asarray(Image.fromarray(one).convert("L")) for one in rgb8]
        level = np.rint((gray[..., 0].astype(np.float64) - low) * 255 / (high - low))
        assert (level == luma).all()


def test_metadata_and_messages_name_what_was_left_out(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to_npz(photos, tmp_path / "out", settings(), overwrite=False)
    metadata = json.loads((tmp_path / "out/metadata.json").read_text())
    assert sum(metadata["left_out"].values()) == 3
    assert metadata["left_out"][".txt: no image format"] == 1
    assert metadata["left_out"]["9×9, smaller than 16 pixels"] == 1
    err = capsys.readouterr().err
    assert "left out (2): cats/broken.png (" in err
    assert metadata["source"] == str(photos)
    assert "not L*" in metadata["grayscale"]
    assert metadata["categories"] == ["cats", "dogs/small"]


def test_nothing_is_written_over_and_the_same_images_make_the_same_files(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    to_npz(photos, out, settings(), overwrite=False)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UserError, match=r"train.npz exists: .*--overwrite"):
        to_npz(photos, out, settings(seed=1), overwrite=False)
    to_npz(photos, out, settings(), overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.jobs.to_npz.write_record", fail)
    with pytest.raises(KeyboardInterrupt):
        to_npz(photos, out, settings(seed=1), overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_folders_of_splits_and_of_masks_are_named(
    tmp_path: Path, fill_folder: Callable[..., list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    for place, name in enumerate(("train", "test", "train_masks")):
        fill_folder(folder / name, range(4 * place, 4 * place + 4))
    written = to_npz(folder, tmp_path, settings(), overwrite=False)
    assert written.categories == ["test", "train"]
    assert sum(written.left_out.values()) == 4
    assert "has folders of splits (test of test/, train of train/)" in capsys.readouterr().err


# ---- the split -----------------------------------------------------------------------------------


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    test_size=st.integers(1, 99).map(lambda percent: percent / 100),
    seed=st.integers(0, 1000),
)
def test_each_category_has_its_share_to_one_image_and_every_image_is_used_once(
    counts: list[int], test_size: float, seed: int
) -> None:
    categories = [f"category {place}" for place, count in enumerate(counts) for _ in range(count)]
    contents = [f"content {row}" for row in range(len(categories))]
    if not 0 < round(len(categories) * test_size + 1e-9) < len(categories):
        with pytest.raises(UserError, match=r"--test_size .* both need at least one"):
            stratify(categories, contents, test_size, seed)
        return
    train, test = stratify(categories, contents, test_size, seed)
    assert sorted(train + test) == [*range(len(categories))]
    assert abs(len(test) - len(categories) * test_size) <= 0.5 + 1e-9
    for place, count in enumerate(counts):
        drawn = sum(categories[row] == f"category {place}" for row in test)
        assert abs(drawn - count * test_size) < 1
    # Another order of the same files gives the same split, another seed another one of that size.
    back = stratify(categories[::-1], contents[::-1], test_size, seed)
    assert {contents[::-1][row] for row in back[1]} == {contents[row] for row in test}
    assert len(stratify(categories, contents, test_size, seed + 1)[1]) == len(test)


# ---- memory --------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_number_of_images(
    tmp_path: Path, make_image: Callable[..., Image.Image]
) -> None:
    peaks = []
    for count in (150, 1500):
        folder = tmp_path / str(count)
        folder.mkdir()
        base = np.asarray(make_image(0, 64, 64))
        for row in range(count):
            image = base.copy()
            image[0, 0] = row // 250, row % 250, 0
            Image.fromarray(image).save(folder / f"{row}.ppm")
        tracemalloc.start()
        to_npz(folder, tmp_path / "out", settings(size=64), overwrite=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert 3 * BATCH_BYTES < 1350 * 64 * 64 * 3  # what the images themselves would add
    assert peaks[1] - peaks[0] < 2 * BATCH_BYTES
