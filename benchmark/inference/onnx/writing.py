"""Networks are written as ONNX files, and run with onnxruntime."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.checkpoints import HEADER
from benchmark.errors import UserError, first_line
from benchmark.files import replacing
from benchmark.inference.onnx.network import Network
from benchmark.results.portable import Portable

FLOORS = {"torch": (2, 15), "onnx": (1, 18), "onnxruntime": (1, 20), "onnxscript": (0, 7, 2)}
"""The oldest versions: older exporters wrote pixel unshuffle in another order of channels."""
MOST_CELLS = 512
"""The longest side of an image, in units of the model's `size_divisor`."""


def require_exporter() -> None:
    """Raise UserError that says what to install, unless networks can be exported rightly."""
    for package, floor in FLOORS.items():
        wanted = ".".join(map(str, floor))
        try:
            found = version(package)
        except PackageNotFoundError as error:
            raise UserError(
                f"--to onnx needs the package {package}: install it with `pip install onnx "
                "onnxruntime 'onnxscript>=0.7.2'`."
            ) from error
        numbers = tuple(
            int(part) for part in found.split("+")[0].split(".")[:3] if part.isdecimal()
        )
        if numbers < floor:
            raise UserError(
                f"--to onnx needs {package} {wanted} or newer, and {found} is installed: older "
                "versions may write the channels of patches in another order."
            )


def write_network(path: Path, network: Network, model: Any, portable: Portable | None) -> None:
    """Write a network as an ONNX file for one image of any size, unless its size is fixed.

    Its metadata say the same as the header of an exported file of weights. UserError if the network
    has an operation that ONNX does not have.
    """
    names = list(network.inputs)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network.module,
                tuple(network.inputs.values()),
                dynamo=True,
                dynamic_shapes=None if network.fixed else _dynamic(network, model.size_divisor),
                input_names=names,
                output_names=["color"],
                verbose=False,
            )
    except UserError:
        raise
    except Exception as error:  # of the many parts of an exporter
        raise UserError(
            f"{path.name}: this network cannot be exported to ONNX ({first_line(error)[:200]})."
        ) from error
    assert program is not None
    if portable is not None:
        program.model.metadata_props[HEADER] = json.dumps(portable.model_dump(mode="json"))
    with replacing(path) as part, _quiet():
        program.save(part, external_data=False)


def _dynamic(network: Network, divisor: int) -> tuple[Any, ...]:
    """Return which sides of the inputs may vary: by the sides of L, multiples of its divisor."""
    height, width = (torch.export.Dim(name, min=1, max=MOST_CELLS) for name in ("h", "w"))
    lightness = network.inputs["lightness"]

    def varying(name: str, tensor: Tensor) -> dict[int, Any]:
        if tensor.ndim < 4 or name.startswith("noise"):
            return {}
        # The state of a step has the sides of L divided by the size of a patch.
        scale = divisor * tensor.shape[2] // lightness.shape[2]
        return {2: scale * height, 3: scale * width}

    shapes = [varying(name, tensor) for name, tensor in network.inputs.items()]
    if "x" in network.inputs:
        return tuple(shapes)
    draws = tuple(shapes[1:])
    return (shapes[0], draws) if draws else (shapes[0],)


def open_session(path: Path) -> Callable[[list[Tensor]], Tensor]:
    """Return what onnxruntime computes with an ONNX file: a function of its inputs in order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(inputs: list[Tensor]) -> Tensor:
        values = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
        try:
            return torch.from_numpy(session.run(None, values)[0])
        except Exception as error:  # onnxruntime's errors have no common class
            raise UserError(
                f"{path.name} is not right: onnxruntime cannot run it ({first_line(error)[:200]})."
            ) from error

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which talks of its own deprecations."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
