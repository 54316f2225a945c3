"""Files of weights, to use a model, and of states, to resume its training.

A file of weights is a safetensors file whose header names the model and the arguments that its
network was built with, so the file alone rebuilds the model.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from benchmark import registry
from benchmark.colorizer import Colorizer
from benchmark.errors import UserError
from benchmark.files import replacing, sha256_of_file

HEADER = "chromabench"
"""The one key of the file's metadata. Several keys would be written in random order, and the file's
hash would change with it."""


@dataclass(frozen=True)
class Weights:
    """A loaded file of weights: the model in eval mode, and what the file says of it.

    trained_as: the model under models/ that the weights were trained as.
    """

    model: Colorizer
    trained_as: str
    path: Path
    epoch: int
    sha256: str


def save_weights(path: Path, model: Colorizer, name: str, epoch: int) -> None:
    """Write the weights of `model`, which is models/<name>, with all that rebuilding it needs."""
    header = {"model": name, "architecture": model.architecture, "epoch": epoch}
    tensors = {key: value.cpu().contiguous() for key, value in model.state_dict().items()}
    # As bytes first: safetensors raises an error of its own for a full disk, not an OSError.
    content = save(tensors, metadata={HEADER: json.dumps(header)})
    with replacing(path) as part:
        part.write_bytes(content)


def load_weights(path: Path, name: str, device: torch.device) -> Weights:
    """Rebuild the model `name` from a file of weights, in eval mode on `device`.

    Raises UserError if the file holds no weights that `name` can read: its own, or those of the
    model that `Colorizer.weights_of` names.
    """
    header = _read_header(path)
    network = registry.load_model(name)
    if header["model"] not in (name, network.weights_of):
        raise UserError(f"{path} holds weights of {header['model']}, not of {name}.")
    try:
        model = network.build(header["architecture"])
        with safe_open(path, framework="pt") as file:
            model.load_state_dict({key: file.get_tensor(key) for key in file.keys()})
    except (RuntimeError, ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} does not fit models/{name} as it is now: {reason}") from error
    return Weights(
        model.to(device).eval(), header["model"], path, header["epoch"], sha256_of_file(path)
    )


def _read_header(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a file of weights: {error}.") from error
    if text is None:
        raise UserError(f"{path} was not written by this project: its header names no model.")
    header: dict[str, Any] = json.loads(text)
    return header


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training: tensors, numbers, strings, lists and dictionaries only."""
    content = io.BytesIO()
    torch.save(state, content)
    with replacing(path) as part:
        part.write_bytes(content.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Read the state of a training without running pickled code.

    Raises UserError if the file is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds of errors for a damaged archive
        remedy = "delete it to start this run from the beginning"
        raise UserError(f"{path} is damaged ({type(error).__name__}); {remedy}.") from error
    return state
