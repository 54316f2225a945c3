"""Photos at full resolution: strips give what the whole image gives, and lightness is kept."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from benchmark.color import join, rgb_from_8bit, rgb_to_8bit
from benchmark.inference import photo
from benchmark.inference.photo import PhotoColorizer, join_color, network_size, reduce_lightness
from tests.support import lightness_like, tiny_model

SIZES = [(70, 45), (45, 71), (300, 16), (16, 300), (33, 33)]
ROOT = Path(photo.__file__).resolve().parents[2]


def rgb8_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def image(
    request: pytest.FixtureRequest,
    make_image: Callable[..., Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> Image.Image:
    """An image that is worked on in strips of a few rows, the last one shorter."""
    monkeypatch.setattr(photo, "STRIP_PIXELS", 7 * request.param[0])
    return make_image(1, *request.param)


@pytest.mark.parametrize("size", [(16, 16), (20, 31), (90, 400)])
def test_lightness_is_reduced_in_strips_as_a_whole(
    image: Image.Image, size: tuple[int, int]
) -> None:
    whole = F.interpolate(
        lightness_like(rgb8_of(image)), size, mode="bicubic", antialias=True
    ).clamp(0, 100)
    torch.testing.assert_close(reduce_lightness(image, *size), whole, rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [(16, 16), (20, 31), (90, 400)])
def test_color_is_joined_in_strips_as_a_whole(
    image: Image.Image, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ab = 60 * torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(0))
    before = lightness_like(rgb8_of(image))
    whole = image.copy()
    join_color(image, ab)
    assert (lightness_like(rgb8_of(image)) - before).abs().max() < 0.5
    monkeypatch.setattr(photo, "STRIP_PIXELS", image.width * image.height)
    join_color(whole, ab)
    # Pillow interpolates the edge of a strip from whole pixels of its own box.
    assert (rgb8_of(image).int() - rgb8_of(whole).int()).abs().max() <= 2


def test_color_that_is_not_enlarged_is_that_of_the_model(image: Image.Image) -> None:
    ab = 60 * torch.randn(1, 2, image.height, image.width)
    expected = rgb_to_8bit(join(lightness_like(rgb8_of(image)), ab)).int()
    join_color(image, ab)
    assert (rgb8_of(image).int() - expected).abs().max() <= 1


def test_the_network_sees_a_short_side_of_its_size_and_a_bounded_long_side() -> None:
    assert network_size(3000, 4000, 64) == (64, 85)
    assert network_size(40, 32, 64) == (80, 64)
    assert network_size(300, 30_000, 64) == (64, 6400)
    assert network_size(60_000, 16, 64) == (6400, 64)


def test_a_photo_has_the_color_of_its_name_and_seed(make_image: Callable[..., Image.Image]) -> None:
    model = tiny_model("unetddim")
    cpu = torch.device("cpu")
    sampling = model.sampling_class(steps=2)

    def colored(seed: int, name: str) -> torch.Tensor:
        image = make_image(3, 50, 40)
        small = PhotoColorizer(model, 32, seed, sampling, cpu).color(image, name)
        assert small.shape == (3, 32, 40)
        return rgb_from_8bit(rgb8_of(image))

    first = colored(0, "caf\udce9.jpg")  # a byte of the name is no UTF-8
    assert torch.equal(first, colored(0, "caf\udce9.jpg"))
    assert not torch.equal(first, colored(1, "caf\udce9.jpg"))
    assert not torch.equal(first, colored(0, "cafe.jpg"))


@pytest.mark.slow
def test_coloring_a_hundred_megapixels_takes_little_memory(tmp_path: Path) -> None:
    """The memory beside that of the libraries and of the decoded image, 4 bytes a pixel."""
    code = """
import resource, torch
from PIL import Image
from pathlib import Path
from benchmark.inference.formats import save_photo
from benchmark.inference.metadata import Metadata
from benchmark.inference.photo import join_color, reduce_lightness
noise = Image.effect_noise((64, 48), 80).convert("RGB")
image = noise.resize((11547, 8660), Image.Resampling.NEAREST)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reduce_lightness(image, 64, 85)
join_color(image, 20 * torch.randn(1, 2, 64, 85))
for suffix in (".jpg", ".png", ".tif", ".bmp"):
    save_photo(Path(f"photo{suffix}"), image, Metadata())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(done.stdout) < 250  # MB
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1.5e6  # kB
