"""Fixtures for all tests: small images, the command line, records, real data, a browser.

Test files import nothing from here; they request fixtures by name.
"""

import errno
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from torch import nn

THREADS = torch.get_num_threads()
torch.set_num_threads(1)  # tiny tensors gain nothing from more threads, which slow a busy machine

# The same examples in every run, and no time limit: the machine may be busy with a training.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent


def paint(seed: int, width: int = 32, height: int = 32) -> Image.Image:
    """Return a smooth, colorful image that depends on the seed: a few random colors, enlarged."""
    colors = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(colors).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def make_image() -> Callable[..., Image.Image]:
    """make_image(seed, width=32, height=32) → a smooth, colorful image."""
    return paint


@pytest.fixture(scope="session")
def fill_folder() -> Callable[..., list[Path]]:
    """fill_folder(folder, seeds, suffix=".png") → the image files, one named after each seed."""

    def fill(folder: Path, seeds: range, suffix: str = ".png") -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"image_{seed:03d}{suffix}" for seed in seeds]
        for seed, path in zip(seeds, paths, strict=True):
            paint(seed, 40, 32).save(path)
        return paths

    return fill


@pytest.fixture
def images_folder(tmp_path: Path, fill_folder: Callable[..., list[Path]]) -> Path:
    """A folder of 24 small images, 16 PNG and 8 JPEG, without sub-folders."""
    folder = tmp_path / "images"
    fill_folder(folder, range(16))
    fill_folder(folder, range(16, 24), ".jpg")
    return folder


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """run("--model", "unet", …) → (exit code, stdout, stderr); LPIPS cannot be downloaded."""
    import main

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENETUNREACH, "no network in this test")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("CHROMABENCH_LPIPS", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["main.py", *arguments])
        capfd.readouterr()
        try:
            main.main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def options(images_folder: Path, tmp_path: Path) -> list[str]:
    """Options of a small run: 24 images, one epoch, a small network, results in a new folder."""
    from tests.support import SMALL_RUN

    folders = ["--dataset", str(images_folder), "--results", str(tmp_path / "out")]
    return [*folders, *SMALL_RUN, "--device", "cpu", "--wandb", "disabled"]


@pytest.fixture(scope="session")
def draw_in_paint() -> Callable[[int, str], Image.Image]:
    """draw_in_paint(index, "red") → an image of the sample, all objects in that paint."""
    from benchmark.data.cartoon import sample

    def draw(index: int, name: str) -> Image.Image:
        certain = {
            key: replace(paint, probability=float(key == name))
            for key, paint in sample.PAINTS.items()
        }
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sample, "PAINTS", certain)
            return sample.draw(sample.SEED, index).image

    return draw


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the repository, with real photos and LPIPS' weights."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder ../shared beside the repository: no real photos, no LPIPS weights")
    return folder


@pytest.fixture(scope="session")
def lpips_weights(shared: Path) -> dict[str, Path]:
    """Genuine copies of the convolution layers of LPIPS' backbones, by key."""
    files = {"alex": "alexnet_features.pth", "squeeze": "squeezenet1_1_features.pth"}
    paths = {key: shared / "weights" / name for key, name in files.items()}
    if not all(path.is_file() for path in paths.values()):
        pytest.skip("no genuine weights in ../shared/weights: LPIPS is not compared")
    return paths


@pytest.fixture
def package_lpips(
    lpips_weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], nn.Module]:
    """package_lpips("alex") → the `lpips` package's own network with the genuine layers.

    The package builds its backbone with torchvision, which would download the weights. Instead it
    gets torchvision's network, built on the device "meta" and filled with the layers of the file.
    """
    import lpips
    import torchvision  # type: ignore[import-untyped]

    def make(key: str) -> nn.Module:
        name = {"alex": "alexnet", "squeeze": "squeezenet1_1"}[key]
        with torch.device("meta"):
            backbone = getattr(torchvision.models, name)()
        state = torch.load(lpips_weights[key], weights_only=True)
        backbone.load_state_dict(state, strict=False, assign=True)
        stand_in = SimpleNamespace(**{name: lambda pretrained: backbone})
        monkeypatch.setattr(lpips.pretrained_networks, "tv", stand_in)
        network: nn.Module = lpips.LPIPS(net=key, verbose=False)
        return network.eval()

    return make


@pytest.fixture
def default_threads() -> Iterator[int]:
    """Give this test the number of threads that torch uses by default; returns the number."""
    torch.set_num_threads(THREADS)
    yield THREADS
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_record() -> Callable[..., dict[str, Any]]:
    """make_record(means={"lpips": 0.1}, **changed) → the contents of a valid run.json."""
    from tests import record_support

    return record_support.make_record


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; it logs its requests and its errors."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium with chromedriver: no page is tried in a browser")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=Service(driver))
    yield chromium
    chromium.quit()
