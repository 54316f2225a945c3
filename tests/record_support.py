"""The contents of a valid run.json, for tests that read, refuse and tabulate records."""

from typing import Any

from benchmark.evaluation.protocol import VERSION, hash_of
from benchmark.metrics.table import METRICS, MetricSuite
from benchmark.results.records import ProtocolRecord

WEIGHTS = {
    "trained_as": "unet",
    "run": "unet",
    "file": "best.safetensors",
    "sha256": "0" * 64,
    "epoch": 2,
}
TRAINING_DATA = {
    "name": "photos",
    "n_train": 20,
    "n_val": 4,
    "n_unusable": 0,
    "n_near_copies": None,
    "manifest": "c" * 64,
    "ab_mean": [1.0, 2.0],
}
COST = {
    "parameters": 1_500_000,
    "training_seconds": 90.0,
    "images_per_second": 100.0,
    "epochs": 2,
    "steps": 80,
    "device": "cpu",
    "precision": "32-true",
    "peak_device_bytes": 2_000_000_000,
    "best_epoch": 2,
    "training_finished": "",
    "learning_rate_halved": 0,
}


def make_record(means: dict[str, float | None] | None = None, **changed: Any) -> dict[str, Any]:
    """Return the contents of a valid run.json with these means of metrics and these changes."""
    protocol = {
        "name": "photos-64",
        "version": VERSION,
        "size": 64,
        "filter": "Pillow lanczos",
        "crop": "center square",
        "n_images": 4,
        "manifest": "d" * 64,
        "metrics": MetricSuite().describe(),
        "input": "L* of the truth, float32",
        "scored": "the 8-bit images as written",
    }
    protocol |= {"degradation": None, "rule": None}
    protocol = changed.pop("protocol", protocol)
    known = {"ssim": 0.9, **(means or {})}
    record = {
        "schema_version": 4,
        "kind": "model",
        "model": "unet",
        "run": "unet",
        "seed": 8000,
        "settings": {"epochs": 2},
        "sampling": {},
        "sampling_changes": [],
        "submission": None,
        "weights": dict(WEIGHTS),
        "protocol": protocol,
        "protocol_hash": hash_of(ProtocolRecord(**protocol)),
        "training_data": dict(TRAINING_DATA),
        "pretrained": None,
        "outsider": None,
        "n_expected": 4,
        "n_scored": 4,
        "failed": {},
        "metrics": {key: make_score(key, known.get(key, 0.5)) for key in METRICS},
        "samples": None,
        "calibration": None,
        "per_image_sha256": "0" * 64,
        "timing": {"ms_per_image": 1.5, "batch_size": 4, "device": "cpu"},
        "cost": dict(COST),
        "environment": {"python": "3.12"},
        "finished": "2025-01-01T00:00:00+00:00",
    }
    return {**record, **changed}


def make_score(key: str, mean: float | None) -> dict[str, Any]:
    """Return the score of a metric over 4 images; None stands for one that was not measured."""
    metric = METRICS[key]
    if metric.between_samples:
        mean = None
    return {
        "label": metric.label,
        "unit": metric.unit,
        "direction": metric.direction,
        "mean": mean,
        "std": None if mean is None else 0.25,
        "low": None if mean is None else mean - 0.01,
        "high": None if mean is None else mean + 0.01,
        "n": 4,
        "reason": "nothing to measure with" if mean is None else None,
    }
