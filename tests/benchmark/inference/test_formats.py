"""The format of a written photo is that of its suffix."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from benchmark.errors import UserError
from benchmark.inference.formats import by_suffix, require_quality, require_sides, save_photo
from benchmark.inference.metadata import Metadata


@pytest.mark.parametrize("suffix", [*by_suffix(), ".JPG"])
def test_the_suffix_chooses_the_format(
    tmp_path: Path, make_image: Callable[..., Image.Image], suffix: str
) -> None:
    image = make_image(1, 60, 40)
    path = tmp_path / f"photo{suffix}"
    assert save_photo(path, image, Metadata()) == []
    kind = by_suffix()[suffix.lower()]
    with Image.open(path) as read:
        assert read.format == kind.name
        error = np.abs(np.asarray(read, int) - np.asarray(image, int)).max()
        assert error <= (30 if kind.has_quality else 0)
        if kind.name == "JPEG":
            assert isinstance(read, JpegImagePlugin.JpegImageFile)
            assert JpegImagePlugin.get_sampling(read) == 0  # 4:4:4
    if kind.has_quality:
        high = path.stat().st_size
        save_photo(path, image, Metadata(), quality=20)
        assert path.stat().st_size < high


def test_quality_belongs_to_lossy_formats() -> None:
    require_quality(Path("y.jpg"), 1)
    require_quality(Path("y.png"), None)
    for name in ("y.png", "y.tif", "y.bmp"):
        with pytest.raises(UserError, match=r"--quality belongs to .*\.jpg, .*\.webp"):
            require_quality(Path(name), 90)


def test_a_side_that_a_format_cannot_hold_is_refused() -> None:
    require_sides(Path("y.webp"), (16383, 20))
    require_sides(Path("y.png"), (200_000, 20))
    for name, side in (("y.webp", 16384), ("y.jpg", 65501)):
        with pytest.raises(UserError, match=f"{name}: .* pixels a side.*20×{side}"):
            require_sides(Path(name), (20, side))
