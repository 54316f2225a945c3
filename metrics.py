"""What is measured: per-picture metrics, one table of them, and the score of a set of pictures.

Every metric is a pure function of float32 sRGB in [0, 1], (B, 3, H, W), on any device, and gives
one value a picture, (B,). Pictures in another range or of another shape are refused (ValueError):
the best-known tables of this field were made from [-1, 1] pictures where [0, 1] was meant.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from kornia.metrics import ssim as kornia_ssim
from torch import Tensor, nn

from benchmark.color import require_rgb, rgb_from_8bit, rgb_to_lab
from benchmark.errors import UserError

LPIPS_VARIABLE = "CHROMABENCH_LPIPS"
ALEXNET_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"


def _require_pair(prediction: Tensor, truth: Tensor) -> None:
    if prediction.shape != truth.shape:
        shapes = f"{tuple(prediction.shape)} and {tuple(truth.shape)}"
        raise ValueError(f"prediction and truth differ in shape: {shapes}")
    require_rgb(prediction, "prediction")
    require_rgb(truth, "truth")


# ---- the metrics ---------------------------------------------------------------------------------


def ssim(prediction: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity over RGB (Wang et al. 2004), 1 for equal pictures.

    Gaussian window of 11×11 with σ 1.5, population covariance, data range 1, mean over the places
    where the window lies wholly inside; sides of at least 11 pixels.
    """
    _require_pair(prediction, truth)
    values: Tensor = kornia_ssim(
        prediction.float(), truth.float(), 11, max_val=1.0, padding="valid"
    )
    return values.mean(dim=(1, 2, 3))


def psnr(prediction: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio over RGB in dB; infinite for equal pictures."""
    _require_pair(prediction, truth)
    error = (prediction.float() - truth.float()).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(error)


def delta_e76(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of the CIE 1976 colour difference: the Euclidean distance in Lab."""
    _require_pair(prediction, truth)
    difference = rgb_to_lab(prediction) - rgb_to_lab(truth)
    return torch.linalg.vector_norm(difference, dim=1).mean(dim=(1, 2))


def delta_e2000(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of the CIEDE2000 colour difference (Sharma et al. 2005)."""
    _require_pair(prediction, truth)
    return ciede2000(rgb_to_lab(prediction), rgb_to_lab(truth)).mean(dim=(1, 2))


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 of Lab colours (B, 3, …) → (B, …), k_L = k_C = k_H = 1.

    Sharma, Wu and Dalal 2005; the numbers in the comments are their equations.
    """
    l1, a1, b1 = lab1.unbind(1)
    l2, a2, b2 = lab2.unbind(1)
    c_mean = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2  # (2), (3)
    g = 0.5 * (1 - _seventh(c_mean))  # (4)
    a1, a2 = (1 + g) * a1, (1 + g) * a2  # (5)
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)  # (6)
    h1, h2 = (torch.atan2(b, a) % (2 * math.pi) for a, b in ((a1, b1), (a2, b2)))  # (7)
    grey = c1 * c2 == 0

    turn = h2 - h1
    turn = torch.where(turn > math.pi, turn - 2 * math.pi, turn)
    turn = torch.where(turn < -math.pi, turn + 2 * math.pi, turn)
    turn = torch.where(grey, 0.0, turn)  # (10)
    d_l, d_c = l2 - l1, c2 - c1  # (8), (9)
    d_h = 2 * (c1 * c2).sqrt() * torch.sin(turn / 2)  # (11)

    l_bar, c_bar = (l1 + l2) / 2, (c1 + c2) / 2  # (12), (13)
    h_sum = h1 + h2
    around = torch.where(h_sum < 2 * math.pi, h_sum + 2 * math.pi, h_sum - 2 * math.pi)
    h_bar = torch.where((h1 - h2).abs() <= math.pi, h_sum, around) / 2
    h_bar = torch.where(grey, h_sum, h_bar)  # (14)
    t = (
        1
        - 0.17 * torch.cos(h_bar - math.radians(30))
        + 0.24 * torch.cos(2 * h_bar)
        + 0.32 * torch.cos(3 * h_bar + math.radians(6))
        - 0.20 * torch.cos(4 * h_bar - math.radians(63))
    )  # (15)
    d_theta = math.radians(30) * torch.exp(-(((torch.rad2deg(h_bar) - 275) / 25) ** 2))  # (16)
    r_c = 2 * _seventh(c_bar)  # (17)
    s_l = 1 + 0.015 * (l_bar - 50) ** 2 / (20 + (l_bar - 50) ** 2).sqrt()  # (18)
    s_c, s_h = 1 + 0.045 * c_bar, 1 + 0.015 * c_bar * t  # (19), (20)
    r_t = -torch.sin(2 * d_theta) * r_c  # (21)
    l_term, c_term, h_term = d_l / s_l, d_c / s_c, d_h / s_h
    squared = l_term**2 + c_term**2 + h_term**2 + r_t * c_term * h_term  # (22)
    return squared.clamp(min=0).sqrt()


def _seventh(chroma: Tensor) -> Tensor:
    """√(C⁷ / (C⁷ + 25⁷)), which blue needs."""
    return (chroma**7 / (chroma**7 + 25.0**7)).sqrt()


def colorfulness(rgb: Tensor) -> Tensor:
    """Colourfulness M (Hasler and Süsstrunk 2003, eq. 14-16), 0 for grey, on the 0…255 scale.

    Uses the signed difference R - G, as in the paper; much code in the field takes |R - G|.
    """
    require_rgb(rgb)
    red, green, blue = (255 * rgb.float()).unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue], dim=1).flatten(2)
    std, mean = opponents.std(dim=2, correction=0), opponents.mean(dim=2)
    return torch.linalg.vector_norm(std, dim=1) + 0.3 * torch.linalg.vector_norm(mean, dim=1)


def lightness_error(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean over pixels of |ΔL*|: how far the output moved from the lightness it was given."""
    _require_pair(prediction, truth)
    return (rgb_to_lab(prediction) - rgb_to_lab(truth))[:, 0].abs().mean(dim=(1, 2))


# ---- LPIPS ---------------------------------------------------------------------------------------


def lpips(prediction: Tensor, truth: Tensor, network: nn.Module) -> Tensor:
    """Learned perceptual distance (Zhang et al. 2018, v0.1), 0 for equal pictures.

    network: from `lpips_network`. Takes [0, 1] and converts to the [-1, 1] that the package wants.
    """
    _require_pair(prediction, truth)
    distance: Tensor = network(prediction.float() * 2 - 1, truth.float() * 2 - 1)
    return distance.flatten()


class NoBackbone(Exception):
    """Why there is no LPIPS here: no genuine weights of its backbone are at hand."""


@cache
def lpips_network(weights: str | None = None) -> nn.Module:
    """The `lpips` package's AlexNet variant with genuine ImageNet weights.

    weights: a file with torchvision's AlexNet or its convolution layers; without one the
    environment variable CHROMABENCH_LPIPS, then torchvision's cache or download. Raises UserError
    for a named file that is not AlexNet's, NoBackbone if none is named and none can be had: a
    number from random weights would look like LPIPS and be none.
    """
    named = weights or os.environ.get(LPIPS_VARIABLE)
    features = _read_backbone(Path(named)) if named else _find_backbone()
    if isinstance(features, str):
        raise NoBackbone(features)
    import lpips as package

    # pnet_rand only keeps the package from downloading; every layer is replaced below.
    network: nn.Module = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for stage in (getattr(network.net, f"slice{i}") for i in range(1, 6)):
        for place, layer in stage.named_children():
            if isinstance(layer, nn.Conv2d):
                layer.weight.data.copy_(features[f"features.{place}.weight"])
                assert layer.bias is not None
                layer.bias.data.copy_(features[f"features.{place}.bias"])
    network.requires_grad_(False)
    return network.eval()


# Shape and standard deviation of each convolution of torchvision's AlexNet (IMAGENET1K_V1), to
# tell the genuine ones from any others: those of a fresh initialisation differ by far.
ALEXNET_LAYERS = {
    "features.0.weight": ((64, 3, 11, 11), 0.11698),
    "features.3.weight": ((192, 64, 5, 5), 0.04707),
    "features.6.weight": ((384, 192, 3, 3), 0.03503),
    "features.8.weight": ((256, 384, 3, 3), 0.02762),
    "features.10.weight": ((256, 256, 3, 3), 0.02638),
}


def _read_backbone(path: Path) -> dict[str, Tensor]:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        for name, (shape, std) in ALEXNET_LAYERS.items():
            found, bias = tensors[name], tensors[name.replace("weight", "bias")]
            fits = tuple(found.shape) == shape and tuple(bias.shape) == shape[:1]
            if not fits or abs(float(found.std()) / std - 1) > 0.01:
                raise ValueError(f"{name} is not torchvision's")
    except FileNotFoundError as error:
        raise UserError(f"LPIPS: there is no file {path}.") from error
    except Exception as error:  # whatever an arbitrary file makes torch stumble over
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise UserError(f"LPIPS: {path} does not hold AlexNet's layers ({reason}).") from error
    return {name: value for name, value in tensors.items() if name.startswith("features.")}


@cache
def _find_backbone() -> dict[str, Tensor] | str:
    """torchvision's file, from its cache or fetched into it; or why there is none. Tried once."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / ALEXNET_URL.rpartition("/")[2]
    remedy = f"name a file with --lpips_weights or {LPIPS_VARIABLE}"
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(ALEXNET_URL, str(path), "7be5be79", progress=False)
        return _read_backbone(path)
    except UserError as error:
        return f"{error} Delete that file, or {remedy}"
    except Exception as error:  # no network, no disk, a proxy: all mean the same here
        return f"AlexNet's weights cannot be downloaded ({type(error).__name__}); {remedy}"


# ---- the table -----------------------------------------------------------------------------------

Direction = Literal["up", "down", "none"]


@dataclass(frozen=True)
class Metric:
    """One column: what is measured, and how to read it.

    direction: where better is; "none" for what describes and does not rank.
    compute: (prediction, truth) → (B,); None for LPIPS, which needs a network.
    """

    key: str
    label: str
    unit: str
    direction: Direction
    parameters: str
    source: str
    compute: Callable[[Tensor, Tensor], Tensor] | None


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(
            "ssim", "SSIM", "", "up",
            "RGB, Gaussian 11×11 σ 1.5, population covariance, range 1, borders cropped",
            "Wang et al. 2004", ssim,
        ),
        Metric("lpips", "LPIPS (alex)", "", "down", "v0.1, AlexNet", "Zhang et al. 2018", None),
        Metric(
            "delta_e2000", "ΔE2000", "", "down", "mean over pixels, k = 1",
            "Sharma et al. 2005", delta_e2000,
        ),
        Metric("delta_e76", "ΔE76", "", "down", "mean over pixels", "CIE 1976", delta_e76),
        Metric("psnr", "PSNR", "dB", "up", "RGB, peak 1", "mean squared error", psnr),
        Metric(
            "colorfulness", "Colourfulness", "", "none", "signed R - G, scale 0…255",
            "Hasler and Süsstrunk 2003", lambda prediction, truth: colorfulness(prediction),
        ),
        Metric(
            "lightness_error", "|ΔL*|", "", "down", "mean over pixels", "CIE 1976",
            lightness_error,
        ),
    )
}  # fmt: skip


@torch.no_grad()
def score(
    prediction8: Tensor, truth8: Tensor, network: nn.Module | None, batch_size: int = 64
) -> dict[str, list[float]]:
    """Every metric of written pictures: uint8 (N, 3, H, W) twice → key → one value a picture.

    network: from `lpips_network`; None leaves LPIPS out. The 8-bit pictures are what is scored,
    since they are what anyone else can score again.
    """
    values: dict[str, list[float]] = {key: [] for key in METRICS}
    batches = zip(
        torch.split(prediction8, batch_size), torch.split(truth8, batch_size), strict=True
    )
    for prediction, truth in ((rgb_from_8bit(p), rgb_from_8bit(t)) for p, t in batches):
        for key, metric in METRICS.items():
            if metric.compute is not None:
                values[key] += metric.compute(prediction, truth).tolist()
            elif network is not None:
                values[key] += lpips(prediction, truth, network).tolist()
    return {key: column for key, column in values.items() if column}


def describe(keys: Sequence[str] = tuple(METRICS)) -> Mapping[str, Any]:
    """The parameters of the metrics, which belong to a protocol."""
    return {key: f"{METRICS[key].label}: {METRICS[key].parameters}" for key in keys}


def write_leaderboard(results: Path) -> list[Path]:
    """Write leaderboard.md and .csv of all tests below `results`; returns their paths."""
    from benchmark.leaderboard import write

    return write(results)
