"""The weights of an ONNX file as 8-bit integers, and what that changes in its images."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer
from benchmark.data.cartoon.sample import SEED, draw
from benchmark.files import replacing
from benchmark.inference.onnx.checking import color
from benchmark.inference.onnx.network import with_network
from benchmark.inference.onnx.writing import open_session
from benchmark.metrics.score import score
from benchmark.metrics.table import ALL_METRICS, MetricSuite

COUNT = 8
"""Images of the built-in sample on which the change is measured."""
TOLD = ("lpips", "ssim", "delta_e2000")


def quantize(path: Path, target: Path) -> None:
    """Write an ONNX file with weights of 8 bits; activations are quantized while it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, replacing(target) as part:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        # Unsigned, since onnxruntime has no convolution of signed weights on a CPU.
        quantize_dynamic(prepared, part, weight_type=QuantType.QUInt8)


def change_of_scores(
    path: Path, quantized: Path, model: Colorizer, size: int, suite: MetricSuite
) -> dict[str, tuple[float, float]]:
    """Return the scores of an ONNX file and of the quantized one, on images of the sample.

    By the keys of those of TOLD that can be measured: LPIPS needs its weights. size: the side of
    the images in pixels, rounded to a multiple of the model's divisor.
    """
    size = max(size - size % model.size_divisor, model.size_divisor)
    drawings = [np.asarray(draw(SEED, index, size).image) for index in range(COUNT)]
    truths = torch.from_numpy(np.stack(drawings)).permute(0, 3, 1, 2).contiguous()
    means = []
    for file in (path, quantized):
        colored = with_network(model, open_session(file))
        outputs = torch.cat([_color(colored, truth[None]) for truth in truths])
        scores = score([(outputs, truths)], suite, TOLD)
        means.append({key: float(np.mean(values)) for key, values in scores.per_image.items()})
    return {key: (means[0][key], means[1][key]) for key in TOLD if key in means[0]}


def _color(model: Colorizer, truth8: Tensor) -> Tensor:
    return color(model, rgb_to_lightness(rgb_from_8bit(truth8)), 0)


def sentence_of(change: dict[str, tuple[float, float]]) -> str:
    """Say how scores change: `LPIPS (alex) 0.150 → 0.152 (+0.002)`."""
    parts = [
        f"{ALL_METRICS[key].label} {before:.3f} → {after:.3f} ({after - before:+.3f})"
        for key, (before, after) in change.items()
    ]
    return ", ".join(parts)
