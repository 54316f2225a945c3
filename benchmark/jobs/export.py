"""Export the weights of a trained model as one file that needs no folder of its run."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmark.checkpoints import Weights, load_weights
from benchmark.colorizer import Colorizer
from benchmark.console import info
from benchmark.errors import UserError
from benchmark.files import replacing
from benchmark.inference.onnx import checking, quantizing, writing
from benchmark.inference.onnx.network import network_of
from benchmark.inference.portable import describe, write_portable
from benchmark.jobs.weights import find_weights, training_of
from benchmark.metrics.table import load_metric_suite
from benchmark.results.folders import RunFolder
from benchmark.results.portable import UNKNOWN_LICENSE, Portable
from benchmark.results.records import RunRecord, read_cost
from benchmark.results.schema import read_record

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Exported:
    """What is exported: a run, its weights, and all that is known of them."""

    folder: RunFolder
    weights: Weights
    portable: Portable


def load_to_export(
    model: str, folder: RunFolder, which: str, license_note: str | None = None
) -> Exported:
    """Load the weights that `--weights` names, with what an exported file says of them.

    license_note: None for that of the file, or UNKNOWN_LICENSE. UserError without weights.
    """
    weights = load_weights(find_weights(model, folder, which), model, CPU)
    if weights.portable is not None:
        note = weights.portable.license if license_note is None else license_note
        portable = weights.portable.model_copy(update={"license": note})
        return Exported(folder, weights, portable)
    trained = RunFolder.of_weights(weights.path)
    portable = describe(
        weights,
        training_of(weights),
        read_cost(trained.cost),
        _tests(trained, folder),
        seed=trained.seed,
        license_note=UNKNOWN_LICENSE if license_note is None else license_note,
    )
    return Exported(trained, weights, portable)


def _tests(*runs: RunFolder) -> Iterator[RunRecord]:
    """Yield the records of the tests of runs, each once; a damaged one is named and left out.

    A model that reads the weights of another one is tested in a run of its own.
    """
    tests = {test.path.resolve(): test for run in runs for test in run.finished_tests()}
    for test in tests.values():
        try:
            yield read_record(test.record, RunRecord)
        except UserError as error:
            info(f"Left out: {error}")


def export_weights(exported: Exported, path: Path, *, overwrite: bool) -> None:
    """Write weights as one safetensors file. UserError if there is a file and not `overwrite`."""
    require_free_file(path, overwrite)
    write_portable(path, exported.weights, exported.portable)
    if not exported.portable.tests:
        info(f"{path} has no scores: these weights were not tested.")


def export_onnx(
    exported: Exported, path: Path, *, quantized: bool, lpips_weights: str | None, overwrite: bool
) -> None:
    """Write the network of a model as an ONNX file, whose images are compared with torch's first.

    quantized: whether its weights are 8-bit integers; a message says what that changes. UserError
    if there is a file and not `overwrite`, or if the images differ by more than one level.
    """
    require_free_file(path, overwrite)
    writing.require_exporter()
    model, size = exported.weights.model, exported.portable.training.settings["size"]
    network = network_of(model, size)
    sizes = checking.sizes_of(size, model.size_divisor, network.fixed)
    with tempfile.TemporaryDirectory() as folder:  # a file that is wrong never gets its name
        checked = Path(folder) / path.name
        writing.write_network(checked, network, model, exported.portable)
        levels = checking.require_same_images(checked, model, sizes)
        if quantized:
            checked = _quantize(checked, model, size, lpips_weights)
        with replacing(path) as part:
            shutil.copyfile(checked, part)
    at = ", ".join(f"{height}×{width}" for height, width in sizes)
    info(f"onnxruntime gives the images of torch at {at} within {levels} of 255 levels.")
    if network.fixed:
        info(
            f"{path} takes images of {sizes[0][0]}×{sizes[0][1]} only, since the network has a "
            "pretrained encoder."
        )


def _quantize(path: Path, model: Colorizer, size: int, lpips_weights: str | None) -> Path:
    """Write an ONNX file again with weights of 8 bits, and say what that changes."""
    smaller = path.with_name(f"int8-{path.name}")
    quantizing.quantize(path, smaller)
    suite = load_metric_suite(lpips_weights=lpips_weights)
    change = quantizing.change_of_scores(path, smaller, model, size, suite)
    info(
        f"Weights of 8 bits change the scores on {quantizing.COUNT} images of the built-in sample: "
        f"{quantizing.sentence_of(change)}."
    )
    if reason := suite.unavailable.get("lpips"):
        info(f"LPIPS is left out: {reason}.")
    return smaller


def require_free_file(path: Path, overwrite: bool) -> None:
    """Raise UserError if there is something at a path that is not to be written over."""
    if path.exists() and not (overwrite and path.is_file()):
        raise UserError(f"{path} exists: name another file with --out, or add --overwrite.")
