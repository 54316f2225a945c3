"""Trainings of equal duration that differ in one choice, for all experiments."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark import registry
from benchmark.data.loading import load_training
from benchmark.data.manifest import DIGESTS, Digests
from benchmark.data.sources import Sources
from benchmark.data.splits import split
from benchmark.device import make_fabric
from benchmark.results.folders import RunFolder
from benchmark.results.records import TrainingRecord
from benchmark.results.schema import read_record
from benchmark.settings import Settings, parse_value, resolve
from benchmark.training.loop import Loop
from benchmark.training.pretrained import load_pretrained

ROOT = Path(__file__).resolve().parent.parent
SEED, SPLIT_SEED = (Settings.model_fields[key].default for key in ("seed", "split_seed"))


@dataclass(frozen=True)
class Choice:
    """A run: its name, its title in the table, and its settings that differ from the reference."""

    run: str
    title: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Runs of one model. settings: those of all its runs, on top of the preset.

    `max_steps`, which is measured, ends each training before its epochs are done.
    """

    model: str
    preset: str
    settings: dict[str, Any]
    choices: tuple[Choice, ...]

    def typed(self, choice: Choice) -> dict[str, Any]:
        """Return the settings of a run on top of the preset, as text that main.py takes."""
        return {"epochs": 100_000, **self.settings, **choice.settings}

    def resolve(self, choice: Choice) -> Settings:
        """Return all settings of a run."""
        values = {key: parse_value(str(value)) for key, value in self.typed(choice).items()}
        return resolve(registry.load_settings(self.model), self.model, self.preset, values).settings


def train(
    family: Family,
    choices: Sequence[Choice],
    dataset: str,
    sources: Sources,
    results: Path,
    seconds: float,
) -> None:
    """Train each run for `seconds` on one core, with as many runs at a time as there are cores."""
    budget = steps_that_fit(seconds, family, choices, sources, results)

    def train_one(choice: Choice) -> None:
        options = ["--dataset", dataset, "--preset", family.preset]
        for key, value in {**family.typed(choice), "max_steps": budget[choice.run]}.items():
            options += ["--set", f"{key}={value}"]
        call("train", family, choice, results, *options)
        print(f"Trained: {choice.title}.", file=sys.stderr)

    in_parallel(train_one, choices)


def in_parallel(work: Callable[[Choice], None], choices: Sequence[Choice]) -> None:
    """Call work(choice) for each choice, with as many at a time as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, choices))


def copy_validation(sources: Sources, to: Path, count: int) -> Path:
    """Copy the first `count` images that a training holds out for validation into a folder."""
    to.mkdir(parents=True, exist_ok=True)
    digests = Digests(sources.cache / DIGESTS)
    files, tests = sources.images(digests).files, sources.tests(digests).files
    held_out = split(files, tests, SPLIT_SEED).val
    for image in sorted(held_out, key=lambda image: image.digest)[:count]:
        shutil.copy(image.path, to / f"{image.digest[:16]}{image.path.suffix}")
    return to


def steps_that_fit(
    seconds: float, family: Family, choices: Sequence[Choice], sources: Sources, results: Path
) -> dict[str, int]:
    """Return the number of training steps of each run that take `seconds` on one core.

    It is measured with a few steps of each run. A run that was begun keeps its number of steps.
    """
    found = {}
    torch.set_num_threads(1)
    for choice in choices:
        folder = RunFolder(results, choice.run, SEED)
        if folder.settings.exists():
            found[choice.run] = read_record(folder.settings, TrainingRecord).settings["max_steps"]
            continue
        settings = family.resolve(choice)
        data = load_training(sources, settings)
        network = settings.model_class.build(settings.architecture)
        load_pretrained(network, None)
        network.calibrate(data.statistics)
        recipe = registry.load_recipe(family.model)(network, settings)
        fabric = make_fabric("cpu", settings.precision)
        loop = Loop(folder, family.model, network, recipe, data, fabric)
        pace = seconds_per_step(loop)
        found[choice.run] = max(1, round(seconds / pace))
        print(f"{choice.title}: {1 / pace:.2f} steps/s", file=sys.stderr)
    return found


def seconds_per_step(loop: Loop) -> float:
    """Return the processor time per step, measured over five seconds after a first step."""
    loop.take_step()
    begun = time.process_time()
    count = 0
    while (spent := time.process_time() - begun) < 5:
        loop.take_step()
        count += 1
    return spent / count


def call(mode: str, family: Family, choice: Choice, results: Path, *options: str) -> None:
    """Run main.py for a model on one core, and exit with its messages if it fails."""
    command = [sys.executable, str(ROOT / "main.py"), "--model", family.model, "--mode", mode]
    command += ["--results", str(results), "--run", choice.run, "--wandb", "disabled", *options]
    one_core = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_core, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
