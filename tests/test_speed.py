"""How fast a folder is scored, beside the usual loop: `pytest -m slow -s tests/test_speed.py`."""

import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color as skimage_color
from skimage import metrics as skimage_metrics

import metrics
from benchmark.color import rgb_from_8bit
from benchmark.figures import save_png

COUNT, SIDE = 500, 64


@pytest.mark.slow
def test_a_folder_is_scored_faster_than_picture_by_picture(
    tmp_path: Path, lpips_weights: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints the ratio, of the wall and of the processor; values must agree.

    The two take turns, so that whatever else the machine does slows both alike.
    """
    instruments = metrics.Instruments(
        networks={"lpips": metrics.lpips_network(str(lpips_weights["alex"]))}
    )
    generator = torch.Generator().manual_seed(0)
    parts = [tmp_path / f"part{number}" for number in range(5)]
    for row in range(COUNT):
        coarse = torch.rand(2, 3, 8, 8, generator=generator)
        pair = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")
        for folder, rgb in zip(("outputs", "truths"), pair, strict=True):
            save_png(parts[row % len(parts)] / folder / f"{row:03d}.png", rgb)

    def ours(part: Path) -> dict[str, list[float]]:
        return metrics.score_folder(part / "outputs", part / "truths", instruments).pictures

    usual = deepcopy(instruments.networks["lpips"]).to(memory_format=torch.contiguous_format)

    def theirs(part: Path) -> dict[str, list[float]]:
        return one_by_one(part, usual)

    for compute in (ours, theirs):  # once for imports and first uses
        compute(parts[0])
    wall, processor = np.zeros(2), np.zeros(2)
    for part in parts:
        results = []
        for number, compute in enumerate((ours, theirs)):
            before = time.perf_counter(), time.process_time()
            results.append(compute(part))
            wall[number] += time.perf_counter() - before[0]
            processor[number] += time.process_time() - before[1]
        for key, values in results[1].items():
            np.testing.assert_allclose(results[0][key], values, rtol=1e-3, atol=1e-3)
        assert results[0].keys() == results[1].keys()
    with capsys.disabled():
        for name, (fast, slow) in (("wall", wall), ("processor", processor)):
            each = 1000 / COUNT
            print(
                f"\n{COUNT} pictures of {SIDE}×{SIDE}, {torch.get_num_threads()} threads, {name}: "
                f"{fast * each:.2f} ms a picture against {slow * each:.2f}, {slow / fast:.1f} times"
            )
    assert processor[1] > 2 * processor[0]


@torch.no_grad()
def one_by_one(part: Path, network: Callable[..., Any]) -> dict[str, list[float]]:
    """The usual loop: scikit-image and `lpips`, a picture at a time, each metric by itself."""
    values: dict[str, list[float]] = {key: [] for key, m in metrics.METRICS.items() if m.measure}
    for path in sorted((part / "outputs").iterdir()):
        output8, truth8 = (
            np.array(Image.open(file).convert("RGB"))
            for file in (path, part / "truths" / path.name)
        )
        output, truth = output8 / 255, truth8 / 255

        def lab(rgb: Any) -> Any:
            return skimage_color.rgb2lab(rgb)  # type: ignore[no-untyped-call]

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
        values["delta_e76"].append(
            skimage_color.deltaE_cie76(lab(truth), lab(output)).mean()  # type: ignore[no-untyped-call]
        )
        values["delta_e2000"].append(
            skimage_color.deltaE_ciede2000(lab(truth), lab(output)).mean()  # type: ignore[no-untyped-call]
        )
        values["lightness_error"].append(np.abs(lab(truth) - lab(output))[..., 0].mean())
        values["colorfulness"].append(colorfulness(output8))
        values["colorfulness_gap"].append(abs(colorfulness(output8) - colorfulness(truth8)))
        first, second = (
            rgb_from_8bit(torch.from_numpy(rgb8).permute(2, 0, 1)[None]) * 2 - 1
            for rgb8 in (output8, truth8)
        )
        values["lpips"].append(network(first, second).item())
    return values


def colorfulness(rgb8: Any) -> float:
    red, green, blue = rgb8.astype(float).transpose(2, 0, 1)
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(), second.std())
    return float(spread + 0.3 * np.hypot(first.mean(), second.mean()))
