"""One test as a table needs it, and a row: the tests of one model's seeds."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics.table import ALL_METRICS
from benchmark.results.folders import Sample, TestFolder
from benchmark.results.records import Calibration, RunRecord, Score, SeveralSamples
from benchmark.settings import Settings
from benchmark.statistics import mean_interval

DEFAULT_SEED: int = Settings.model_fields["seed"].default
Training = Literal["scratch", "pretrained", "outside"]
TRAININGS = get_args(Training)
"""The kinds of rows that are ranked apart from each other, in the order of the table."""


@dataclass(frozen=True)
class TestResult:
    """One test: its folder, its run.json, and its per_image.csv sorted by the images' contents."""

    folder: TestFolder
    record: RunRecord
    table: pd.DataFrame

    def values(self, key: str) -> NDArray[np.float64]:
        """The values of a metric for the first sample of each image, (N,)."""
        return self.sample_table(0)[key].to_numpy(dtype=np.float64)

    def sample_table(self, sample: Sample) -> pd.DataFrame:
        """The rows of per_image.csv that belong to one sample, one for each image."""
        return self.table[self.table["sample"] == str(sample)]


@dataclass(frozen=True)
class Row:
    """A model with its training, sampling and weights: one test, or one for each of several seeds.

    rank: by the board's metric; None for fixed rows and where nothing can be compared.
    """

    tests: tuple[TestResult, ...]
    rank: int | None = None

    @property
    def record(self) -> RunRecord:
        """The first seed's record, for all that the seeds have in common."""
        return self.tests[0].record

    @property
    def is_fixed(self) -> bool:
        """Whether this is a reference, such as the ground truth, and no model."""
        return self.record.kind == "fixed"

    @property
    def pretrained_on(self) -> str:
        """What the encoder of a model was trained on before; – for a training from scratch.

        Of an outsider, the images of its own training too, which are not those of the models.
        """
        pretrained, outsider = self.record.pretrained, self.record.outsider
        if outsider is not None:
            return f"{outsider.pretrained_on or 'not known'}; trained on {outsider.trained_on}"
        unknown = {"fixed": "", "submitted": "not known"}.get(self.record.kind, "–")
        return pretrained.label if pretrained is not None else unknown

    @property
    def training(self) -> Training:
        """Whether it was trained here, with a pretrained encoder or not, or by others."""
        if self.record.outsider is not None:
            return "outside"
        return "scratch" if self.record.pretrained is None else "pretrained"

    @property
    def seeds(self) -> list[int]:
        """The seeds of the row's tests, in ascending order."""
        return [test.record.seed for test in self.tests]

    @cached_property
    def calibrations(self) -> list[Calibration]:
        """The calibration of each seed's test; empty unless it was on the built-in sample."""
        found = [test.record.calibration for test in self.tests]
        return [calibration for calibration in found if calibration is not None]

    @cached_property
    def name(self) -> str:
        """The run, followed by what differs from the defaults and has no column of its own."""
        record = self.record
        if self.is_fixed:
            data = record.training_data
            return f"{record.model} of {data.name}, {data.n_train} images" if data else record.model
        name = record.run if record.run == record.model else f"{record.run} ({record.model})"
        return ", ".join([name, *self._differences()])

    def _differences(self) -> list[str]:
        record, submission, weights = self.record, self.record.submission, self.record.weights
        found = [
            f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in record.sampling.items()
            if key in record.sampling_changes and key != "steps"
        ]
        if record.kind in ("submitted", "outsider"):
            found.append(record.kind)
        if submission is not None:
            found += ["resized"] * submission.resized
            found += ["the input's L*"] * (submission.lightness == "input")
        elif len(self.seeds) == 1 and record.kind == "model" and record.seed != DEFAULT_SEED:
            found.append(f"seed {record.seed}")
        if weights is not None and weights.trained_as != record.model:
            found.append(f"weights of {weights.trained_as}")
        if weights is not None and Path(weights.file).stem != "best":
            found.append(f"weights {Path(weights.file).stem}")
        return found

    def values(self, key: str) -> NDArray[np.float64] | None:
        """A metric of each image, mean over seeds, (N,); None if it lacks a value of any image."""
        if any(key not in test.table for test in self.tests):
            return None
        values: NDArray[np.float64] = np.mean([test.values(key) for test in self.tests], axis=0)
        return values if np.isfinite(values).all() else None

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The score in every metric, by key.

        Over several seeds it is their mean, with the interval over the images' mean values.
        """
        if len(self.tests) == 1:
            return self.record.metrics
        return {key: self._mean_score(key) for key in self.record.metrics}

    def _mean_score(self, key: str) -> Score:
        scores = [test.record.metrics[key] for test in self.tests]
        means = [score.mean for score in scores if score.mean is not None]
        if len(means) < len(scores):
            reasons = {score.reason for score in scores if score.reason}
            nothing = {"mean": None, "std": None, "low": None, "high": None}
            return scores[0].model_copy(update={**nothing, "reason": "; ".join(sorted(reasons))})
        mean, low, high = float(np.mean(means)), None, None
        values = self.values(key)
        if values is not None and not ALL_METRICS[key].between_samples:
            mean, low, high = mean_interval(values.tolist())
        update = {"mean": mean, "std": None, "low": low, "high": high}
        return scores[0].model_copy(update=update)

    @property
    def ms_per_image(self) -> float | None:
        """The time to colorize one image in milliseconds, mean over seeds."""
        timings = [test.record.timing for test in self.tests if test.record.timing]
        return sum(one.ms_per_image for one in timings) / len(timings) if timings else None

    @cached_property
    def samples(self) -> SeveralSamples | None:
        """The scores of several samples, mean over seeds; None unless all seeds have as many."""
        per_seed = [test.record.samples for test in self.tests]
        first = per_seed[0]
        if first is None or any(one is None or one.count != first.count for one in per_seed):
            return None
        if len(per_seed) == 1:
            return first

        def mean(part: str) -> dict[str, Score]:
            found = {}
            for key, score in getattr(first, part).items():
                means = [getattr(one, part)[key].mean for one in per_seed]
                value = float(np.mean(means)) if None not in means else None
                update = {"mean": value, "std": None, "low": None, "high": None}
                found[key] = score.model_copy(update=update)
            return found

        return SeveralSamples(count=first.count, mean=mean("mean"), best=mean("best"))

    def std_over_seeds(self, key: str) -> float | None:
        """The standard deviation of a metric over seeds; None for a single seed."""
        means = [test.record.metrics[key].mean for test in self.tests]
        known = [mean for mean in means if mean is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else None
