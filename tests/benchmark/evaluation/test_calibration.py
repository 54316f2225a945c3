"""Calibration: paints are recognized, and sampling error is distinguished from bias."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binom
from torch import Tensor

from benchmark.color import join, rgb_from_8bit, rgb_to_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.data.cache import ImageSet
from benchmark.data.cartoon import sample as cartoon
from benchmark.data.cartoon.sample import PAINTS, SEED, draw
from benchmark.data.manifest import ImageFile
from benchmark.data.preprocessing import Preprocessing, fit_square
from benchmark.data.reading import read_square
from benchmark.evaluation.calibration import (
    FEWEST_PIXELS,
    NEAR,
    NONE,
    PROBABILITIES,
    Calibration,
    PaintedObject,
    PaintedObjects,
    calibrate,
    find_painted,
    object_table,
    outcome_colors,
    painted_pixels,
    perfect_sampler,
    predicted_paint,
    total_variation,
)
from benchmark.evaluation.observer import Observer
from benchmark.figures.calibration import calibration_figure, save_calibration

COUNT = 14
SIZES = (96, 64, 32)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "cartoon"
    cartoon.write_sample(folder, counts={"test": COUNT})
    return folder


def read(folder: Path, size: int = 64) -> ImageSet:
    """Read the images of a folder as a test does."""
    paths = sorted(folder.glob("*.png"))
    squares = np.stack([read_square(path, Preprocessing(size)) for path in paths])
    files = [ImageFile(f"test/{path.name}", path, path.name) for path in paths]
    return ImageSet(files, torch.from_numpy(squares), {})


def find(images: ImageSet) -> PaintedObjects:
    objects = find_painted(images, Preprocessing(images.rgb8.shape[-1]))
    assert objects is not None
    return objects


def with_ab(rgb8: Tensor, ab: Sequence[float]) -> Tensor:
    """Return images (B, 3, S, S) with the same L* and one a*, b* everywhere."""
    lightness = rgb_to_lightness(rgb_from_8bit(rgb8))
    plane = torch.tensor(ab).float().view(1, 2, 1, 1).expand(len(rgb8), 2, *rgb8.shape[2:])
    return rgb_to_8bit(join(lightness, plane))


def predicted_paints(objects: PaintedObjects, outputs: Tensor) -> list[str]:
    """Return the paint of each object in the outputs of one sample, uint8 (N, 3, S, S)."""
    observer = Observer(0, objects)
    for row, output in enumerate(outputs):
        observer.observe(0, row, output)
    (paints,) = observer.predicted_paints()
    return paints


def calibrated(objects: PaintedObjects, *outputs: Tensor) -> Calibration:
    return calibrate(objects, [predicted_paints(objects, output) for output in outputs])


def shares(calibration: Calibration) -> dict[str, float]:
    return {name: share.value for name, share in calibration.overall.shares.items()}


def all_of(name: str) -> dict[str, float]:
    return {other: float(other == name) for other in PROBABILITIES}


def flat(lightness: float, ab: Sequence[float]) -> Tensor:
    """Return an image of one color, uint8 (3, 8, 8)."""
    plane = torch.full((1, 1, 8, 8), lightness)
    return rgb_to_8bit(join(plane, torch.tensor(ab).float().view(1, 2, 1, 1).expand(1, 2, 8, 8)))[0]


ALL = torch.ones(8, 8, dtype=torch.bool)
MEAN_AB = np.sum([np.array(p.lab[1:]) * p.probability for p in PAINTS.values()], axis=0)


# ---- a color and its paint ----------------------------------------------------------------------


@pytest.mark.parametrize("lightness", [48, 58, 64])  # the darkest, the plain and the lightest shade
@pytest.mark.parametrize("name", PAINTS)
def test_a_paint_is_recognized_in_every_shade_and_not_at_half_its_chroma(
    name: str, lightness: float
) -> None:
    ab = np.array(PAINTS[name].lab[1:])
    for chroma, expected in ((1.0, name), (0.75, name), (0.5, NONE), (0.0, NONE)):
        assert predicted_paint(flat(lightness, ab * chroma), ALL) == expected
    for other in PAINTS.keys() - {name}:
        # Blue and violet are so close that their mean lies on the border of both.
        if {name, other} != {"blue", "violet"}:
            mean = (ab + PAINTS[other].lab[1:]) / 2
            assert predicted_paint(flat(lightness, mean), ALL) == NONE


def test_the_mean_of_all_paints_is_not_a_paint() -> None:
    assert predicted_paint(flat(58, MEAN_AB), ALL) == NONE


def halves(left: Tensor, right: Tensor, columns: int = 4) -> Tensor:
    """Return `left` in the first of the 8 columns and `right` in the others."""
    return torch.cat([left[..., :columns], right[..., columns:]], dim=-1)


def test_an_object_has_the_paint_of_most_of_its_pixels() -> None:
    red, blue = (flat(58, PAINTS[name].lab[1:]) for name in ("red", "blue"))
    for columns, expected in ((0, "blue"), (3, "blue"), (4, NONE), (5, "red"), (8, "red")):
        assert predicted_paint(halves(red, blue, columns), ALL) == expected
    part = ALL.clone()
    part[:, 5:] = False  # pixels outside the mask are ignored
    assert predicted_paint(halves(red, blue, 3), part) == "red"
    with pytest.raises(ValueError, match="mask"):
        predicted_paint(red, ALL[:4])


def test_colors_whose_mean_is_a_paint_are_not_that_paint() -> None:
    hue = math.radians(32)  # the hue of red
    sides = [[54 * math.cos(hue + turn), 54 * math.sin(hue + turn)] for turn in (-0.44, 0.44)]
    mean = np.mean(sides, axis=0).tolist()
    assert predicted_paint(flat(58, mean), ALL) == "red"
    assert predicted_paint(halves(flat(58, sides[0]), flat(58, sides[1])), ALL) == NONE


# ---- finding objects -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_paints_of_the_true_images_are_recognized_at_every_size(
    sample: Path, size: int
) -> None:
    images = read(sample / "test", size)
    objects = find(images)
    assert len(objects.by_image) == COUNT
    assert predicted_paints(objects, images.rgb8) == [obj.paint for obj in objects.objects]
    scenes = [draw(SEED, index, 4).scene for index in range(COUNT)]
    painted = [obj for scene in scenes for obj in scene.objects if obj.ambiguous]
    assert len(objects.objects) + objects.n_left_out == len(painted)
    assert len(objects.objects) > {96: 0.9, 64: 0.8, 32: 0.2}[size] * len(painted)
    for rgb8, in_image in zip(images.rgb8, objects.by_image, strict=True):
        for obj in in_image:
            assert obj.mask.shape == (size, size)
            assert obj.mask.sum() >= FEWEST_PIXELS
            ab = rgb_to_lab(rgb_from_8bit(rgb8[None]))[0, 1:, obj.mask]
            error = ab - torch.tensor(PAINTS[obj.paint].lab[1:])[:, None]
            assert torch.linalg.vector_norm(error, dim=0).max() < NEAR


def test_a_mask_is_cropped_like_its_image() -> None:
    rng = np.random.default_rng(0)
    for size in (24, 40, 90):
        height, width = rng.integers(60, 110, 2)
        mask = np.zeros((height, width), bool)
        top, left = height // 3 - 4, width // 3 - 7
        mask[top : top + height // 3, left : left + width // 2] = True
        pixels = np.where(mask[..., None], (200, 40, 40), (30, 60, 190)).astype(np.uint8)
        square = np.asarray(fit_square(Image.fromarray(pixels), Preprocessing(size))).astype(int)
        inside = painted_pixels(mask, Preprocessing(size)).numpy()
        off = np.abs(square - (200, 40, 40)).max(axis=-1)
        assert off[inside].max() <= 18  # a tenth of the way from one color to the other
        assert off[~inside].min() >= 16
        assert inside.any()


def test_folders_without_scenes_have_no_painted_objects(
    sample: Path,
    tmp_path: Path,
    fill_folder: Callable[..., list[Path]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill_folder(tmp_path / "mine", range(3))
    assert find_painted(read(tmp_path / "mine"), Preprocessing(64)) is None
    # Images of the sample without their scenes, alone and with others.
    shutil.copytree(sample / "test", tmp_path / "TestImages")
    assert find_painted(read(tmp_path / "TestImages"), Preprocessing(64)) is None
    mixed = tmp_path / "mixed"
    shutil.copytree(sample, mixed)
    fill_folder(mixed / "test", range(1))
    assert find_painted(read(mixed / "test"), Preprocessing(64)) is None
    monkeypatch.chdir(tmp_path / "mine")  # relative paths without folders
    assert find_painted(read(Path()), Preprocessing(64)) is None
    monkeypatch.chdir(sample / "test")
    assert len(find(read(Path())).by_image) == COUNT
    assert capsys.readouterr().err == ""


def test_a_sample_of_another_version_or_a_damaged_one_has_no_painted_objects(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "cartoon"
    shutil.copytree(sample, copy)
    images = read(copy / "test")
    contents = copy / "scenes" / "sample.json"
    intact = contents.read_text()
    for other in (json.dumps({**json.loads(intact), "version": 0}), "[1]", "{"):
        contents.write_text(other)
        assert find_painted(images, Preprocessing(64)) is None
    assert capsys.readouterr().err == ""
    contents.write_text(intact)
    scene = cartoon.scene_path(images.files[3].path)
    for broken in ("", "{}", "[]", '{"objects": [{"box": [1]}]}'):
        scene.write_text(broken)
        assert find_painted(images, Preprocessing(64)) is None
        assert images.files[3].path.name in capsys.readouterr().err
    scene.unlink()
    assert find_painted(images, Preprocessing(64)) is None


# ---- models that paint in a known way ------------------------------------------------------------


def test_painting_all_red_has_total_variation_0_75(
    sample: Path, draw_in_paint: Callable[[int, str], Image.Image]
) -> None:
    objects = find(read(sample / "test"))
    squares = [fit_square(draw_in_paint(index, "red"), Preprocessing(64)) for index in range(COUNT)]
    red = torch.stack([torch.from_numpy(np.array(square)).permute(2, 0, 1) for square in squares])
    result = calibrated(objects, red)
    assert shares(result) == all_of("red")
    assert result.overall.total_variation.value == pytest.approx(0.75)
    for kind in result.kinds.values():
        assert kind.total_variation.value == pytest.approx(0.75)
    assert sum(kind.n_objects for kind in result.kinds.values()) == result.overall.n_objects


def test_painting_gray_or_the_mean_color_has_total_variation_1(sample: Path) -> None:
    images = read(sample / "test")
    objects = find(images)
    for ab in ((0, 0), MEAN_AB):
        result = calibrated(objects, with_ab(images.rgb8, ab))
        assert shares(result) == all_of(NONE)
        spread = result.overall.total_variation
        assert (spread.value, spread.low, spread.high) == (1, 1, 1)
    assert 0 < result.overall.truth < 0.3


def test_random_paints_are_distinguished_from_one_repeated_paint(sample: Path) -> None:
    images = read(sample / "test")
    objects = find(images)
    painted = {name: with_ab(images.rgb8, paint.lab[1:]) for name, paint in PAINTS.items()}
    rng = np.random.default_rng(0)
    probabilities = [paint.probability for paint in PAINTS.values()]

    def draws() -> Tensor:
        output = images.rgb8.clone()
        for row, in_image in enumerate(objects.by_image):
            for obj in in_image:
                source = painted[str(rng.choice(list(PAINTS), p=probabilities))]
                output[row, :, obj.mask] = source[row, :, obj.mask]
        return output

    samples = [draws() for _ in range(6)]
    result = calibrated(objects, *samples)
    overall = result.overall
    assert overall.total_variation.value < overall.perfect_high
    assert overall.total_variation.low == 0
    assert result.per_object is not None
    assert result.per_object.value == pytest.approx(result.per_object_perfect, abs=0.03)
    repeated = calibrated(objects, *samples[:1] * 6).per_object
    assert repeated is not None
    assert repeated.low is not None
    assert repeated.low > 2 * result.per_object.value  # 0.75 or more for any single paint
    one = calibrated(objects, samples[0])
    assert (one.per_object, one.per_object_perfect) == (None, None)
    assert one.overall.perfect > 2 * overall.perfect


def test_shares_count_objects_and_samples_in_any_order(sample: Path) -> None:
    images = read(sample / "test")
    objects = find(images)
    gray = with_ab(images.rgb8, (0, 0))
    result = calibrated(objects, images.rgb8, gray, gray, gray)
    assert shares(result)[NONE] == 0.75
    assert calibrated(objects, gray, images.rgb8, gray, gray) == result
    reordered = ImageSet(images.files[::-1], images.rgb8.flip(0), {})
    gray = gray.flip(0)
    assert calibrated(find(reordered), reordered.rgb8, gray, gray, gray) == result
    with pytest.raises(ValueError, match="sample 0 has"):
        predicted_paints(objects, gray[:3])


# ---- numbers -------------------------------------------------------------------------------------


def objects_for(paints: Sequence[str], per_image: int = 3) -> PaintedObjects:
    """Return one object for each of the paints, `per_image` to an image; no image is read."""
    objects = [
        PaintedObject(f"{row // per_image}.png", row % per_image + 1, "car", "red", ALL)
        for row in range(len(paints))
    ]
    rows = [objects[at : at + per_image] for at in range(0, len(objects), per_image)]
    return PaintedObjects(tuple(map(tuple, rows)), 0)


@pytest.mark.parametrize("draws", [1, 5, 60, 400])
def test_the_mean_of_a_perfect_sampler_is_that_of_binomial_counts(draws: int) -> None:
    counts = np.arange(draws + 1)
    exact = sum(
        (binom.pmf(counts, draws, p) * np.abs(counts / draws - p)).sum() / 2
        for p in PROBABILITIES.values()
    )
    assert perfect_sampler(draws).mean() == pytest.approx(exact, rel=0.03)


def test_the_interval_of_a_perfect_sampler_reaches_0_and_that_of_a_biased_one_covers_the_bias() -> (
    None
):
    rng = np.random.default_rng(0)
    names, unbiased = list(PROBABILITIES), np.array(list(PROBABILITIES.values()))
    biased = np.array([0.15, 0.15, 0.15, 0.15, 0.1, 0.3])
    true = total_variation(biased * 1000)
    trials, reached, covered = 40, 0, 0
    for _ in range(trials):
        for p in (unbiased, biased):
            paints = rng.choice(names, 240, p=p).tolist()
            spread = calibrate(objects_for(paints), [paints]).overall.total_variation
            assert spread.low is not None
            assert spread.high is not None
            if p is unbiased:
                reached += spread.low == 0
            else:
                covered += spread.low <= true <= spread.high
    assert reached / trials > 0.86
    assert covered / trials > 0.86


def test_objects_of_an_image_are_resampled_together() -> None:
    paints = [name for name in ("red", "blue") * 20 for _ in range(3)]
    together = calibrate(objects_for(paints), [paints]).overall.shares["red"]
    alone = calibrate(objects_for(paints, 1), [paints]).overall.shares["red"]
    widths = [share.high - share.low for share in (together, alone)]  # type: ignore[operator]
    assert widths[0] == pytest.approx(math.sqrt(3) * widths[1], rel=0.15)
    one = calibrate(objects_for(paints[:3]), [paints[:3]]).overall
    assert one.n_images == 1
    assert (one.total_variation.low, one.shares["red"].high) == (None, None)


def test_a_result_is_restored_from_json_and_equals_the_means_of_its_table(
    sample: Path, tmp_path: Path
) -> None:
    images = read(sample / "test")
    objects = find(images)
    truth = predicted_paints(objects, images.rgb8)
    paints = [truth, [NONE] * len(truth)]
    result = calibrate(objects, paints)
    assert Calibration.model_validate(json.loads(result.model_dump_json())) == result
    assert result.probabilities == dict(PROBABILITIES)
    table = object_table(objects, paints)
    assert table["paint"].tolist() == truth
    np.testing.assert_allclose(table[list(PROBABILITIES)].sum(axis=1), 1)
    for name, share in shares(result).items():
        assert table[name].mean() == pytest.approx(share)
    assert result.per_object is not None
    assert table["total_variation"].mean() == pytest.approx(result.per_object.value)


def test_the_figure_shows_the_shares_and_is_reproducible(tmp_path: Path) -> None:
    paints = ["red"] * 10 + ["blue"] * 5 + [NONE] * 5
    result = calibrate(objects_for(paints), [paints])
    (axes,) = calibration_figure(result, "unet", outcome_colors()).axes
    true, shown = ([bar.get_height() for bar in bars] for bars in axes.containers)
    assert true == list(PROBABILITIES.values())
    assert shown == [0.5, 0, 0, 0.25, 0, 0.25]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(PROBABILITIES)
    assert f"total variation {result.overall.total_variation.value:.2f}" in axes.get_title()
    for name in ("one.svg", "two.svg", "one.png"):
        save_calibration(tmp_path / name, result, "unet", outcome_colors())
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.width > 500
