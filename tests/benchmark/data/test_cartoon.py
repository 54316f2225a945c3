"""The sample `cartoon`: repeatable, truthful about its paints, and silent about them in L*."""

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
    draw,
    draw_scene,
    read_mask,
    read_scene,
    scene_path,
)

IMAGES = range(8)
COUNTS = {"train": 3, "val": 1, "test": 1}


def lab_of(image: Image.Image) -> np.ndarray:
    """Lab, (rows, columns, 3)."""
    return srgb_to_lab(np.asarray(image))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under the folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_conversion_agrees_with_scikit_image_and_is_undone() -> None:
    color = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    lab = srgb_to_lab(rgb)
    np.testing.assert_allclose(lab, color.rgb2lab(rgb), atol=0.02)
    np.testing.assert_array_equal(lab_to_srgb(lab), rgb)


def test_colors_outside_srgb_keep_lightness_and_hue() -> None:
    lab = np.array([[30.0, 90, 70], [58, -90, 20], [80, 10, -90], [95, 60, 0]])
    shown = srgb_to_lab(lab_to_srgb(lab))
    np.testing.assert_allclose(shown[:, 0], lab[:, 0], atol=0.3)
    turned = np.arctan2(shown[:, 2], shown[:, 1]) - np.arctan2(lab[:, 2], lab[:, 1])
    assert np.abs(np.degrees(turned)).max() < 3


def test_paints_are_equally_light_equally_strong_and_in_gamut_at_every_shade_used() -> None:
    for shade in (-10.0, -5.0, 0.0, 6.0):
        shaded = np.array([paint.lab for paint in PAINTS.values()]) + np.array((shade, 0, 0))
        assert in_gamut(shaded.T).all()
    shown = srgb_to_lab(np.array([paint.rgb for paint in PAINTS.values()], dtype=np.uint8))
    np.testing.assert_allclose(shown[:, 0], PAINT_LIGHTNESS, atol=0.2)
    np.testing.assert_allclose(np.hypot(shown[:, 1], shown[:, 2]), cartoon.PAINT_CHROMA, atol=1)


def test_the_mean_paint_is_dull() -> None:
    assert sum(paint.probability for paint in PAINTS.values()) == pytest.approx(1)
    a, b = np.sum([np.array(p.lab[1:]) * p.probability for p in PAINTS.values()], axis=0)
    assert np.hypot(a, b) < cartoon.PAINT_CHROMA / 5


def test_a_image_depends_on_seed_and_index_alone() -> None:
    alone = draw(SEED, 7)
    draw(SEED, 3)
    again = draw(SEED, 7)
    assert alone.image.tobytes() == again.image.tobytes()
    assert alone.scene == again.scene == draw_scene(SEED, 7)[1]
    np.testing.assert_array_equal(alone.mask, again.mask)
    for other in (draw(SEED, 8), draw(SEED + 1, 7)):
        assert other.image.tobytes() != alone.image.tobytes()


@pytest.mark.parametrize("index", IMAGES)
def test_lightness_does_not_tell_the_paint(index: int) -> None:
    labs = np.stack([lab_of(draw(SEED, index, repaint=name).image) for name in PAINTS])
    # Everywhere, antialiased edges included; what is left is the floor of 8 bits.
    assert np.ptp(labs[..., 0], axis=0).max() < 0.3
    if (draw(SEED, index).mask > 0).any():
        assert np.ptp(labs[..., 1:], axis=0).max() > 50


def test_masked_pixels_have_the_paint_the_scene_names() -> None:
    seen = set()
    for index in range(24):
        image, scene, mask = draw(SEED, index)
        lab = lab_of(image)
        ambiguous = [thing for thing in scene.objects if thing.ambiguous]
        assert [thing.mask for thing in ambiguous] == list(range(1, len(ambiguous) + 1))
        assert mask.max() <= len(ambiguous)
        for thing in ambiguous:
            assert thing.paint is not None
            rows, columns = np.nonzero(mask == thing.mask)
            left, top, right, bottom = thing.box
            assert ((left <= columns) & (columns < right)).all()
            assert ((top <= rows) & (rows < bottom)).all()
            error = lab[rows, columns, 1:] - PAINTS[thing.paint].lab[1:]
            assert np.abs(error).max(initial=0) < 1.5
            seen |= {thing.kind} if len(rows) > 20 else set()
    assert {"car", "boat", "balloon"} <= seen


def test_scenes_without_paint_have_none() -> None:
    for index in IMAGES:
        for thing in draw_scene(SEED, index, 24)[1].objects:
            assert thing.ambiguous or (thing.paint is None and thing.mask == 0)


def test_paints_come_as_often_as_stated_whatever_the_object() -> None:
    scenes = [draw_scene(SEED, index, 4)[1] for index in range(150)]
    things = [thing for scene in scenes for thing in scene.objects if thing.ambiguous]
    kinds = {thing.kind for thing in things}
    assert len(things) > 450
    for group in (kinds, {"car"}, kinds - {"car"}):
        drawn = [thing.paint for thing in things if thing.kind in group]
        counts = [drawn.count(name) for name in PAINTS]
        expected = [len(drawn) * paint.probability for paint in PAINTS.values()]
        assert chisquare(counts, expected).pvalue > 0.001


def test_the_sample_is_written_once_and_read_back(tmp_path: Path) -> None:
    folder, told = tmp_path / "cartoon", list[tuple[int, int]]()
    cartoon.write_sample(folder, counts=COUNTS, on_image=lambda *step: told.append(step))
    assert told == [(done, 5) for done in range(1, 6)]
    before = files_of(folder)
    cartoon.write_sample(folder, counts=COUNTS, on_image=lambda *_: pytest.fail("drawn again"))
    assert files_of(folder) == before
    images = [path for split in COUNTS for path in sorted((folder / split).rglob("*"))]
    assert [path.name for path in images] == [f"cartoon_{index:05d}.png" for index in range(5)]
    for index, path in enumerate(images):
        drawing = draw(SEED, index)
        with Image.open(path) as image:
            assert image.tobytes() == drawing.image.tobytes()
        assert read_scene(scene_path(path)) == drawing.scene
        np.testing.assert_array_equal(read_mask(scene_path(path)), drawing.mask)


def test_an_interrupted_sample_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cartoon.write_sample(tmp_path / "cartoon", counts=COUNTS, on_image=stop)
    assert list(tmp_path.iterdir()) == []


def test_another_sample_replaces_an_old_one_only_when_complete(tmp_path: Path) -> None:
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


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("not to be lost")
    with pytest.raises(FileExistsError):
        cartoon.write_sample(tmp_path, counts=COUNTS)
    assert files_of(tmp_path) == {"mine.txt": b"not to be lost"}
