"""Squares are those of the field's tools: Pillow, torchvision, scikit-image and OpenCV."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize
from torchvision.transforms import CenterCrop, Compose, Resize
from torchvision.transforms.functional import InterpolationMode

from benchmark.data.preprocessing import CROPS, FILTERS, Preprocessing, fit_square, square_of

SIDES = st.integers(17, 90)


def drawn(width: int, height: int) -> Image.Image:
    """Draw an image with smooth areas, edges and single pixels."""
    y, x = np.mgrid[:height, :width]
    planes = (x * 5 % 256, (x + 2 * y) % 256, 255 * ((x // 7 + y // 5) % 2))
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def opencv_linear(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """INTER_LINEAR of OpenCV on 8 bits: weights of 11 bits for each axis, rounded once."""

    def weights(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        place = (np.arange(size) + 0.5) * length / size - 0.5
        first = np.floor(place).astype(int)
        share = np.where((first < 0) | (first >= length - 1), 0, place - first)
        first = first.clip(0, length - 1)
        return first, (first + 1).clip(max=length - 1), np.rint(share * 2048).astype(np.int64)

    (top, bottom, down), (left, right, across) = (weights(side) for side in pixels.shape[:2])
    wide = pixels.astype(np.int64)
    rows = wide[:, left] * (2048 - across)[:, None] + wide[:, right] * across[:, None]
    both = rows[top] * (2048 - down)[:, None, None] + rows[bottom] * down[:, None, None]
    return ((both + 2**21) >> 22).astype(np.uint8)


@given(width=SIDES, height=SIDES, size=st.integers(16, 80))
def test_whole_pixels_and_bilinear_is_torchvisions_center_crop_and_resize(
    width: int, height: int, size: int
) -> None:
    image = drawn(width, height)
    steps = [CenterCrop(min(image.size)), Resize(size, InterpolationMode.BILINEAR)]
    square = fit_square(image, Preprocessing(size, "bilinear", "whole-pixels"))
    np.testing.assert_array_equal(np.asarray(square), np.asarray(Compose(steps)(image)))


@given(width=SIDES, height=SIDES, size=st.integers(16, 80))
def test_bilinear_without_antialiasing_is_that_of_scikit_image_and_of_opencv(
    width: int, height: int, size: int
) -> None:
    """OpenCV rounds its weights to 11 bits, which moves a value by at most 1."""
    image = drawn(width, height)
    stretched = Preprocessing(size, "bilinear", "stretch", antialias=False)
    square = np.asarray(fit_square(image, stretched)).astype(int)
    pixels = np.asarray(image)
    exact = resize(pixels, (size, size), order=1, anti_aliasing=False, mode="edge") * 255.0
    assert np.abs(square - exact).max() <= 0.501
    assert np.abs(square - opencv_linear(pixels, size)).max() <= 1


@pytest.mark.parametrize("filter_", ["lanczos", "bicubic", "box"])
def test_a_stretched_square_is_pillows(filter_: str) -> None:
    image = drawn(70, 41)
    square = square_of(image, Preprocessing(32, filter_, "stretch"))  # type: ignore[arg-type]
    expected = np.asarray(image.resize((32, 32), FILTERS[filter_]))
    np.testing.assert_array_equal(square.transpose(1, 2, 0), expected)


def kinds() -> list[Preprocessing]:
    every = [Preprocessing(32, f, c) for f, c in product(FILTERS, CROPS)]  # type: ignore[arg-type]
    return every + [Preprocessing(32, "bilinear", c, False) for c in CROPS if c != "center"]


def test_a_description_names_one_preprocessing_and_reads_back() -> None:
    described = [kind.describe() for kind in kinds()]
    assert len({str(one) for one in described}) == len({kind.label for kind in kinds()}) == 20
    for kind, one in zip(kinds(), described, strict=True):
        size, filter_, crop = one["size"], one["filter"], one["crop"]
        assert Preprocessing.described(int(size), str(filter_), str(crop)) == kind


def test_an_unknown_description_is_refused() -> None:
    for filter_, crop in (("Pillow sinc", "center square"), ("Pillow box", "left square")):
        with pytest.raises(ValueError, match="unknown"):
            Preprocessing.described(32, filter_, crop)
    with pytest.raises(ValueError, match="bilinear"):
        Preprocessing(32, "box", "stretch", antialias=False)


def test_a_mask_is_cut_as_its_image_is() -> None:
    """A plane of floats is not rounded, and lies where the image's pixels do."""
    image = drawn(61, 47)
    plane = Image.fromarray(np.asarray(image)[..., 0].astype(np.float32))
    for kind in kinds():
        square, mask = np.asarray(fit_square(image, kind)), np.asarray(fit_square(plane, kind))
        assert np.abs(square[..., 0] - mask.clip(0, 255)).max() <= 1.01, kind
