"""The speed of scoring, sampling and training; `pytest -m slow -s` prints the measurements."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color as skimage_color
from skimage import metrics as skimage_metrics
from torch import nn

from benchmark import registry
from benchmark.color import rgb_from_8bit
from benchmark.colorizer import Colorizer
from benchmark.device import make_fabric
from benchmark.figures.images import save_png
from benchmark.randomness import Randomness
from benchmark.recipe import Recipe
from benchmark.results.folders import RunFolder
from benchmark.settings import resolve
from benchmark.training.loop import Loop
from metrics import METRICS, MetricSuite, lpips_network, score_folder
from tests.support import blobs, lightness_like, training_data

COUNT, SIDE, PARTS = 500, 64, 5


@pytest.mark.slow
def test_scoring_a_folder_is_faster_than_scoring_image_by_image(
    tmp_path: Path,
    lpips_weights: dict[str, Path],
    package_lpips: Callable[[str], nn.Module],
    default_threads: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prints the ratios with one thread and with torch's default number; the values must agree.

    Scoring the whole folder alternates with scoring a part of it image by image, so that other work
    on the machine slows both. Each ratio is the median over these turns.
    """
    network = lpips_network(str(lpips_weights["alex"]))
    suite = MetricSuite(networks={"lpips": network})
    reference = package_lpips("alex")
    names = write_folder(tmp_path)

    def ours() -> dict[str, list[float]]:
        return score_folder(tmp_path / "outputs", tmp_path / "truths", suite).per_image

    ratio = {}
    for threads in dict.fromkeys((1, default_threads)):
        torch.set_num_threads(threads)
        ours()  # warm-up: imports and first calls
        one_by_one(tmp_path, names[:10], reference)
        seconds = np.zeros((PARTS, 2, 2))  # turn; ours or reference; wall or processor
        for turn in range(PARTS):
            clocks = [clock()]
            fast = ours()
            clocks.append(clock())
            slow = one_by_one(tmp_path, names[turn::PARTS], reference)
            clocks.append(clock())
            assert fast.keys() == slow.keys()
            for key, values in slow.items():
                np.testing.assert_allclose(fast[key][turn::PARTS], values, rtol=1e-3, atol=1e-3)
            seconds[turn] = np.diff(clocks, axis=0) * [[1], [PARTS]]
        milliseconds = 1000 / COUNT * np.median(seconds, axis=0)
        ratio[threads] = np.median(seconds[:, 1] / seconds[:, 0], axis=0)
        with capsys.disabled():
            for index, name in enumerate(("wall", "processor")):
                few, many = milliseconds[:, index]
                print(
                    f"\n{COUNT} images of {SIDE}×{SIDE}, threads: {threads}, {name}: {few:.2f} "
                    f"ms an image against {many:.2f}, {ratio[threads][index]:.1f} times",
                    end="",
                )
    assert ratio[1][1] > 7  # processor time, which other work changes least


def clock() -> list[float]:
    """Return the wall-clock time and the processor time in seconds."""
    return [time.perf_counter(), time.process_time()]


def write_folder(folder: Path) -> list[str]:
    """Write COUNT pairs of images into `outputs` and `truths`; returns their file names."""
    generator = torch.Generator().manual_seed(0)
    names = [f"{row:03d}.png" for row in range(COUNT)]
    for name in names:
        coarse = torch.rand(2, 3, 8, 8, generator=generator)
        pair = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")
        for part, rgb in zip(("outputs", "truths"), pair, strict=True):
            save_png(folder / part / name, rgb)
    return names


@torch.no_grad()
def one_by_one(folder: Path, names: list[str], network: nn.Module) -> dict[str, list[float]]:
    """Score in a plain loop with scikit-image and `lpips`, one image at a time."""
    values: dict[str, list[float]] = {key: [] for key, m in METRICS.items() if m.per_image}
    for name in names:
        output8, truth8 = (
            np.array(Image.open(folder / part / name).convert("RGB"))
            for part in ("outputs", "truths")
        )
        output, truth = output8 / 255, truth8 / 255
        values["ssim"].append(
            skimage_metrics.structural_similarity(  # type: ignore[no-untyped-call]
                truth,
                output,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1.0,
            )
        )
        values["psnr"].append(
            skimage_metrics.peak_signal_noise_ratio(  # type: ignore[no-untyped-call]
                truth, output, data_range=1.0
            )
        )
        lab1, lab2 = (skimage_color.rgb2lab(rgb) for rgb in (truth, output))  # type: ignore[no-untyped-call]
        values["delta_e76"].append(skimage_color.deltaE_cie76(lab1, lab2).mean())  # type: ignore[no-untyped-call]
        values["delta_e2000"].append(skimage_color.deltaE_ciede2000(lab1, lab2).mean())  # type: ignore[no-untyped-call]
        values["lightness_error"].append(np.abs(lab1 - lab2)[..., 0].mean())
        colorful = colorfulness(output8)
        values["colorfulness"].append(colorful)
        values["colorfulness_gap"].append(abs(colorful - colorfulness(truth8)))
        first, second = (
            torch.from_numpy(rgb8).permute(2, 0, 1)[None] / 127.5 - 1 for rgb8 in (output8, truth8)
        )
        values["lpips"].append(network(first, second).item())
    return values


def colorfulness(rgb8: Any) -> float:
    red, green, blue = rgb8.astype(float).transpose(2, 0, 1)
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(), second.std())
    return float(spread + 0.3 * np.hypot(first.mean(), second.mean()))


# ---- the network with its default settings -------------------------------------------------------


def default_recipe(name: str) -> Recipe[Any, Any]:
    """Return the recipe of an untrained model with its default settings and batches of 32."""
    settings = resolve(registry.load_settings(name), name, "standard", {"batch_size": 32}).settings
    torch.manual_seed(settings.seed)
    model = settings.model_class.build(settings.architecture)
    model.calibrate(training_data(blobs(4, SIDE)).statistics)
    return registry.load_recipe(name)(model, settings)


@pytest.mark.slow
def test_sampling_spends_its_time_in_the_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is random draws, the sampler's arithmetic, checks and the conversion to sRGB."""
    model: Colorizer = default_recipe("unetddim").model.eval()
    model.to(memory_format=torch.channels_last)
    lightness = lightness_like(blobs(16, SIDE))
    forward, network_seconds = model.forward, []

    def timed(*inputs: Any) -> Any:
        before = time.process_time()
        answer = forward(*inputs)
        network_seconds.append(time.process_time() - before)
        return answer

    monkeypatch.setattr(model, "forward", timed)
    model.colorize(lightness, seeds=range(16), sampling=model.sampling_class(steps=2))
    network_seconds.clear()
    sampling = model.sampling_class()
    before = time.process_time()
    model.colorize(lightness, seeds=range(16), sampling=sampling)
    seconds = time.process_time() - before
    share = sum(network_seconds) / seconds
    with capsys.disabled():
        print(
            f"\n16 images of {SIDE}×{SIDE} in {len(network_seconds)} steps of unetddim, one "
            f"thread: {seconds:.1f} s of the processor, {share:.1%} of it in the network",
            end="",
        )
    assert len(network_seconds) == sampling.steps
    assert share >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "unetddim"])
def test_training_costs_little_more_than_a_bare_loop(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bare loop: losses of prepared colors, gradients and the optimizer's step.

    The training loop also makes batches (crop, flip, Lab), clips gradients, averages weights and
    records losses. Both alternate step by step, so that other work on the machine slows both. The
    ratio is the median over these turns.
    """
    recipe = default_recipe(name).train()
    data, fabric = training_data(blobs(64, SIDE)), make_fabric("cpu", "32")
    loop = Loop(RunFolder(tmp_path, name, 0), name, recipe.model, recipe, data, fabric)
    bare_one = bare_step(default_recipe(name).train(), data.train.rgb8[:32])
    steps = {"bare": bare_one, "loop": loop.take_step}
    seconds: dict[str, list[float]] = {key: [] for key in steps}
    for _ in range(16):
        for key, step in steps.items():
            before = time.process_time()
            step()
            seconds[key].append(time.process_time() - before)
        loop.step += 1
    turns = np.array([values[1:] for values in seconds.values()])
    bare, whole = np.median(turns, axis=1)
    ratio = np.median(turns[1] / turns[0])
    with capsys.disabled():
        print(
            f"\n{name}, a step of 32 images of {SIDE}×{SIDE}, one thread: {1000 * whole:.0f} ms "
            f"of the processor, {1000 * bare:.0f} in a bare loop, {ratio - 1:+.1%}",
            end="",
        )
    assert ratio <= 1.05


def bare_step(recipe: Recipe[Any, Any], rgb8: torch.Tensor) -> Callable[[], None]:
    """Return a function that takes a training step with one optimizer on a prepared batch."""
    recipe.to(memory_format=torch.channels_last)
    model, (optimizer,) = recipe.model, recipe.optimizers().values()
    target = model.target(rgb_from_8bit(rgb8)).contiguous(memory_format=torch.channels_last)
    batch = SimpleNamespace(rgb=target, lightness=lightness_like(rgb8), progress=0.5)
    model.target = lambda ready: ready
    rng = Randomness(0, 0, torch.device("cpu"))

    def step() -> None:
        (update,) = recipe.updates(batch, rng)  # type: ignore[arg-type]
        optimizer.zero_grad()
        sum(update.losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step()

    return step
