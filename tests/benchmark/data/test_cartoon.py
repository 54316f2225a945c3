"""The sample `cartoon` is reproducible, its scenes are correct, and its L* hides the paints."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare  # type: ignore[import-untyped]

from benchmark.data.cartoon import sample as cartoon
from benchmark.data.cartoon.canvas import PAINT_LIGHTNESS, in_gamut, lab_to_srgb, srgb_to_lab
from benchmark.data.cartoon.sample import (
    PAINTS,
    SEED,
    Drawing,
    draw,
    read_mask,
    read_scene,
    scene_path,
)

IMAGES = range(8)
COUNTS = {"train": 3, "val": 1, "test": 1}


@cache
def drawn(index: int) -> Drawing:
    """Return image `index` of the sample, drawn once for all tests that only read it."""
    return draw(SEED, index)


def lab_of(image: Image.Image) -> np.ndarray:
    """Return an image in Lab, (H, W, 3)."""
    return srgb_to_lab(np.asarray(image))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the contents of every file below a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_conversion_to_lab_equals_scikit_image_and_back_is_the_identity() -> None:
    color = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    lab = srgb_to_lab(rgb)
    np.testing.assert_allclose(lab, color.rgb2lab(rgb), atol=0.02)
    np.testing.assert_array_equal(lab_to_srgb(lab), rgb)


def test_colors_outside_the_gamut_keep_lightness_and_hue() -> None:
    lab = np.array([[30.0, 90, 70], [58, -90, 20], [80, 10, -90], [95, 60, 0]])
    shown = srgb_to_lab(lab_to_srgb(lab))
    np.testing.assert_allclose(shown[:, 0], lab[:, 0], atol=0.3)
    turned = np.arctan2(shown[:, 2], shown[:, 1]) - np.arctan2(lab[:, 2], lab[:, 1])
    assert np.abs(np.degrees(turned)).max() < 3


def test_paints_have_equal_lightness_and_chroma_and_are_in_gamut_in_every_shade() -> None:
    for shade in (-10.0, -5.0, 0.0, 6.0):
        shaded = np.array([paint.lab for paint in PAINTS.values()]) + np.array((shade, 0, 0))
        assert in_gamut(shaded.T).all()
    shown = srgb_to_lab(np.array([paint.rgb for paint in PAINTS.values()], dtype=np.uint8))
    np.testing.assert_allclose(shown[:, 0], PAINT_LIGHTNESS, atol=0.2)
    np.testing.assert_allclose(np.hypot(shown[:, 1], shown[:, 2]), cartoon.PAINT_CHROMA, atol=1)


def test_the_mean_of_the_paints_has_little_chroma() -> None:
    assert sum(paint.probability for paint in PAINTS.values()) == pytest.approx(1)
    a, b = np.sum([np.array(p.lab[1:]) * p.probability for p in PAINTS.values()], axis=0)
    assert np.hypot(a, b) < cartoon.PAINT_CHROMA / 5


def test_an_image_depends_on_seed_and_index_alone() -> None:
    first = draw(SEED, 7)
    draw(SEED, 3)
    again = draw(SEED, 7)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.scene == again.scene == drawn(7).scene
    np.testing.assert_array_equal(first.mask, again.mask)
    for other in (drawn(8), draw(SEED + 1, 7)):
        assert other.image.tobytes() != first.image.tobytes()


@pytest.mark.parametrize("index", IMAGES)
def test_lightness_does_not_show_the_paint(
    index: int, draw_in_paint: Callable[[int, str], Image.Image]
) -> None:
    labs = np.stack([lab_of(draw_in_paint(index, name)) for name in PAINTS])
    # At every pixel, antialiased edges included, up to the rounding to 8 bits.
    assert np.ptp(labs[..., 0], axis=0).max() < 0.3
    if (drawn(index).mask > 0).any():
        assert np.ptp(labs[..., 1:], axis=0).max() > 50


def test_masked_pixels_have_the_paint_that_the_scene_names() -> None:
    seen = set()
    for index in range(24):
        image, scene, mask = drawn(index)
        lab = lab_of(image)
        ambiguous = [obj for obj in scene.objects if obj.ambiguous]
        assert [obj.mask for obj in ambiguous] == list(range(1, len(ambiguous) + 1))
        assert mask.max() <= len(ambiguous)
        for obj in ambiguous:
            assert obj.paint is not None
            rows, columns = np.nonzero(mask == obj.mask)
            left, top, right, bottom = obj.box
            assert ((left <= columns) & (columns < right)).all()
            assert ((top <= rows) & (rows < bottom)).all()
            error = lab[rows, columns, 1:] - PAINTS[obj.paint].lab[1:]
            assert np.abs(error).max(initial=0) < 1.5
            seen |= {obj.kind} if len(rows) > 20 else set()
    assert {"car", "boat", "balloon"} <= seen


def test_objects_that_are_not_ambiguous_have_no_paint() -> None:
    for index in IMAGES:
        for obj in drawn(index).scene.objects:
            assert obj.ambiguous or (obj.paint is None and obj.mask == 0)


def test_paints_are_as_frequent_as_stated_for_every_kind_of_object() -> None:
    scenes = [draw(SEED, index, size=4).scene for index in range(150)]
    ambiguous = [obj for scene in scenes for obj in scene.objects if obj.ambiguous]
    kinds = {obj.kind for obj in ambiguous}
    assert len(ambiguous) > 300
    for group in (kinds, {"car"}, kinds - {"car"}):
        paints = [obj.paint for obj in ambiguous if obj.kind in group]
        counts = [paints.count(name) for name in PAINTS]
        expected = [len(paints) * paint.probability for paint in PAINTS.values()]
        assert chisquare(counts, expected).pvalue > 0.001


def test_the_sample_is_written_once_and_read_back(tmp_path: Path) -> None:
    folder, calls = tmp_path / "cartoon", list[tuple[int, int]]()
    cartoon.write_sample(folder, counts=COUNTS, on_image=lambda *call: calls.append(call))
    assert calls == [(done, 5) for done in range(1, 6)]
    before = files_of(folder)
    cartoon.write_sample(folder, counts=COUNTS, on_image=lambda *_: pytest.fail("drawn again"))
    assert files_of(folder) == before
    images = [path for split in COUNTS for path in sorted((folder / split).rglob("*"))]
    assert [path.name for path in images] == [f"cartoon_{index:05d}.png" for index in range(5)]
    for index, path in enumerate(images):
        drawing = drawn(index)
        with Image.open(path) as image:
            assert image.tobytes() == drawing.image.tobytes()
        assert read_scene(scene_path(path)) == drawing.scene
        np.testing.assert_array_equal(read_mask(scene_path(path)), drawing.mask)


def test_an_interrupted_sample_leaves_no_files(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cartoon.write_sample(tmp_path / "cartoon", counts=COUNTS, on_image=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_new_sample_replaces_an_old_one_only_when_complete(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise RuntimeError

    folder = tmp_path / "cartoon"
    cartoon.write_sample(folder, counts=COUNTS)
    before = files_of(folder)
    with pytest.raises(RuntimeError):
        cartoon.write_sample(folder, seed=1, counts=COUNTS, on_image=stop)
    assert files_of(folder) == before
    cartoon.write_sample(folder, seed=1, counts=COUNTS)
    assert files_of(folder).keys() == before.keys()
    assert files_of(folder) != before
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("not to be lost")
    with pytest.raises(FileExistsError):
        cartoon.write_sample(tmp_path, counts=COUNTS)
    assert files_of(tmp_path) == {"mine.txt": b"not to be lost"}
