"""Given colors spread within what is alike in lightness, and change nothing elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmark.color import rgb8_to_lab
from benchmark.errors import UserError
from benchmark.inference.hints import Hints, read_hints, spread_hints


@pytest.fixture
def lightness() -> Tensor:
    """A dark half and a light one, (1, 1, 60, 80), with a little grain."""
    plane = torch.full((1, 1, 60, 80), 40.0)
    plane[..., 40:] = 70
    return plane + 0.5 * torch.randn(plane.shape, generator=torch.Generator().manual_seed(0))


def hints_at(rows: slice, columns: slice, *ab: float) -> Hints:
    given = torch.zeros(1, 1, 60, 80, dtype=torch.bool)
    given[..., rows, columns] = True
    return Hints(torch.tensor(ab).view(1, 2, 1, 1).expand(1, 2, 60, 80), given)


def test_a_color_fills_its_region_and_stops_at_the_edge(lightness: Tensor) -> None:
    ab = torch.zeros(1, 2, 60, 80)
    out = spread_hints(lightness, ab, hints_at(slice(20, 40), slice(10, 14), 40, -20))
    assert (out[0, 0, 20:40, 10:14] - 40).abs().max() < 1e-3
    assert out[0, 0, :, :39].min() > 20
    assert out[0, :, :, 41:].abs().max() < 8  # a fifth of what was given
    assert (out[0, 0] + 2 * out[0, 1]).abs().max() < 1e-3  # of one hue everywhere


def test_the_model_is_kept_where_no_color_is_near(lightness: Tensor) -> None:
    ab = 30 * torch.randn(1, 2, 60, 80, generator=torch.Generator().manual_seed(1))
    hints = hints_at(slice(20, 40), slice(10, 14), 40, -20)
    out = spread_hints(lightness, ab, hints)
    assert (out - ab)[..., 41:].abs().max() < 5
    same = Hints(ab, hints.given)
    torch.testing.assert_close(spread_hints(lightness, ab, same), ab, rtol=0, atol=1e-4)


def test_the_difference_is_linear_in_the_hint(lightness: Tensor) -> None:
    ab = torch.zeros(1, 2, 60, 80)
    once, twice = (
        spread_hints(lightness, ab, hints_at(slice(0, 5), slice(0, 5), a, 0)) for a in (10, 20)
    )
    torch.testing.assert_close(2 * once, twice, rtol=1e-3, atol=1e-3)


def test_reduced_hints_are_means_of_what_is_given() -> None:
    ab = torch.arange(2 * 8 * 8, dtype=torch.float32).view(1, 2, 8, 8)
    given = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    given[..., 0, 0] = given[..., 1, 3] = True
    small = Hints(ab, given).reduced(2, 2)
    assert small.given.flatten().tolist() == [True, False, False, False]
    torch.testing.assert_close(small.ab[0, :, 0, 0], (ab[0, :, 0, 0] + ab[0, :, 1, 3]) / 2)


def test_opaque_pixels_give_their_color(tmp_path: Path) -> None:
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[5:9, 6:8] = (200, 30, 60, 255)
    rgba[0, 0] = (1, 2, 3, 40)
    Image.fromarray(rgba).save(tmp_path / "hints.png")
    hints = read_hints(tmp_path / "hints.png", (30, 20))
    assert int(hints.given.sum()) == 8
    color = torch.tensor([200, 30, 60], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = rgb8_to_lab(color)[0, 1:, 0, 0]
    torch.testing.assert_close(hints.ab[0, :, 5, 6], expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "there is no image"),
        ("text", "cannot be decoded"),
        ("size", "has 31×20 pixels and the photo 30×20"),
        ("opaque", "no transparent pixels"),
        ("empty", "no opaque pixel"),
    ],
)
def test_hints_that_give_nothing_are_refused(tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / "hints.png"
    if kind == "text":
        path.write_text("no image")
    elif kind == "opaque":
        Image.new("RGB", (30, 20), "red").save(path)
    elif kind != "missing":
        width = 31 if kind == "size" else 30
        Image.new("RGBA", (width, 20), (200, 30, 60, 255 if kind == "size" else 0)).save(path)
    with pytest.raises(UserError, match=said):
        read_hints(path, (30, 20))
