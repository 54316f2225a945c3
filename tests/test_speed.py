"""How fast a folder is scored, beside the usual loop: `pytest -m slow -s tests/test_speed.py`."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color as skimage_color
from skimage import metrics as skimage_metrics
from torch import nn

import metrics
from benchmark.figures import save_png

COUNT, SIDE, PARTS = 500, 64, 5


@pytest.mark.slow
def test_a_folder_is_scored_faster_than_picture_by_picture(
    tmp_path: Path,
    lpips_weights: dict[str, Path],
    package_lpips: Callable[[str], nn.Module],
    default_threads: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prints the ratios, with one thread and with torch's own number of them; values must agree.

    The two take turns at parts of the folder, so that whatever else the machine does slows both;
    a ratio is the median over the parts.
    """
    network = metrics.lpips_network(str(lpips_weights["alex"]))
    instruments = metrics.Instruments(networks={"lpips": network})
    usual = package_lpips("alex")
    parts = write_parts(tmp_path)

    def ours(part: Path) -> dict[str, list[float]]:
        return metrics.score_folder(part / "outputs", part / "truths", instruments).pictures

    def theirs(part: Path) -> dict[str, list[float]]:
        return one_by_one(part, usual)

    ratio = {}
    for threads in dict.fromkeys((1, default_threads)):
        torch.set_num_threads(threads)
        for compute in (ours, theirs):  # once for imports and first uses
            compute(parts[0])
        seconds = np.zeros((len(parts), 2, 2))  # part, whose, wall or processor
        for row, part in enumerate(parts):
            results = []
            for column, compute in enumerate((ours, theirs)):
                before = np.array([time.perf_counter(), time.process_time()])
                results.append(compute(part))
                seconds[row, column] = [time.perf_counter(), time.process_time()] - before
            assert results[0].keys() == results[1].keys()
            for key, values in results[1].items():
                np.testing.assert_allclose(results[0][key], values, rtol=1e-3, atol=1e-3)
        milliseconds = 1000 * PARTS / COUNT * np.median(seconds, axis=0)
        ratio[threads] = np.median(seconds[:, 1] / seconds[:, 0], axis=0)
        with capsys.disabled():
            for clock, name in enumerate(("wall", "processor")):
                fast, slow = milliseconds[:, clock]
                print(
                    f"\n{COUNT} pictures of {SIDE}×{SIDE}, threads: {threads}, {name}: {fast:.2f} "
                    f"ms a picture against {slow:.2f}, {ratio[threads][clock]:.1f} times",
                    end="",
                )
    assert ratio[1][1] > 5  # of the processor's time, which other work on the machine sways least


def write_parts(folder: Path) -> list[Path]:
    """Folders with COUNT pairs of pictures in all, each with `outputs` and `truths`."""
    generator = torch.Generator().manual_seed(0)
    parts = [folder / f"part{number}" for number in range(PARTS)]
    for row in range(COUNT):
        coarse = torch.rand(2, 3, 8, 8, generator=generator)
        pair = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")
        for name, rgb in zip(("outputs", "truths"), pair, strict=True):
            save_png(parts[row % PARTS] / name / f"{row:03d}.png", rgb)
    return parts


@torch.no_grad()
def one_by_one(part: Path, network: nn.Module) -> dict[str, list[float]]:
    """The usual loop: scikit-image and `lpips`, a picture at a time."""
    values: dict[str, list[float]] = {
        key: [] for key, m in metrics.METRICS.items() if m.of_pictures
    }
    for path in sorted((part / "outputs").iterdir()):
        output8, truth8 = (
            np.array(Image.open(file).convert("RGB"))
            for file in (path, part / "truths" / path.name)
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
        colourful = colorfulness(output8)
        values["colorfulness"].append(colourful)
        values["colorfulness_gap"].append(abs(colourful - colorfulness(truth8)))
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
