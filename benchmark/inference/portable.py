"""Files of weights that are used without the folder of their run: what they say of themselves."""

from collections.abc import Iterable
from pathlib import Path

from benchmark import registry
from benchmark.checkpoints import Weights, save_weights
from benchmark.colorizer import Colorizer
from benchmark.results.environment import environment, now
from benchmark.results.portable import (
    MOST_TESTS,
    ColorStatistics,
    Portable,
    TestScores,
    without_origin,
)
from benchmark.results.records import Cost, RunRecord, TrainingRecord


def describe(
    weights: Weights,
    training: TrainingRecord,
    cost: Cost | None,
    records: Iterable[RunRecord],
    *,
    seed: int,
    license_note: str,
) -> Portable:
    """Return what an exported file says of weights.

    records: of the tests of the run; those of other weights, and those that no table takes, are
    left out. seed: of the run.
    """
    model = weights.model
    own = [
        record
        for record in records
        if record.weights is not None
        and record.weights.sha256 == weights.sha256
        and record.refusal is None
    ]
    # Of the model that was trained, also where another one reads its weights.
    sampling_class = registry.load_model(weights.trained_as).sampling_class
    preset = sampling_class.presets.get(training.preset, {})
    return Portable(
        seed=seed,
        training=without_origin(training),
        sampling=sampling_class(**preset).model_dump(mode="json"),
        statistics=statistics_of(model),
        cost=cost,
        tests=[TestScores.of(record) for record in own[:MOST_TESTS]],
        license=license_note,
        source_sha256=weights.sha256,
        environment=environment(),
        exported=now(),
    )


def statistics_of(model: Colorizer) -> ColorStatistics:
    """Return the statistics of color by which a model standardizes its output."""
    return ColorStatistics(
        mean=model.color_mean.flatten().tolist(),
        std=model.color_std.flatten().tolist(),
        limit=float(model.color_limit),
    )


def write_portable(path: Path, weights: Weights, portable: Portable) -> None:
    """Write weights with all that is needed to use them elsewhere as one safetensors file."""
    save_weights(path, weights.model, weights.trained_as, weights.epoch, portable)
