"""What the experiments share: runs that differ in a choice, each trained for equally long."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark import registry
from benchmark.data.loading import Sources, TrainingData, load_training, splits_of
from benchmark.device import make_fabric
from benchmark.files import read_json
from benchmark.results.folders import RunFolder
from benchmark.settings import Settings, parse_value, resolve
from benchmark.training.loop import Loop

ROOT = Path(__file__).resolve().parent.parent
MODEL = "unetddim"
SEED, SPLIT_SEED = (Settings.model_fields[key].default for key in ("seed", "split_seed"))

REFERENCE = {
    "widths": "32,64,128",
    "batch_size": 16,
    "epochs": 100_000,
    "condition": "concat",
}
"""Small, since minutes are short; max_steps ends it. Diffusion alone, no regression beside it.

Whatever else is the model's default.
"""


@dataclass(frozen=True)
class Choice:
    """A run: its name, what a table calls it, and how it differs from the reference."""

    run: str
    title: str
    settings: dict[str, Any]


def train(
    choices: Sequence[Choice], dataset: str, sources: Sources, results: Path, seconds: float
) -> None:
    """Train each run on one core for the seconds, as many at once as there are cores."""
    budget = steps_that_fit(seconds, choices, sources, results)

    def work(choice: Choice) -> None:
        learning = [*assignments(choice), "--set", f"max_steps={budget[choice.run]}"]
        call("train", choice, results, "--dataset", dataset, *learning)
        print(f"trained: {choice.title}", file=sys.stderr)

    side_by_side(work, choices)


def side_by_side(work: Any, choices: Sequence[Choice]) -> None:
    """work(choice) of each, as many at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, choices))


def copy_validation(sources: Sources, to: Path, count: int) -> Path:
    """The first `count` images that a training holds out for validation, as a folder."""
    to.mkdir(parents=True, exist_ok=True)
    held_out = splits_of(sources, SPLIT_SEED).val
    for image in sorted(held_out, key=lambda image: image.digest)[:count]:
        shutil.copy(image.path, to / f"{image.digest[:16]}{image.path.suffix}")
    return to


def steps_that_fit(
    seconds: float, choices: Sequence[Choice], sources: Sources, results: Path
) -> dict[str, int]:
    """How many training steps of each run take the seconds on one core, by the pace of a few.

    What was measured before is kept: a run that was begun has its number of steps.
    """
    found = {}
    data: TrainingData | None = None
    torch.set_num_threads(1)
    for choice in choices:
        folder = RunFolder(results, choice.run, SEED)
        if folder.settings.exists():
            found[choice.run] = read_json(folder.settings)["settings"]["max_steps"]
            continue
        settings = resolve(registry.load_settings(MODEL), MODEL, "standard", typed(choice)).settings
        data = data or load_training(sources, settings)  # no choice is about the images
        network = settings.model_class.build(settings.architecture)
        network.calibrate(data.statistics)
        recipe = registry.load_recipe(MODEL)(network, settings)
        loop = Loop(folder, MODEL, network, recipe, data, make_fabric("cpu", settings.precision))
        pace = seconds_per_step(loop)
        found[choice.run] = max(1, round(seconds / pace))
        print(f"{choice.title}: {1 / pace:.2f} steps/s", file=sys.stderr)
    return found


def seconds_per_step(loop: Loop, at_least: float = 5.0) -> float:
    """Processor time of a step, of as many as take `at_least` seconds, after one to warm up."""
    loop.take_step()
    begun = time.process_time()
    count = 0
    while (spent := time.process_time() - begun) < at_least:
        loop.take_step()
        count += 1
    return spent / count


def assignments(choice: Choice) -> list[str]:
    """The settings of a run as options of main.py."""
    values = {**REFERENCE, **choice.settings}
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]


def typed(choice: Choice) -> dict[str, Any]:
    """The same as values."""
    return {k: parse_value(str(v)) for k, v in {**REFERENCE, **choice.settings}.items()}


def call(mode: str, choice: Choice, results: Path, *options: str) -> None:
    """`main.py --model unetddim`, on one core; what it says is shown where it fails."""
    command = [sys.executable, str(ROOT / "main.py"), "--model", MODEL, "--mode", mode]
    command += ["--results", str(results), "--run", choice.run, "--wandb", "disabled", *options]
    one_core = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_core, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
