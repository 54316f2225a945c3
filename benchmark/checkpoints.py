"""Files of weights, to use a model, and of states, to resume its training.

A file of weights is a safetensors file whose header names the model and the arguments that its
network was built with, so the file alone rebuilds the model.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from benchmark import registry
from benchmark.colorizer import Colorizer
from benchmark.errors import Diverged, UserError
from benchmark.files import replacing, sha256_of_bytes
from benchmark.results.schema import Count, Strict, validate, validation_fault

HEADER = "chromabench"
"""The one key of the file's metadata. Several keys would be written in random order, and the file's
hash would change with it."""


LARGEST_WEIGHT = 1e10
"""In magnitude; the weights of a training that did not diverge are far below it."""


class Header(Strict):
    """What the header of a file of weights says.

    model: the model under models/ that was trained. architecture: its constructor's arguments.
    """

    remedy: ClassVar[str] = (
        "Name other weights with --weights, or train the model again with --overwrite."
    )

    model: str
    architecture: dict[str, JsonValue]
    epoch: Count


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


class OtherWeights(UserError):
    """A file holds other weights than those whose hash was expected."""


def load_weights(
    path: Path, name: str, device: torch.device, *, expected_sha256: str | None = None
) -> Weights:
    """Rebuild the model `name` from a file of weights, in eval mode on `device`.

    Raises UserError if the file holds no weights that `name` can read: its own, or those of the
    model that `Colorizer.weights_of` names; and OtherWeights if its hash is not the expected one.
    Nothing much larger than the file is allocated.
    """
    try:  # once: the hash is that of the very bytes that are loaded
        content = path.read_bytes()
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UserError(f"{path} cannot be read ({reason}). {Header.remedy}") from error
    sha256 = sha256_of_bytes(content)
    if expected_sha256 not in (None, sha256):
        raise OtherWeights(
            f"{path} are not the weights that were tested: test again, or put those weights back."
        )
    header, tensors = _read(path, content)
    network = registry.load_model(name)
    if header.model not in (name, network.weights_of):
        raise UserError(f"{path} holds weights of {header.model}, not of {name}.")
    try:
        model = _build(network, header.architecture, tensors)
        model.load_state_dict(tensors)
    except Exception as error:  # a constructor raises anything for arguments that it cannot take
        reason = validation_fault(error) if isinstance(error, ValidationError) else str(error)
        raise UserError(
            f"{path} does not fit models/{name} as it is now: {reason.partition(chr(10))[0]}. "
            f"{Header.remedy}"
        ) from error
    _require_sound(path, tensors)
    return Weights(model.to(device).eval(), header.model, path, header.epoch, sha256)


def _read(path: Path, content: bytes) -> tuple[Header, dict[str, Tensor]]:
    """Read the header and the tensors of a file of weights. UserError if it is none."""
    try:
        tensors = load(content)
        # The format: the length of the header (8 bytes, little-endian), the header, the tensors.
        end = 8 + int.from_bytes(content[:8], "little")
        text = json.loads(content[8:end]).get("__metadata__", {}).get(HEADER)
    except (SafetensorError, ValueError, KeyError) as error:  # KeyError: of an unknown type
        raise UserError(
            f"{path} is no file of weights, or a damaged one ({error}). {Header.remedy}"
        ) from error
    problem = f"{path} was not written by this project"
    if text is None:
        raise UserError(f"{problem}: its header names no model. {Header.remedy}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{problem}: its header is not JSON. {Header.remedy}") from error
    return validate(values, Header, problem), tensors


class _Misfit(Exception):
    """A network has not the tensors that are to be loaded into it."""


def _build(
    network: type[Colorizer], architecture: dict[str, Any], tensors: Mapping[str, Tensor]
) -> Colorizer:
    """Build the network of an architecture, if it has just these tensors. Raises _Misfit."""
    try:  # first on the device "meta", where nothing is allocated
        with torch.device("meta"), _at_most(len(tensors)):
            _require_same(network.build(architecture), tensors)
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):  # a constructor that reads its own tensors cannot run there
            raise
    with _at_most(len(tensors)):
        model = network.build(architecture)
    _require_same(model, tensors)
    return model


def _require_same(model: Colorizer, tensors: Mapping[str, Tensor]) -> None:
    fault = difference(model.state_dict(), tensors)
    if fault is not None:
        raise _Misfit(fault)


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Raise _Misfit as soon as modules that are built have many more tensors than `count`."""
    found = 0

    def check(module: nn.Module, name: str, tensor: object) -> None:
        nonlocal found
        found += 1
        if found > 2 * count + 100:  # some are replaced while a network is built
            raise _Misfit(f"its architecture has more than the {count} tensors of the file")

    hooks = (
        register_module_parameter_registration_hook(check),
        register_module_buffer_registration_hook(check),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """Say in what tensors differ from the expected ones by name, shape or type, or None."""
    for key in expected:
        if key not in found:
            return f"{key} is missing"
    for key, tensor in found.items():
        if key not in expected:
            return f"{key!r} is not known"
        if not isinstance(tensor, Tensor):
            return f"{key} is no tensor"
        shapes = tuple(tensor.shape), tuple(expected[key].shape)
        if shapes[0] != shapes[1]:
            return f"{key} has the shape {shapes[0]}, where {shapes[1]} is needed"
        if not is_dense(tensor):
            return f"{key} is no ordinary tensor"
        if tensor.dtype != expected[key].dtype:
            return f"{key} is of type {tensor.dtype}, where {expected[key].dtype} is needed"
    return None


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor holds all its numbers, as sparse ones and those of "meta" do not."""
    return tensor.layout == torch.strided and tensor.device.type != "meta"


def is_sound(tensor: Tensor) -> bool:
    """Whether all numbers are finite and of a size that weights have."""
    if not tensor.numel():
        return True
    low, high = torch.aminmax(tensor)
    # Written so that NaN fails too.
    return bool(low >= -LARGEST_WEIGHT) and bool(high <= LARGEST_WEIGHT)


def _require_sound(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if not is_sound(tensor):
            raise Diverged(
                f"{path} holds weights that are not finite or beyond {LARGEST_WEIGHT:g} ({key}): "
                "the training diverged; train again with a smaller learning rate, or name other "
                "weights with --weights."
            )


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training: tensors, numbers, strings, lists and dictionaries only."""
    content = io.BytesIO()
    torch.save(state, content)
    with replacing(path) as part:
        part.write_bytes(content.getbuffer())


def load_state(path: Path) -> Any:
    """Read the state of a training without running pickled code.

    Raises UserError if the file is damaged. Nothing much larger than the file is allocated.
    """
    if not path.is_file():  # a named pipe would never end
        raise state_error(path, "is no regular file")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ValueError("it holds more than its size")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds of errors for a damaged archive
        raise state_error(path, f"is damaged ({type(error).__name__})") from error


def state_error(path: Path, problem: str) -> UserError:
    """Return the error of a state that cannot be resumed."""
    return UserError(
        f"{path} {problem}: delete it to train this run from the beginning, or start over with "
        "--overwrite."
    )
