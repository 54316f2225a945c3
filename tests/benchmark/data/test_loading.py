"""Loading images: which are used, which are left out, and which messages report it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color as skimage_color

from benchmark.colorizer import Colorizer
from benchmark.data import decoded_splits, loading
from benchmark.data import sources as sources_module
from benchmark.data.augmentation import stored_size
from benchmark.data.cache import ImageSet
from benchmark.data.cartoon import sample as cartoon
from benchmark.data.loading import TrainingData, load_test, load_training, measure
from benchmark.data.manifest import ImageFile
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.rows import StoredRows, in_memory
from benchmark.data.sources import Sources, locate
from benchmark.errors import UserError
from benchmark.evaluation.baselines import Gray
from benchmark.settings import Settings

SIZE = 32


class Plain(Settings):
    """The settings that every model has."""

    model_class: ClassVar[type[Colorizer]] = Gray


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the project's own Dataset/ and TestImages/ by empty folders."""
    for name, constant in (("Dataset", "DATASET"), ("TestImages", "TEST_IMAGES")):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(sources_module, constant, tmp_path / name)


def sources_of(tmp_path: Path, folder: Path, tests: Path | None = None) -> Sources:
    given = str(tests) if tests else None
    return locate(str(folder), given, tmp_path / "Results")


def train_on(
    tmp_path: Path, folder: Path, drop_grayscale: bool = True, **options: float
) -> TrainingData:
    settings = Plain(size=SIZE, drop_grayscale=drop_grayscale, **options)
    return load_training(sources_of(tmp_path, folder), settings)


def names(images: ImageSet) -> set[str]:
    return {image.name for image in images.files}


# ---- folders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--dataset", "--test_images"])
def test_missing_and_empty_folders_are_reported_in_one_sentence(
    tmp_path: Path, images_folder: Path, option: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    empty = "holds no image that is read, but 1 (.txt: no image format); add images"
    problems = {"missing": "does not exist; check the path", "empty": empty}
    for folder, problem in problems.items():
        path = str(tmp_path / folder)
        given = {"--dataset": str(images_folder), "--test_images": None, option: path}
        with pytest.raises(UserError) as caught:
            locate(given["--dataset"], given["--test_images"], tmp_path / "Results")
        assert str(caught.value) == f"{option}: the folder {path} {problem}."


def test_test_images_are_never_the_sample(tmp_path: Path, images_folder: Path) -> None:
    with pytest.raises(UserError, match="--test_images: the folder cartoon does not exist"):
        locate(str(images_folder), "cartoon", tmp_path / "Results")


def test_the_projects_own_folders_are_used_when_they_hold_images(
    tmp_path: Path, fill_folder: Callable[..., list[Path]]
) -> None:
    fill_folder(tmp_path / "Dataset", range(2))
    assert locate(None, None, tmp_path).dataset == tmp_path / "Dataset"
    assert locate(None, None, tmp_path).test_images is None
    fill_folder(tmp_path / "TestImages", range(2))
    assert locate(None, None, tmp_path).test_images == tmp_path / "TestImages"


def test_without_images_the_sample_is_drawn_and_its_masks_are_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = {"train": 4, "val": 2, "test": 2}
    monkeypatch.setattr(cartoon, "COUNTS", counts)
    sources = locate(None, None, tmp_path / "Results")
    assert "built-in sample" in capsys.readouterr().err
    assert sources == locate("cartoon", None, tmp_path / "Results")
    assert "built-in sample" not in capsys.readouterr().err  # the sample was named
    data, test = (
        load_training(sources, Plain(size=SIZE)),
        load_test(sources, Preprocessing(SIZE), 0),
    )
    found = {"train": len(data.train), "val": len(data.val), "test": len(test)}
    assert found == counts
    assert "arning" not in capsys.readouterr().err


def test_a_folder_that_cannot_hold_the_sample_is_reported_in_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "Results" / ".cache" / f"cartoon-v{cartoon.VERSION}"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("not to be lost")
    with pytest.raises(UserError, match=r"cannot be drawn into .*--results") as caught:
        locate("cartoon", None, tmp_path / "Results")
    assert str(folder) in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


# ---- usable images -------------------------------------------------------------------------------


def test_images_have_the_right_sizes_and_splits(tmp_path: Path, images_folder: Path) -> None:
    sources = sources_of(tmp_path, images_folder)
    data = load_training(sources, Plain(size=SIZE))
    test = load_test(sources, Preprocessing(SIZE), Plain().split_seed)
    assert data.train.rgb8.shape[1:] == (3, *[stored_size(SIZE, "crop")] * 2)
    assert data.val.rgb8.shape[1:] == test.rgb8.shape[1:] == (3, SIZE, SIZE)
    assert len(data.train) + len(data.val) + len(test) == 24
    assert not names(data.train) & names(data.val)
    assert not (names(data.train) | names(data.val)) & names(test)
    assert data.training_set.n_train == len(data.train)
    assert data.training_set.n_val == len(data.val)
    assert data.training_set.n_unusable == 0
    assert data.train_digests == sorted(file.digest for file in data.train.files)


def test_a_folder_of_broken_files_is_reported_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.jpg").write_text(f"text {number}")
    sources = sources_of(tmp_path, folder)
    with pytest.raises(UserError, match="of 30 image files, 0 can be used") as caught:
        load_training(sources, Plain(size=SIZE))
    assert str(folder) in str(caught.value)
    messages = capsys.readouterr().err
    assert "cannot be used and are left out (30)" in messages
    assert "(not an image)" in messages
    with pytest.raises(UserError, match="0 for the test") as caught:
        load_test(sources, Preprocessing(SIZE), 8000)
    assert str(folder) in str(caught.value)


def test_broken_files_among_good_ones_are_counted_and_named(
    tmp_path: Path, images_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = images_folder / "train"
    train.mkdir()
    (train / "text.jpg").write_text("text")
    (train / "truncated.jpg").write_bytes((images_folder / "image_016.jpg").read_bytes()[:300])
    Image.new("RGB", (1, 1)).save(train / "small.png")
    # With val/ and test/ given, all other images are for training.
    for name in ("val", "test"):
        (images_folder / name).mkdir()
    shutil.move(images_folder / "image_000.png", images_folder / "val")
    shutil.move(images_folder / "image_001.png", images_folder / "test")
    data = train_on(tmp_path, images_folder)
    assert len(data.train) == 22
    assert data.training_set.n_unusable == 3
    messages = capsys.readouterr().err
    assert "cannot be used and are left out (3)" in messages
    for name in ("train/text.jpg", "train/truncated.jpg", "train/small.png"):
        assert name in messages


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_images_are_counted_in_one_sentence(
    tmp_path: Path, fill_folder: Callable[..., list[Path]], count: int
) -> None:
    fill_folder(tmp_path / "few", range(count))
    sources = sources_of(tmp_path, tmp_path / "few")
    with pytest.raises(
        UserError, match=f"of {count} image files.* needs at least three different images"
    ) as caught:
        load_training(sources, Plain(size=SIZE), is_tested=True)
    assert re.search(r"\d can be used for training, \d for validation and 0 for", str(caught.value))


@pytest.mark.parametrize("broken", [0, 1, 2, 4])
def test_three_usable_images_suffice_for_all_splits(
    tmp_path: Path, fill_folder: Callable[..., list[Path]], broken: int
) -> None:
    folder = tmp_path / "few"
    fill_folder(folder, range(3))
    for number in range(broken):
        (folder / f"{number}.jpg").write_text(f"text {number}")
    sources = sources_of(tmp_path, folder)
    data = load_training(sources, Plain(size=SIZE), is_tested=True)
    test = load_test(sources, Preprocessing(SIZE), 8000)
    assert (len(data.train), len(data.val), len(test)) == (1, 1, 1)
    assert len(names(data.train) | names(data.val) | names(test)) == 3
    assert len(data.report.failures) == broken


@pytest.mark.parametrize("split", ["val", "Test_Images"])
def test_images_that_are_all_held_back_from_training_are_named_with_the_remedy(
    tmp_path: Path, fill_folder: Callable[..., list[Path]], split: str
) -> None:
    folder = tmp_path / "flowers"
    fill_folder(folder / split, range(6))
    with pytest.raises(UserError, match=f"of {split}/.*folder train beside") as caught:
        load_training(sources_of(tmp_path, folder), Plain(size=SIZE), is_tested=True)
    assert "0 can be used for training" in str(caught.value)
    fill_folder(folder / "train", range(6, 12))  # the remedy
    assert len(load_training(sources_of(tmp_path, folder), Plain(size=SIZE)).train) >= 3


def test_copies_of_one_file_are_one_image(
    tmp_path: Path, fill_folder: Callable[..., list[Path]]
) -> None:
    (first,) = fill_folder(tmp_path / "same", [0])
    for number in range(4):
        shutil.copy(first, tmp_path / "same" / f"copy_{number}.png")
    with pytest.raises(UserError, match="needs at least three different images"):
        load_training(sources_of(tmp_path, tmp_path / "same"), Plain(size=SIZE), is_tested=True)


@pytest.mark.parametrize("seed", range(4))
def test_an_image_in_two_formats_is_in_one_split(
    tmp_path: Path, fill_folder: Callable[..., list[Path]], seed: int
) -> None:
    folder = tmp_path / "twice"
    for path in fill_folder(folder, range(3)):
        Image.open(path).save(path.with_suffix(".bmp"))
    sources = sources_of(tmp_path, folder)
    data = load_training(sources, Plain(size=SIZE, split_seed=seed), is_tested=True)
    test = load_test(sources, Preprocessing(SIZE), seed)
    stems = [{Path(name).stem for name in names(part)} for part in (data.train, data.val, test)]
    assert [len(part) for part in stems] == [1, 1, 1]
    assert len(set.union(*stems)) == 3


def test_the_masks_of_a_copy_of_the_sample_are_no_images(tmp_path: Path) -> None:
    counts = {"train": 3, "val": 1, "test": 1}
    cartoon.write_sample(tmp_path / "copied", counts=counts)
    data = train_on(tmp_path, tmp_path / "copied")
    assert (len(data.train), len(data.val)) == (3, 1)


# ---- gray images ---------------------------------------------------------------------------------


@pytest.fixture
def with_gray(images_folder: Path) -> Path:
    """24 images in color and 4 grayscale ones: two to train on, one to validate, one to test."""
    for name in ("train/gray_1.jpg", "train/gray_2.jpg", "val/gray_3.jpg", "test/gray_4.jpg"):
        (images_folder / name).parent.mkdir(exist_ok=True)
        source = Image.open(images_folder / f"image_00{name[-5]}.png")
        source.convert("L").convert("RGB").save(images_folder / name)
    return images_folder


def test_grayscale_files_are_reported_and_not_trained_on(
    tmp_path: Path, with_gray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = train_on(tmp_path, with_gray)
    assert len(data.train) == data.training_set.n_train == 24
    assert not any("gray" in name for name in names(data.train))
    messages = capsys.readouterr().err
    assert "2 grayscale files are not trained on: train/gray_1.jpg, train/gray_2.jpg." in messages


def test_grayscale_files_that_the_settings_keep_are_reported(
    tmp_path: Path, with_gray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = train_on(tmp_path, with_gray, drop_grayscale=False)
    assert len(data.train) == 26
    message = "2 grayscale files are trained on, since drop_grayscale is false: train/gray_1.jpg, "
    assert message in capsys.readouterr().err


def test_grayscale_files_stay_in_a_test(tmp_path: Path, with_gray: Path) -> None:
    images = load_test(sources_of(tmp_path, with_gray), Preprocessing(SIZE), 8000)
    assert names(images) == {"test/gray_4.jpg"}


def test_images_below_min_colorfulness_are_left_out(
    tmp_path: Path, with_gray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dull = Image.new("RGB", (32, 32), (100, 110, 120))
    dull.save(with_gray / "train" / "dull.png")
    assert len(train_on(tmp_path, with_gray).train) == 25
    assert len(train_on(tmp_path, with_gray, min_colorfulness=12.0).train) == 24
    assert "min_colorfulness asks are left out (1): train/dull.png" in capsys.readouterr().err


def test_a_folder_of_grayscale_files_is_reported_in_one_sentence(
    tmp_path: Path, with_gray: Path
) -> None:
    for path in with_gray.glob("image_*"):
        path.unlink()
    with pytest.raises(UserError, match=r"0 can be used for training.*in color"):
        train_on(tmp_path, with_gray)


# ---- splits depend on content, not on names ------------------------------------------------------


def test_renaming_files_does_not_change_the_data(tmp_path: Path, images_folder: Path) -> None:
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted(images_folder.iterdir(), reverse=True)):
        shutil.copy(path, renamed / f"{number:02d}{path.suffix.upper()}")
    first, second = train_on(tmp_path, images_folder), train_on(tmp_path, renamed)
    assert torch.equal(first.val.rgb8, second.val.rgb8)
    for name in ("n_train", "n_val", "manifest"):
        assert getattr(first.training_set, name) == getattr(second.training_set, name)
    assert first.train_digests == second.train_digests
    assert first.statistics.ab_mean == pytest.approx(second.statistics.ab_mean)
    assert names(first.train).isdisjoint(names(second.train))


def test_too_many_validation_images_are_reduced_to_a_fixed_subset(
    tmp_path: Path, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = train_on(tmp_path, images_folder).val
    assert len(full) > 1
    monkeypatch.setattr(loading, "MOST_VALIDATION_IMAGES", 1)
    reduced = train_on(tmp_path, images_folder).val
    assert reduced.files == full.files[:1]
    assert torch.equal(reduced.rgb8, full.rgb8[:1])


# ---- statistics ----------------------------------------------------------------------------------


def images_of(rgb8: np.ndarray) -> ImageSet:
    """Return uint8 (N, H, W, 3) as images without files."""
    files = [ImageFile(str(n), Path(str(n)), str(n)) for n in range(len(rgb8))]
    return ImageSet(files, torch.from_numpy(rgb8.transpose(0, 3, 1, 2).copy()), {})


def test_statistics_equal_numpys_over_scikit_images_lab() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (7, 1, 1, 3))  # one color per image, plus noise
    rgb8 = np.clip(base + rng.normal(0, 20, (7, 16, 16, 3)), 0, 255).astype(np.uint8)
    ab = skimage_color.rgb2lab(rgb8)[..., 1:].reshape(-1, 2)
    mean, std = ab.mean(axis=0), ab.std(axis=0, ddof=1)
    found = measure(images_of(rgb8))
    np.testing.assert_allclose(found.ab_mean, mean, atol=2e-3)
    np.testing.assert_allclose(found.ab_std, std, rtol=1e-4)
    limit = np.quantile(np.abs(ab - mean) / std, 0.999)
    assert found.ab_limit == pytest.approx(limit, rel=0.01)


def test_the_noise_of_nearly_gray_images_is_not_amplified() -> None:
    gray = np.full((3, 16, 16, 3), 100, np.uint8)
    found = measure(images_of(gray))
    assert found.ab_std == (1.0, 1.0)
    np.testing.assert_allclose(found.ab_mean, 0, atol=0.01)


def test_a_large_set_is_measured_on_images_that_are_spread_evenly() -> None:
    rgb8 = np.zeros((101, 16, 16, 3), np.uint8)
    rgb8[::2] = (200, 80, 20)  # every second image: the 51 that are measured
    rgb8[1::2] = (10, 80, 220)
    few = measure(images_of(rgb8), most=51)
    lab = skimage_color.rgb2lab(np.array([[[200, 80, 20]]], np.uint8))[0, 0]
    np.testing.assert_allclose(few.ab_mean, lab[1:], atol=1e-2)


def test_nothing_takes_the_place_of_a_test_folder_of_broken_files(
    tmp_path: Path, fill_folder: Callable[..., list[Path]]
) -> None:
    fill_folder(tmp_path / "data" / "train", range(20))
    (tmp_path / "data" / "test").mkdir()
    (tmp_path / "data" / "test" / "a.jpg").write_text("text")
    sources = sources_of(tmp_path, tmp_path / "data")
    assert len(load_training(sources, Plain(size=SIZE)).train)
    for load in (
        lambda: load_training(sources, Plain(size=SIZE), is_tested=True),
        lambda: load_test(sources, Preprocessing(SIZE), 8000),
    ):
        with pytest.raises(UserError, match="0 for the test"):
            load()


@pytest.mark.parametrize("seed", range(12))
def test_a_training_and_a_later_test_draw_the_same_splits(
    tmp_path: Path, fill_folder: Callable[..., list[Path]], seed: int
) -> None:
    """Also where some files cannot be used, and whether or not the training knows of the test."""
    fill_folder(tmp_path / "data", range(20 * seed, 20 * seed + 3 + seed % 4))
    for number in range(1 + seed % 6):
        (tmp_path / "data" / f"{number}.jpg").write_text(f"text {seed} {number}")
    sources = sources_of(tmp_path, tmp_path / "data")
    tested = load_training(sources, Plain(size=SIZE), is_tested=True)
    trained = load_training(sources, Plain(size=SIZE))
    test = load_test(sources, Preprocessing(SIZE), 8000)
    assert names(trained.train) == names(tested.train)
    assert names(trained.val) == names(tested.val)
    assert not names(test) & (names(trained.train) | names(trained.val))


def test_the_squares_of_a_large_test_stay_in_files(
    tmp_path: Path, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a training, and of a test without a cache, are in memory."""
    sources = sources_of(tmp_path, images_folder)
    whole = load_test(sources, Preprocessing(SIZE), 0)
    monkeypatch.setattr(decoded_splits, "MOST_OF_TEST", len(whole) * 3 * SIZE**2 - 1)
    stored = load_test(sources, Preprocessing(SIZE), 0)
    assert isinstance(stored.rgb8, StoredRows)
    assert torch.equal(in_memory(stored.rgb8), in_memory(whole.rgb8))
    assert isinstance(load_test(sources, Preprocessing(SIZE), 0, cached=False).rgb8, torch.Tensor)
    assert isinstance(train_on(tmp_path, images_folder).train.rgb8, torch.Tensor)
