"""Export the weights of a trained model as one file that needs no folder of its run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmark.checkpoints import Weights, load_weights
from benchmark.console import info
from benchmark.errors import UserError
from benchmark.inference.portable import describe, write_portable
from benchmark.jobs.weights import find_weights, training_of
from benchmark.results.folders import RunFolder
from benchmark.results.portable import UNKNOWN_LICENSE, Portable
from benchmark.results.records import RunRecord, read_cost
from benchmark.results.schema import read_record

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Exported:
    """What is exported: the model that was asked for, its run, its weights, and all about them."""

    model: str
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
        return Exported(model, folder, weights, portable)
    trained = RunFolder.of_weights(weights.path)
    portable = describe(
        weights,
        training_of(weights),
        read_cost(trained.cost),
        _tests(trained),
        seed=trained.seed,
        license_note=UNKNOWN_LICENSE if license_note is None else license_note,
    )
    return Exported(model, trained, weights, portable)


def _tests(run: RunFolder) -> Iterator[RunRecord]:
    """Yield the records of the tests of a run; a damaged one is named and left out."""
    for test in run.finished_tests():
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


def require_free_file(path: Path, overwrite: bool) -> None:
    """Raise UserError if there is something at a path that is not to be written over."""
    if path.exists() and not (overwrite and path.is_file()):
        raise UserError(f"{path} exists: name another file with --out, or add --overwrite.")
