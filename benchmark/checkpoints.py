"""Weights to use a model, and the state to go on training it.

Weights are a safetensors file whose header says which model they are of and how its network was
built, so the file alone rebuilds it. The state is for resuming only.
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
"""The one key of the file's metadata: several would be in random order, and so the hash."""


@dataclass(frozen=True)
class Weights:
    """A loaded file of weights: the model, ready to use, and where it came from."""

    model: Colorizer
    trained_as: str
    path: Path
    epoch: int
    sha256: str


def save_weights(path: Path, model: Colorizer, name: str, epoch: int) -> None:
    """Write `model`, found under models/<name>, with all that is needed to rebuild it."""
    header = {"model": name, "architecture": model.architecture, "epoch": epoch}
    tensors = {key: value.cpu().contiguous() for key, value in model.state_dict().items()}
    # As bytes first: safetensors' own writing turns a full disk into an error of its own.
    content = save(tensors, metadata={HEADER: json.dumps(header)})
    with replacing(path) as part:
        part.write_bytes(content)


def load_weights(path: Path, name: str, device: torch.device) -> Weights:
    """Rebuild the model `name`, in eval mode; UserError if these are not its or a sister's."""
    header = _read_header(path)
    network = registry.load_model(name)
    if header["model"] not in (name, *network.sisters):
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
    """Write what is needed to resume: tensors, numbers, strings, lists and dictionaries only."""
    content = io.BytesIO()
    torch.save(state, content)
    with replacing(path) as part:
        part.write_bytes(content.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Read a state without running any pickled code. UserError if it is damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever a damaged archive makes it stumble over
        remedy = "delete it to start this run anew"
        raise UserError(f"{path} is damaged ({type(error).__name__}); {remedy}.") from error
    return state
