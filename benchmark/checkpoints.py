"""Files of weights, to use a model, and of states, to resume its training.

A file of weights is a safetensors file whose header names the model and the arguments that its
network was built with, so the file alone rebuilds the model. The header of an exported file also
says what the folder of its run says. A file may come from anyone: nothing in it is run, and nothing
is allocated before it is known to be no larger than what the file itself holds.
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
from pydantic import JsonValue, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from benchmark import registry
from benchmark.colorizer import Colorizer
from benchmark.errors import Diverged, UserError, first_line
from benchmark.files import replacing, sha256_of_bytes
from benchmark.results.portable import Portable
from benchmark.results.schema import Count, Strict, validate, validation_fault

HEADER = "chromabench"
"""The one key of the file's metadata. Several keys would be written in random order, and the file's
hash would change with it."""


LONGEST_HEADER = 2**24
"""The most bytes of a header, which takes many times as much memory when it is parsed."""
PICKLED = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""The first bytes of what torch.save and pickle write."""
PARSING = (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)
"""What parsers raise: KeyError for an unknown type, RuntimeError for sides that overflow."""
SMALL = 2**20
"""Numbers that a network may have beyond those of its file while it is built."""
LARGEST_WEIGHT = 1e10
"""In magnitude; the weights of a training that did not diverge are far below it."""


class Header(Strict):
    """What the header of a file of weights says.

    model: the model under models/ that was trained. architecture: its constructor's arguments.
    portable: what the folder of its run says, in an exported file.
    """

    remedy: ClassVar[str] = (
        "Name other weights with --weights, or train the model again with --overwrite."
    )

    model: str
    architecture: dict[str, JsonValue]
    epoch: Count
    portable: Portable | None = None

    @model_validator(mode="after")
    def _is_of_one_model(self) -> "Header":
        if self.portable is not None and self.portable.training.model != self.model:
            raise ValueError(f"it is of {self.model}, and its training of another model")
        return self


@dataclass(frozen=True)
class Weights:
    """A loaded file of weights: the model in eval mode, and what the file says of it.

    trained_as: the model under models/ that the weights were trained as. portable: what the folder
    of their run says, in an exported file.
    """

    model: Colorizer
    trained_as: str
    path: Path
    epoch: int
    sha256: str
    portable: Portable | None = None


def save_weights(
    path: Path, model: Colorizer, name: str, epoch: int, portable: Portable | None = None
) -> None:
    """Write the weights of `model`, which is models/<name>, with all that rebuilding it needs.

    portable: what a file needs to be used without the folder of its run.
    """
    header: dict[str, Any] = {"model": name, "architecture": model.architecture, "epoch": epoch}
    if portable is not None:
        header["portable"] = portable.model_dump(mode="json")
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
    with _readable(path):  # once: the hash is that of the very bytes that are loaded
        content = path.read_bytes()
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
    return Weights(
        model.to(device).eval(), header.model, path, header.epoch, sha256, header.portable
    )


def read_header(path: Path) -> Header:
    """Read the header of a file of weights alone. UserError if it is none.

    Its tensors are not read, so they may be damaged or others than it says.
    """
    with _readable(path), path.open("rb") as stream:
        start = stream.read(8)
        _require_length(path, start, path.stat().st_size)
        content = start + stream.read(int.from_bytes(start, "little"))
    with _parsed(path):
        return _header_of(path, content)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UserError(f"{path} cannot be read ({reason}). {Header.remedy}") from error


@contextmanager
def _parsed(path: Path) -> Iterator[None]:
    """Make every error of a parser a sentence about the file."""
    try:
        yield
    except PARSING as error:
        reason = first_line(error).partition(": ")[2][:200] or type(error).__name__
        raise UserError(
            f"{path} is no file of weights, or a damaged one ({reason}). {Header.remedy}"
        ) from error


def _require_length(path: Path, start: bytes, size: int) -> None:
    """Raise UserError unless a file begins with the length of a header that fits into it."""
    if start.startswith(PICKLED):
        raise UserError(
            f"{path} is a pickle of another program, which is never opened, since it could run any "
            f"code. {Header.remedy}"
        )
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size - 8:
        raise UserError(
            f"{path} is no file of weights, or a damaged one (its header would be longer than the "
            f"file). {Header.remedy}"
        )
    if length > LONGEST_HEADER:
        raise UserError(
            f"{path} has a header of {length:,} bytes, and at most {LONGEST_HEADER:,} are read. "
            f"{Header.remedy}"
        )


def _read(path: Path, content: bytes) -> tuple[Header, dict[str, Tensor]]:
    """Read the header and the tensors of a file of weights. UserError if it is none."""
    _require_length(path, content[:8], len(content))
    with _parsed(path):
        header = _header_of(path, content)
        return header, load(content)


def _header_of(path: Path, content: bytes) -> Header:
    """Return what the header of a file says. UserError if this project did not write it."""
    # The format: the length of the header (8 bytes, little-endian), the header, the tensors.
    end = 8 + int.from_bytes(content[:8], "little")
    text = json.loads(content[8:end]).get("__metadata__", {}).get(HEADER)
    problem = f"{path} was not written by this project"
    if text is None:
        raise UserError(f"{problem}: its header names no model. {Header.remedy}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{problem}: its header is not JSON. {Header.remedy}") from error
    return validate(values, Header, problem)


class _Misfit(Exception):
    """A network has not the tensors that are to be loaded into it."""


def _build(
    network: type[Colorizer], architecture: dict[str, Any], tensors: Mapping[str, Tensor]
) -> Colorizer:
    """Build the network of an architecture, if it has just these tensors. Raises _Misfit."""
    try:  # first on the device "meta", where nothing is allocated
        with torch.device("meta"), _no_more_than(tensors):
            _require_same(network.build(architecture), tensors)
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):  # a constructor that reads its own tensors cannot run there
            raise
    with _no_more_than(tensors):
        model = network.build(architecture)
    _require_same(model, tensors)
    return model


def _require_same(model: Colorizer, tensors: Mapping[str, Tensor]) -> None:
    fault = difference(model.state_dict(), tensors)
    if fault is not None:
        raise _Misfit(fault)


@contextmanager
def _no_more_than(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Raise _Misfit as soon as modules that are built hold far more than the tensors of a file.

    A module registers a tensor before it writes its first numbers, so memory that is asked for by a
    header that lies is never used.
    """
    count, size = len(tensors), sum(tensor.numel() for tensor in tensors.values())
    found, numbers = 0, 0

    def check(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal found, numbers
        found += 1
        numbers += 0 if tensor is None else tensor.numel()
        if found > 2 * count + 100:  # some are replaced while a network is built
            raise _Misfit(f"its architecture has more than the {count} tensors of the file")
        if numbers > 2 * size + SMALL:
            raise _Misfit(f"its architecture has more than the {size} numbers of the file")

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
