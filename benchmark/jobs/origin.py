"""Check what run.json says of how its images were made: the model, its training and its sampling.

Files of the run say the same as run.json, and the recorded weights, coloring the first images
again, make the written ones.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from pydantic import ValidationError
from torch import Tensor

from benchmark import registry
from benchmark.checkpoints import OtherWeights, Weights, load_weights
from benchmark.color import rgb_from_8bit, rgb_to_8bit, rgb_to_lightness
from benchmark.colorizer import Colorizer, Sampling, pretrained_parts
from benchmark.errors import Diverged, UserError, first_line
from benchmark.evaluation.baselines import (
    GRAY,
    GROUND_TRUTH,
    MEAN_AB,
    Gray,
    GroundTruth,
    MeanAb,
    mean_ab_run,
)
from benchmark.evaluation.evaluate import folder_name, label_of, weights_hash
from benchmark.evaluation.outputs import Outputs
from benchmark.files import sha256_of_json
from benchmark.jobs.outsider import facts_of_run
from benchmark.randomness import derive_seed
from benchmark.results.folders import (
    GRAY_RUN,
    GROUND_TRUTH_RUN,
    RunFolder,
    TestFolder,
    is_fixed_run,
)
from benchmark.results.records import (
    OutputsRecord,
    RunRecord,
    SubmissionRecord,
    TrainingRecord,
    read_cost,
)
from benchmark.results.schema import Strict, read_record
from benchmark.training.pretrained import digest_of

CPU = torch.device("cpu")
COLORED_AGAIN = 2
"""The number of images that are colored again."""
MEAN_DIFFERENCE = 0.1
"""How far an image colored again may be from the written one: the mean over its 8-bit values.

Rounding on another processor, or in another batch, changes single values by 1; other weights,
another seed or another sampling change the mean by more.
"""
ON_ANOTHER_DEVICE = 1.0
"""The same for images that a GPU colored, whose rounding many steps of sampling may amplify."""


MEASURED_IN_TRAINING = (
    *("training_seconds", "images_per_second", "device", "precision", "peak_device_bytes"),
    "training_finished",
)
"""The fields of a cost that do not follow from the settings and the weights."""


@dataclass
class Verification:
    """The result of verifying one test: its faults, and what could not be checked."""

    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def compare(self, what: str, recorded: object, found: object, where: str) -> None:
        """Report a value of run.json that another file contradicts."""
        if recorded != found:
            self.faults.append(
                f"{what} is {_short(recorded)} in run.json and {_short(found)} in {where}."
            )


def _short(value: object) -> str:
    text = repr(value.model_dump() if isinstance(value, Strict) else value)
    return text if len(text) <= 200 else f"{text[:200]}…"


# ---- files that say the same ---------------------------------------------------------------------


def check_records(
    found: Verification, folder: TestFolder, record: RunRecord, table: pd.DataFrame
) -> None:
    """Compare run.json with every other file of the run that says the same."""
    if is_fixed_run(record.run) != (record.kind == "fixed"):
        found.faults.append(f"the run {record.run} cannot be of kind {record.kind}.")
        return
    if (record.submission is None) == (record.kind == "submitted"):
        found.faults.append("only a submitted run has, and must have, an entry `submission`.")
        return
    _check_folder_name(found, folder, record)
    if record.kind == "model":
        _check_training(found, folder, record)
    elif record.kind in ("submitted", "outsider"):
        _check_submission(found, folder, record)
    else:
        _check_fixed(found, record)
    if record.kind != "submitted":
        _check_outputs_record(found, folder, record, table)


def _check_folder_name(found: Verification, folder: TestFolder, record: RunRecord) -> None:
    unknown = [name for name in record.sampling_changes if name not in record.sampling]
    if unknown:
        found.faults.append(f"sampling_changes names {unknown[0]!r}, which sampling does not have.")
        return
    label = label_of(
        record.model, record.sampling, record.sampling_changes, record.weights, record.submission
    )
    name = folder_name(record.protocol.name, record.protocol_hash, label)
    if folder.path.resolve().name != name:
        found.faults.append(f"the folder of what run.json describes is {name}, not this one.")


def _check_training(found: Verification, folder: TestFolder, record: RunRecord) -> None:
    """settings.json and cost.json of the training that the weights are of."""
    trained = trained_run(folder, record)
    if trained is None:
        found.unchecked.append(
            "settings, training_data and cost: the weights lay outside of these results."
        )
        return
    try:
        begun = read_record(trained.settings, TrainingRecord)
    except UserError as error:
        found.unchecked.append(f"settings, training_data and cost: {error}")
        return
    settings = {**begun.settings, "preset": begun.preset}
    for key in sorted(settings.keys() | record.settings.keys()):
        values = record.settings.get(key), settings.get(key)
        found.compare(f"settings.{key}", *values, str(trained.settings))
    for key in ("training_data", "pretrained"):
        found.compare(key, getattr(record, key), getattr(begun, key), str(trained.settings))
    if record.weights is not None:
        found.compare(
            "weights.trained_as", record.weights.trained_as, begun.model, str(trained.settings)
        )
    if record.model != begun.model and _weights_of(record.model) != begun.model:
        found.compare("model", record.model, begun.model, str(trained.settings))
    _check_cost(found, trained, record)


def _weights_of(model: str) -> str | None:
    """The model whose weights a model reads besides its own; None also for an unknown model."""
    try:
        return registry.load_model(model).weights_of
    except UserError:
        return None


def _check_cost(found: Verification, trained: RunFolder, record: RunRecord) -> None:
    try:
        cost = read_cost(trained.cost)
    except UserError as error:
        found.unchecked.append(f"cost: {error}")
        return
    if cost is None:
        found.unchecked.append(f"cost: {trained.cost} does not exist.")
    elif record.cost is None:
        found.unchecked.append("cost: the training was not finished when it was tested.")
    elif record.cost.training_finished != cost.training_finished:
        # Of another training to the same weights, only what was measured may differ.
        measured = {key: getattr(cost, key) for key in MEASURED_IN_TRAINING}
        found.compare("cost", record.cost.model_copy(update=measured), cost, str(trained.cost))
        found.unchecked.append(
            f"cost: {trained.path} was trained again since this test; test again to record the "
            f"cost of {trained.cost}."
        )
    else:
        found.compare("cost", record.cost, cost, str(trained.cost))


def _check_submission(found: Verification, folder: TestFolder, record: RunRecord) -> None:
    found.compare("model", record.model, record.run, "the name of its folder")
    run = folder.run()
    path = run.submission
    if run.settings.exists() or run.weights.exists():
        found.faults.append(f"{run.path} holds a training, whose images were not submitted.")
    try:
        submission = read_record(path, SubmissionRecord)
    except UserError as error:
        found.unchecked.append(f"model: {error}")
    else:
        found.compare("model", record.model, submission.model, str(path))
    if record.kind == "outsider":
        _require_empty(found, record, training_data=None)
        _check_facts(found, record)
    else:
        _require_empty(found, record, training_data=None, timing=None)
        found.unchecked.append("how the images were made: another program made them.")


def _check_facts(found: Verification, record: RunRecord) -> None:
    """What run.json says of an outsider is what its file says; it is not run again."""
    found.unchecked.append("that the outsider makes these images: outsiders are not run again.")
    assert record.outsider is not None  # read_test refuses an outsider without facts
    try:
        facts = facts_of_run(record.run)
    except UserError as error:
        found.unchecked.append(f"what is known of the outsider: {error}")
        return
    for key, value in facts.model_dump(exclude={"exemplars", "exemplars_sha256"}).items():
        found.compare(f"outsider.{key}", getattr(record.outsider, key), value, "outsiders/ today")
    if record.outsider.exemplars is not None:
        found.unchecked.append("which exemplars the outsider took colors from.")


def _check_fixed(found: Verification, record: RunRecord) -> None:
    """A reference has a name that follows from what it is, and was not trained."""
    data = record.training_data
    if record.run in (GRAY_RUN, GROUND_TRUTH_RUN):
        model = {GRAY_RUN: GRAY, GROUND_TRUTH_RUN: GROUND_TRUTH}[record.run]
        _require_empty(found, record, training_data=None)
    else:
        model = MEAN_AB
        _require_empty(found, record)
        run = mean_ab_run(data) if data is not None else None
        found.compare("run", record.run, run, "the training set of run.json")
        if data is not None and len(data.ab_mean) != 2:
            found.faults.append("training_data.ab_mean is not a pair of a* and b*.")
    found.compare("model", record.model, model, "the suite")


def _require_empty(found: Verification, record: RunRecord, **further: None) -> None:
    """Report values that only a trained model has."""
    nothing: dict[str, object] = {
        "settings": {},
        "sampling": {},
        "sampling_changes": [],
        "weights": None,
        "pretrained": None,
    }
    for key, value in {**nothing, "cost": None, **further}.items():
        found.compare(key, getattr(record, key), value, f"every run of kind {record.kind}")


def _check_outputs_record(
    found: Verification, folder: TestFolder, record: RunRecord, table: pd.DataFrame
) -> None:
    """colorized.json, which was written while the images were colored."""
    path = folder.outputs_record
    try:
        colored = read_record(path, OutputsRecord)
    except UserError as error:
        found.unchecked.append(f"timing and environment: {error}")
        return
    first = table[table["sample"] == "0"]
    inputs = [list(pair) for pair in zip(first["file"], first["sha256"], strict=True)]
    known = {
        "weights_sha256": weights_hash(record.weights, record.outsider),
        "inputs": sha256_of_json(inputs),
        "seed": record.seed,
        "sampling": record.sampling,
        "protocol_hash": record.protocol_hash,
    }
    for key, value in known.items():
        found.compare(key, value, getattr(colored.provenance, key), path.name)
    found.compare("timing", record.timing, colored.timing(), path.name)
    if colored.environment:
        found.compare("environment", record.environment, colored.environment, path.name)


# ---- weights -------------------------------------------------------------------------------------


def trained_run(folder: TestFolder, record: RunRecord) -> RunFolder | None:
    """The run that the recorded weights are of; None if they lay outside of these results."""
    run, weights = folder.run(), record.weights
    if weights is None or weights.run is None:
        return None
    return RunFolder(run.results, weights.run, run.seed)


def check_coloring(found: Verification, outputs: Outputs, record: RunRecord, samples: int) -> None:
    """Color the first images again with what run.json names, and compare them with the files."""
    if record.kind in ("submitted", "outsider"):
        return
    try:
        if record.kind == "fixed":
            colorizer, sampling = _fixed(outputs, record), Sampling()
        else:
            weights = _load(found, outputs.folder, record)
            if weights is None:
                return
            colorizer = weights.model
            sampling = _resolve(found, colorizer, record)
        _compare_colored(found, outputs, record, colorizer, sampling, samples)
    except Diverged as error:
        found.faults.append(f"the weights that were tested make no images: {error}")
    except Exception as error:  # a contributor's model may raise anything
        found.unchecked.append(f"that the weights make these images: {first_line(error)}.")


def _load(found: Verification, folder: TestFolder, record: RunRecord) -> Weights | None:
    """Load the recorded weights if they are still there and the same."""
    recorded, run = record.weights, trained_run(folder, record)
    assert recorded is not None  # read_test refuses a model without weights
    path = Path(recorded.file) if run is None else run.path / recorded.file
    if not path.is_file():
        found.unchecked.append(f"the weights: {path} is not there any more.")
        return None
    try:
        weights = load_weights(path, record.model, CPU, expected_sha256=recorded.sha256)
    except OtherWeights as error:
        found.faults.append(str(error))
        return None
    except UserError as error:
        found.faults.append(f"the weights that were tested cannot be loaded: {error}")
        return None
    found.compare("weights.trained_as", recorded.trained_as, weights.trained_as, str(path))
    found.compare("weights.epoch", recorded.epoch, weights.epoch, str(path))
    _check_encoder(found, record, weights)
    return weights


def _check_encoder(found: Verification, record: RunRecord, weights: Weights) -> None:
    """The encoder in the weights is the recorded one; unless it was trained, to the bit."""
    parts, pretrained, where = pretrained_parts(weights.model), record.pretrained, weights.path
    names = [part.name for part in parts]
    recorded = [] if pretrained is None else [pretrained.name]
    found.compare("the encoder", recorded, names, str(where))
    if pretrained is None or recorded != names or record.settings.get("encoder_rate"):
        return
    found.compare("pretrained.sha256", pretrained.sha256, digest_of(parts[0]), str(where))


def _resolve(found: Verification, model: Colorizer, record: RunRecord) -> Sampling:
    """The recorded sampling, which must be complete, allowed, and labeled rightly."""
    try:
        sampling: Sampling = model.resolve_sampling(model.sampling_class(**record.sampling))
    except (ValidationError, UserError) as error:
        found.faults.append(f"sampling is none of {record.model}: {first_line(error)}.")
        return model.resolve_sampling(model.sampling_class())  # type: ignore[no-any-return]
    where = f"{record.model} with these weights"
    found.compare("sampling", record.sampling, sampling.model_dump(mode="json"), where)
    changes = model.sampling_changes(sampling)
    found.compare("sampling_changes", record.sampling_changes, changes, where)
    return sampling


def _fixed(outputs: Outputs, record: RunRecord) -> Colorizer:
    """The colorizer of a fixed row."""
    if record.run == GRAY_RUN:
        return Gray().eval()
    if record.run == GROUND_TRUTH_RUN:
        seeds = _seeds(outputs, record, 0)
        rows = {seed: row for row, seed in enumerate(seeds)}
        return GroundTruth(outputs.inputs.rgb8, rows).eval()
    assert record.training_data is not None
    a_mean, b_mean = record.training_data.ab_mean
    return MeanAb((a_mean, b_mean)).eval()


def _seeds(outputs: Outputs, record: RunRecord, sample: int) -> list[int]:
    """The seeds of the first images, from the names that the files had when they were tested."""
    files = outputs.inputs.files[:COLORED_AGAIN]
    return [derive_seed(record.seed, image.name, sample) for image in files]


def _compare_colored(
    found: Verification,
    outputs: Outputs,
    record: RunRecord,
    colorizer: Colorizer,
    sampling: Sampling,
    samples: int,
) -> None:
    """Compare the first images, of the first sample and of the last one."""
    truth8: Tensor = outputs.inputs.rgb8[:COLORED_AGAIN]
    lightness = rgb_to_lightness(rgb_from_8bit(truth8))
    on_cpu = record.timing is None or record.timing.device.startswith("CPU")
    limit = MEAN_DIFFERENCE if on_cpu else ON_ANOTHER_DEVICE
    for sample in sorted({0, samples - 1}):
        seeds = _seeds(outputs, record, sample)
        colored = rgb_to_8bit(colorizer.colorize(lightness, seeds=seeds, sampling=sampling))
        for row, image in enumerate(colored):
            difference = (image.float() - outputs.read(row, sample).float()).abs().mean()
            if not difference <= limit:  # also where it is not a number
                found.faults.append(
                    f"{outputs.relative_path(row, sample)} is not what {record.model} makes of its "
                    f"input with this sampling and seed (mean difference {difference:.1f} of 255)."
                )
