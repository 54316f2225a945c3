"""The pretrained networks of LPIPS, and of KID and FID, with their published weights only.

A number from random weights would look like a score without being one. So a file is checked by its
hash before it is used, and without a file the metric has a reason in place of a value.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.errors import UserError, first_line
from benchmark.files import sha256_of_file
from benchmark.metrics.fft_conv import use_fft_convolutions
from benchmark.metrics.options import LpipsBackbone


class NoBackbone(Exception):
    """The reason why a network has no weights, as a sentence without its full stop."""


def is_lack_of_weights(reason: str) -> bool:
    """Whether a reason is one that this module gives for a network without weights."""
    return any(re.fullmatch(pattern, reason) for pattern in _LACKS_OF_WEIGHTS)


# ---- LPIPS ---------------------------------------------------------------------------------------

LPIPS_VARIABLE = "CHROMABENCH_LPIPS"
_LPIPS_REMEDY = f"name a file with --lpips_weights or {LPIPS_VARIABLE}"


@dataclass(frozen=True)
class Backbone:
    """A network of torchvision with the weights that LPIPS was made for (IMAGENET1K_V1).

    sha256: of its convolutions, as `digest_of_layers` has it; None for a network of which only the
    whole file is accepted, by the start of its SHA-256, which torchvision puts in its name.
    """

    name: str
    url: str
    sha256: str | None


ALEXNET = Backbone(
    "AlexNet",
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "44534cd66e37ce9a6258bb5e845ef8cd47c33aa68024441c7e616d63c0c1c41a",
)
SQUEEZENET = Backbone(
    "SqueezeNet",
    "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
    "9a3cd24c3da63ec76ec50dabac44e862029b5c84992e5ddd582be22d0f9ef388",
)
VGG16 = Backbone("VGG16", "https://download.pytorch.org/models/vgg16-397923af.pth", None)

LPIPS_BACKBONES: dict[LpipsBackbone, Backbone] = {
    "alex": ALEXNET,
    "squeeze": SQUEEZENET,
    "vgg": VGG16,
}


@cache
def lpips_network(weights: str | None = None, backbone: LpipsBackbone = "alex") -> nn.Module:
    """Load LPIPS: the `lpips` package's network (v0.1) with its backbone's ImageNet weights.

    weights: a file with torchvision's network or, except for VGG16, its convolution layers; without
    one the environment variable CHROMABENCH_LPIPS, then torchvision's cache or download. Raises
    UserError for a named file that is not the backbone's, NoBackbone if no file can be found or
    downloaded.
    """
    named = weights or os.environ.get(LPIPS_VARIABLE)
    found = _read_lpips(backbone, Path(named)) if named else _find_lpips(backbone)
    if isinstance(found, str):
        raise NoBackbone(found)
    return found


def _read_lpips(key: LpipsBackbone, path: Path) -> nn.Module:
    """Load the network with the convolutions of a file. Raises UserError if their hash differs."""
    backbone = LPIPS_BACKBONES[key]
    try:
        if backbone.sha256 is None and not sha256_of_file(path).startswith(_digest(backbone.url)):
            raise ValueError("it is not torchvision's file")
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        if backbone.sha256 is not None and digest_of_layers(tensors) != backbone.sha256:
            raise ValueError("its numbers are not torchvision's")
        return _assemble_lpips(key, tensors)
    except FileNotFoundError as error:
        raise UserError(f"LPIPS: there is no file {path}.") from error
    except Exception as error:  # torch raises many kinds of errors for arbitrary files
        raise UserError(
            f"LPIPS: {path} does not hold {backbone.name}'s layers ({first_line(error)})."
        ) from error


def digest_of_layers(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of a network's convolutions: names and float32 values, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(name for name in tensors if name.startswith("features.")):
        digest.update(name.encode())
        digest.update(tensors[name].float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _assemble_lpips(key: LpipsBackbone, tensors: dict[str, Tensor]) -> nn.Module:
    """Put the layers into the package's network. Raises RuntimeError for a missing or wrong one."""
    import lpips as package

    with warnings.catch_warnings():  # the package asks torchvision in a way that is deprecated
        warnings.filterwarnings("ignore", module="torchvision.models")
        # pnet_rand only keeps the package from downloading; every layer is replaced below.
        network: nn.Module = package.LPIPS(net=key, pnet_rand=True, verbose=False)
    for number in range(1, network.net.N_slices + 1):  # type: ignore[union-attr, operator]
        for place, layer in getattr(network.net, f"slice{number}").named_children():
            prefix = f"features.{place}."
            layer.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
    network.requires_grad_(False)
    return Lpips(network).eval()


class Lpips(nn.Module):
    """The distance of the package's network, with outputs and truths in one batch."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.scale, self.features, self.layers = network.scaling_layer, network.net, network.lins
        # VGG16 has maps that small only for images below 64 pixels, and spectra of 300 MB.
        if network.pnet_type != "vgg":
            use_fft_convolutions(self.features)
        self.to(memory_format=torch.channels_last)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map two batches of sRGB in [0, 1], (B, 3, H, W), to their distances, (B,)."""
        both = self.scale(2 * torch.cat([first, second]) - 1)
        # Channels last: on a CPU these convolutions are a third faster.
        features = self.features(both.contiguous(memory_format=torch.channels_last))
        distance = first.new_zeros(len(first))
        for maps, weigh in zip(features, self.layers, strict=True):
            length = maps.square().sum(dim=1, keepdim=True).sqrt()
            first_maps, second_maps = (maps / (length + 1e-10)).chunk(2)
            distance += weigh((first_maps - second_maps).square()).mean(dim=(1, 2, 3))
        return distance


@cache
def _find_lpips(key: LpipsBackbone) -> nn.Module | str:
    """Load torchvision's file from its cache or download it; returns the reason on failure."""
    backbone = LPIPS_BACKBONES[key]
    path = _hub() / backbone.url.rpartition("/")[2]
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                backbone.url, str(path), _digest(backbone.url), progress=False
            )
        return _read_lpips(key, path)
    except UserError as error:
        return f"{error} Delete that file, or {_LPIPS_REMEDY}"
    except Exception as error:  # network, disk or proxy: the remedy is the same
        name = type(error).__name__
        return f"{backbone.name}'s weights cannot be downloaded ({name}); {_LPIPS_REMEDY}"


# ---- KID and FID ---------------------------------------------------------------------------------

INCEPTION_VARIABLE = "CHROMABENCH_INCEPTION"
INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
_NO_INCEPTION = (
    f"Inception's weights are not available; put {INCEPTION_URL} into torch's cache, folder "
    f"hub/checkpoints, or name the file by {INCEPTION_VARIABLE}"
)


@cache
def inception_network() -> nn.Module:
    """Load the Inception-v3 of FID and KID, by torch-fidelity: uint8 (B, 3, H, W) → (B, 2048).

    Its weights are a file that the environment variable CHROMABENCH_INCEPTION names, or the one in
    torch's cache. They are not downloaded automatically: they are 90 MB, and both metrics take much
    longer than the others. Raises UserError for a file of other weights, NoBackbone if there is
    none.
    """
    named = os.environ.get(INCEPTION_VARIABLE)
    path = Path(named) if named else _hub() / INCEPTION_URL.rpartition("/")[2]
    if not path.is_file() and not named:
        raise NoBackbone(_NO_INCEPTION)
    try:
        sha256 = sha256_of_file(path)
    except OSError as error:
        raise UserError(f"Inception: {path} cannot be read: {error.strerror or error}.") from error
    if not sha256.startswith(_digest(INCEPTION_URL)):
        raise UserError(f"Inception: {path} is not torch-fidelity's file of Inception's weights.")
    # torch-fidelity reads it as a pickle, which may run code: one that can is refused here.
    torch.load(path, map_location="cpu", weights_only=True)
    return InceptionFeatures(path, sha256).eval()


class InceptionFeatures(nn.Module):
    """The pooled features of torch-fidelity's Inception-v3, which resizes as the original did.

    The original (TensorFlow 1) resizes to 299×299 bilinearly without antialiasing. sha256: of the
    file of the weights.
    """

    def __init__(self, weights: Path, sha256: str) -> None:
        super().__init__()
        self.sha256 = sha256
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        name, layers = "inception-v3-compat", ["2048"]
        self.extractor = FeatureExtractorInceptionV3(name, layers, str(weights))

    def forward(self, rgb8: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to features (B, 2048)."""
        (features,) = self.extractor(rgb8)
        return features


def _hub() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _digest(url: str) -> str:
    """The start of the file's SHA-256, which the makers of both sets of weights put in its name."""
    return url.rpartition("-")[2].removesuffix(".pth")


_LACKS_OF_WEIGHTS = (
    rf"LPIPS: .* Delete that file, or {re.escape(_LPIPS_REMEDY)}",
    rf"\w+'s weights cannot be downloaded \(\w+\); {re.escape(_LPIPS_REMEDY)}",
    re.escape(_NO_INCEPTION),
    "no network was given",
)
