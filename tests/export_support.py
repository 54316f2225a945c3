"""Exported files of tiny models, without a training."""

from pathlib import Path
from typing import Any

import torch

from benchmark import registry
from benchmark.checkpoints import load_weights, save_weights
from benchmark.inference.portable import describe, write_portable
from benchmark.results.portable import UNKNOWN_LICENSE
from benchmark.results.records import Cost, ImageSources, RunRecord, TrainingRecord, TrainingSet
from benchmark.settings import resolve
from tests.record_support import COST, TRAINING_DATA, WEIGHTS, make_record
from tests.support import TINY, awaken, tiny_model


def training_of_tiny(name: str, **typed: Any) -> TrainingRecord:
    """Return the record of a training of a tiny model that was never run."""
    settings_class = registry.load_settings(name)
    known = settings_class.described()
    tiny = {key: value for key, value in TINY.items() if key in known}
    resolved = resolve(settings_class, name, "quick", {**tiny, **typed})
    return TrainingRecord(
        model=name,
        preset="quick",
        settings=resolved.settings.flat(),
        sources=resolved.sources,
        images=ImageSources(dataset="/home/someone/photos", test_images=None),
        training_data=TrainingSet(**TRAINING_DATA),
        train_digests=["e" * 64],
    )


def export_tiny(path: Path, name: str = "unet", **typed: Any) -> Path:
    """Write an exported file of a tiny, untrained model with one test, and return its path."""
    model = tiny_model(name, **typed)
    torch.manual_seed(1)
    awaken(model)
    save_weights(path, model, name, 2)
    weights = load_weights(path, name, torch.device("cpu"))
    record = make_record(weights={**WEIGHTS, "sha256": weights.sha256})
    portable = describe(
        weights,
        training_of_tiny(name, **typed),
        Cost(**COST),
        [RunRecord(**record), RunRecord(**make_record())],  # the second one is of other weights
        seed=8000,
        license_note=UNKNOWN_LICENSE,
    )
    write_portable(path, weights, portable)
    return path
