"""`from benchmark import load`: as it is documented, and in a fresh interpreter from elsewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import benchmark
from benchmark import load
from benchmark.color import rgb_to_lab
from benchmark.errors import UserError
from benchmark.files import ROOT
from tests.export_support import export_tiny
from tests.support import RunCommand, read_rgb


@pytest.fixture
def weights(
    tmp_path: Path, make_image: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An exported unet in the working folder, beside photo.jpg."""
    monkeypatch.chdir(tmp_path)
    make_image(1, 150, 100).save("photo.jpg", quality=95)
    return export_tiny(tmp_path / "unet.safetensors")


def test_an_image_in_memory_is_colored_as_the_command_does(
    weights: Path, run: RunCommand, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["colorize", "photo.jpg", "--weights", "unet.safetensors", "--device", "cpu"]
    assert run(*command, "--out", "c.png")[0] == 0
    model = load(weights, device="cpu")
    assert model.name == "unet"
    for photo in ("photo.jpg", Path("photo.jpg"), Image.open("photo.jpg")):
        colored = model.colorize(photo)
        assert (colored.mode, colored.size) == ("RGB", (150, 100))
        assert np.array_equal(np.asarray(colored), np.asarray(Image.open("c.png")))
    assert capfd.readouterr() == ("", "")
    photo, own = (rgb_to_lab(read_rgb(Path(p))[None])[:, 0] for p in ("photo.jpg", "c.png"))
    assert (photo - own).abs().max() < 1.5


def test_images_of_every_mode_are_taken_and_stay_as_they_are(weights: Path) -> None:
    model = load(weights, device="cpu")
    image = Image.open("photo.jpg")
    upright = model.colorize(image)
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16", "CMYK"):
        other = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
        before = other.tobytes()
        assert model.colorize(other).size == (150, 100), mode
        assert other.tobytes() == before
    image.getexif()[0x0112] = 6  # stored turned by 90°
    turned = model.colorize(image)
    assert turned.size == (100, 150)
    assert np.array_equal(np.asarray(turned).shape, np.asarray(upright).transpose(1, 0, 2).shape)
    with pytest.raises(UserError, match="The image cannot be used"):
        model.colorize(Image.new("RGB", (1, 1)))
    with pytest.raises(UserError, match="The image cannot be used: its floating-point samples"):
        model.colorize(image.convert("F"))


def test_seeds_and_sampling_of_a_model_that_draws(weights: Path, tmp_path: Path) -> None:
    path = export_tiny(tmp_path / "d.safetensors", "unetddim")
    model = load(str(path), device="cpu", sampling={"steps": 2})
    assert model.sampling.model_dump()["steps"] == 2
    first, again, other = (model.colorize("photo.jpg", seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert model.colorize("photo.jpg", seed=1, sample=1) not in (first, other)
    gray = model.colorize("photo.jpg", seed=1, strength=0)
    assert all(high - low <= 2 for low, high in gray.convert("LAB").getextrema()[1:])
    for arguments, reason in (
        ({"name_or_path": "unit"}, "did you mean 'unet'"),
        ({"name_or_path": "none.safetensors"}, "There is no file of weights"),
        ({"name_or_path": "unet", "results": tmp_path}, "train first"),
        ({"name_or_path": path, "sampling": {"step": 2}}, "did you mean 'steps'"),
        ({"name_or_path": path, "device": "none"}, "choose cpu"),
    ):
        with pytest.raises(UserError, match=reason):
            load(**arguments)  # type: ignore[arg-type]


def test_the_lines_of_the_documents_work_in_a_fresh_interpreter(
    weights: Path, tmp_path: Path
) -> None:
    """From another working directory, and nothing is printed."""
    lines = ["import sys, benchmark\nassert 'torch' not in sys.modules\n"]
    for document in ("README.md", "docs/usage.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        found = re.search(r"```python\n(from benchmark import load\n.*?)```", text, re.DOTALL)
        assert found is not None, document
        lines.append(found[1].replace('load("unet"', 'load("unet.safetensors"'))
    (tmp_path / "try.py").write_text("".join(lines))
    done = subprocess.run(
        [sys.executable, "try.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Image.open("colored.png").size == (150, 100)


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = benchmark.other
