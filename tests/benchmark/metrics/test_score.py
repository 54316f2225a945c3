"""Scoring of images: batches, samples, folders, threads and memory."""

import weakref
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.color import rgb_from_8bit
from benchmark.errors import UserError
from benchmark.figures.images import save_png
from benchmark.metrics import images
from benchmark.metrics.images import colorfulness, delta_e2000
from benchmark.metrics.score import score, score_samples
from benchmark.metrics.table import METRICS
from metrics import score_folder
from tests.metric_support import random_pair, scored

OF_ONE_SAMPLE = {key for key, metric in METRICS.items() if not metric.between_samples}


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.permutations(range(5)), st.integers(1, 5))
def test_a_score_depends_neither_on_batches_nor_on_the_order_of_images(
    seed: int, order: list[int], batch_size: int
) -> None:
    prediction, truth = random_pair(seed, n=5, height=16, width=16)
    whole = scored(prediction, truth)
    shuffled = scored(prediction[order], truth[order], batch_size)
    assert whole.per_image.keys() | whole.per_set.keys() == OF_ONE_SAMPLE - {"lpips"}
    for key, values in whole.per_image.items():
        expected = [values[row] for row in order]
        np.testing.assert_allclose(shuffled.per_image[key], expected, rtol=1e-5, atol=1e-5)
    for key, found in whole.per_set.items():
        assert shuffled.per_set[key].value == pytest.approx(found.value, abs=1e-6)


def test_a_score_has_the_values_of_the_metric_functions() -> None:
    prediction, truth = random_pair(8)
    values = scored(prediction, truth).per_image
    assert {*values, "lpips"} == {key for key, metric in METRICS.items() if metric.per_image}
    pair = rgb_from_8bit(prediction), rgb_from_8bit(truth)
    for key, column in values.items():
        expected = colorfulness(pair[0]) if key == "colorfulness" else getattr(images, key)(*pair)
        np.testing.assert_allclose(column, expected, rtol=1e-6)


def test_empty_sets_and_unequal_numbers_or_sizes_are_refused() -> None:
    prediction, truth = random_pair(5, n=3)
    with pytest.raises(ValueError, match="no image"):
        scored(prediction[:0], truth[:0])
    with pytest.raises(ValueError, match="zip"):
        scored(prediction[:2], truth)
    with pytest.raises(ValueError, match="shape"):
        scored(prediction[..., :-1], truth)
    with pytest.raises(ValueError, match="at least 11 pixels"):
        scored(prediction[..., :10], truth[..., :10])


def test_diversity_is_the_mean_distance_of_all_pairs_of_samples() -> None:
    """The value of a sample is its mean distance from the other samples of the same image."""
    images = torch.stack([random_pair(seed, n=3)[0] for seed in (20, 21, 22, 23)])
    found = score_samples([images[:, :2], images[:, 2:]])
    assert found.keys() == {"diversity_delta_e2000"}  # LPIPS has no network here
    values = torch.tensor(found["diversity_delta_e2000"])
    assert values.shape == (3, 4)
    rgb = rgb_from_8bit(images)
    pairs = [delta_e2000(rgb[i], rgb[j]) for i, j in combinations(range(4), 2)]
    torch.testing.assert_close(values.mean(1), torch.stack(pairs).mean(0))
    equal = score_samples([images[:1].expand(3, -1, -1, -1, -1)])
    assert not np.any(equal["diversity_delta_e2000"])


# ---- folders and batches -------------------------------------------------------------------------


def test_a_folder_has_the_scores_of_its_images(tmp_path: Path) -> None:
    outputs, truths = tmp_path / "outputs", tmp_path / "truths"
    expected = []
    for row, height in enumerate((16, 16, 24, 16)):  # sizes may differ from image to image
        pair = random_pair(row, n=1, height=height, width=32)
        for folder, rgb8 in zip((outputs, truths), pair, strict=True):
            save_png(folder / f"{row}.png", rgb_from_8bit(rgb8)[0])
        expected += scored(*pair).per_image["ssim"]
    (truths / "0.png").rename(truths / "0.PNG")
    scores = score_folder(outputs, truths)
    assert scores.n == 4
    np.testing.assert_allclose(scores.per_image["ssim"], expected, rtol=1e-5)


def test_folders_whose_images_do_not_match_are_refused(tmp_path: Path) -> None:
    outputs, truths = tmp_path / "outputs", tmp_path / "truths"
    outputs.mkdir()
    with pytest.raises(UserError, match="outputs holds no image"):
        score_folder(outputs, truths)
    image = rgb_from_8bit(random_pair(0)[0][0])
    for path in (outputs / "a.png", truths / "a.png", truths / "b.png"):
        save_png(path, image)
    with pytest.raises(UserError, match=r"b\.png has no counterpart in .*outputs"):
        score_folder(outputs, truths)
    save_png(outputs / "b.png", image[:, :-1])
    with pytest.raises(UserError, match=r"b\.png .* not of one size"):
        score_folder(outputs, truths)
    (outputs / "b.png").write_text("no image")
    with pytest.raises(UserError, match=r"b\.png cannot be used"):
        score_folder(outputs, truths)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Number of threads that torch uses during this test."""
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(1)


def test_memory_does_not_depend_on_the_number_of_images(threads: int) -> None:
    alive: list[weakref.ref[Tensor]] = []
    most_alive = 0

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal most_alive
        for seed in range(20):
            output, truth = random_pair(seed, n=2, height=16, width=16)
            alive.extend([weakref.ref(output), weakref.ref(truth)])
            most_alive = max(most_alive, sum(ref() is not None for ref in alive))
            yield output, truth

    assert score(batches()).n == 40
    # The batches being scored, one waiting for a thread, and the one being made; two tensors each.
    assert most_alive <= 2 * (threads + 2)


def test_the_number_of_threads_changes_no_value(threads: int) -> None:
    prediction, truth = random_pair(11, n=9)
    torch.set_num_threads(1)
    single_threaded = scored(prediction, truth, 2)
    torch.set_num_threads(threads)
    assert scored(prediction, truth, 2) == single_threaded


def test_the_thread_count_is_restored_even_after_an_error(threads: int) -> None:
    prediction, truth = random_pair(12)
    scored(prediction, truth, 1)
    assert torch.get_num_threads() == threads
    with pytest.raises(ValueError, match="at least 11 pixels"):
        scored(prediction[..., :10], truth[..., :10], 1)
    assert torch.get_num_threads() == threads
