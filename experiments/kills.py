"""Trainings that are killed at random moments, or whose disk is full, end like undisturbed ones.

    python -m experiments.kills --kills 100 --full-disks 20

Each model is trained once undisturbed. The same training is then killed by SIGKILL at random
moments and started again until it is finished, as often as there are kills left; and again with
disks on which a random write finds no room. Weights and histories must be equal to the bit, and no
temporary file may be left. Needs a system with `fork`.
"""

import errno
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image

import benchmark.jobs.run  # noqa: F401  # once, before processes are forked
import main as command_line
from benchmark import files, registry
from benchmark.results.folders import RunFolder
from benchmark.results.history import read_history
from benchmark.settings import Settings
from benchmark.training import state_timer

SMALL: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 8,
    "size": 32,
    "widths": "16,32",
    "blocks": 1,
    "discriminator_widths": "8,16",
    "latent_dim": 16,
    "save_every": 1,
    "keep": 2,
}
"""A training of seconds; each model uses the settings that it has."""
TIMES = ("seconds", "images_per_second")
"""The values of a history that depend on the clock."""
FAILED = 2
"""The exit code of a training that cannot write."""
MOST_WRITES = 40
"""More than a training of SMALL makes."""


@dataclass
class Tally:
    """What happened to the trainings of one model. different: those that ended in another way."""

    disturbed: int = 0
    finished: int = 0
    different: int = 0

    def row(self, model: str, kind: str) -> str:
        """A row of the table."""
        cells = [model, kind, str(self.disturbed), str(self.finished), str(self.different)]
        return f"| {' | '.join(cells)} |"


class Trainings:
    """The trainings of one model in a folder that holds nothing else.

    arguments: of main.py. whole: the undisturbed run. run: the one that is disturbed.
    """

    def __init__(self, model: str, results: Path, images: Path) -> None:
        known = registry.load_settings(model).described()
        registry.load_recipe(model)  # imported before a process is forked
        own = {key: value for key, value in SMALL.items() if key in known}
        self.arguments = ["--model", model, "--mode", "train", "--device", "cpu"]
        self.arguments += ["--dataset", str(images), "--results", str(results)]
        self.arguments += ["--preset", "quick", "--precision", "32", "--wandb", "disabled"]
        for key, value in own.items():
            self.arguments += ["--set", f"{key}={value}"]
        seed = Settings.model_fields["seed"].default
        self.whole, self.run = (RunFolder(results, name, seed) for name in ("whole", "disturbed"))
        self.log = results / "stderr.txt"

    def train_undisturbed(self) -> float:
        """Train to the end; return the seconds that it took."""
        begun = time.monotonic()
        child = self.start(self.whole)
        self.require(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        return time.monotonic() - begun

    def start(self, run: RunFolder, disturb: Callable[[], object] = lambda: None) -> int:
        """Fork a process that trains, after it has called `disturb`; return its number."""
        if child := os.fork():
            return child
        code = 1
        try:
            with self.log.open("w") as log:
                os.dup2(log.fileno(), 2)
            disturb()
            sys.argv = ["main.py", *self.arguments, "--run", run.run]
            command_line.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        finally:
            os._exit(code)

    def require(self, code: int, *expected: int) -> int:
        """Return the exit code of a training. Ends the program if it is not an expected one."""
        if code not in expected:
            raise SystemExit(f"A training ended with {code}:\n{self.log.read_text()[-3000:]}")
        return code

    def disturbed_by_kills(self, count: int, seconds: float, rng: random.Random) -> Tally:
        """Kill trainings `count` times within the first `seconds`, and finish each of them."""
        tally = Tally()
        while tally.disturbed < count:
            child = self.start(self.run)
            time.sleep(rng.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)  # it may have ended, and still waits to be noticed
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if self.require(code, 0, -signal.SIGKILL):
                tally.disturbed += 1
            else:
                self.compare(tally)
        self.finish(tally)
        return tally

    def disturbed_by_full_disks(self, count: int, rng: random.Random) -> Tally:
        """Let the disk be full at a random write, `count` times, and finish each training."""
        tally = Tally()
        while tally.disturbed < count:
            writes = rng.randrange(MOST_WRITES)
            child = self.start(self.run, partial(fill_disk_after, writes))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if self.require(code, 0, FAILED):
                tally.disturbed += 1
                if "No space left on device" not in self.log.read_text():
                    raise SystemExit(self.log.read_text())
                self.require_no_temporary_files()
            else:
                self.compare(tally)
        self.finish(tally)
        return tally

    def finish(self, tally: Tally) -> None:
        """Train the disturbed run to its end, and compare it."""
        child = self.start(self.run)
        self.require(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.compare(tally)

    def compare(self, tally: Tally) -> None:
        """Compare the disturbed run, which is finished, with the undisturbed one; delete it."""
        tally.finished += 1
        tally.different += outcome(self.run) != outcome(self.whole)
        self.require_no_temporary_files()
        shutil.rmtree(self.run.path)

    def require_no_temporary_files(self) -> None:
        """End the program if a temporary file is left in the run."""
        left = [str(path) for path in self.run.path.rglob(f"{files.PART}*")]
        if left:
            raise SystemExit(f"Left: {', '.join(left)}")


def outcome(run: RunFolder) -> tuple[dict[str, str], list[str]]:
    """The hashes of a run's weights, and its history without times."""
    weights = {path.name: files.sha256_of_file(path) for path in run.weights.iterdir()}
    rows = [{k: v for k, v in row.items() if k not in TIMES} for row in read_history(run.history)]
    return weights, [json.dumps(row, sort_keys=True) for row in rows]


def fill_disk_after(writes: int) -> None:
    """Let the disk of this process be full after some writes of whole files: half is written."""
    left = writes
    write_text, write_bytes = Path.write_text, Path.write_bytes

    def room_is_left() -> bool:
        nonlocal left
        left -= 1
        return left >= 0

    def text(self: Path, content: str, **options: Any) -> int:
        if room_is_left():
            return write_text(self, content, **options)
        write_text(self, content[: len(content) // 2], **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def binary(self: Path, content: Any) -> int:
        if room_is_left():
            return write_bytes(self, content)
        write_bytes(self, bytes(content[: len(content) // 2]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Path.write_text, Path.write_bytes = text, binary  # type: ignore[method-assign,assignment]


def draw_images(folder: Path) -> Path:
    """Write 30 small images of soft random colors."""
    folder.mkdir()
    for index in range(30):
        coarse = np.random.default_rng(index).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC)
        image.save(folder / f"{index:02d}.png")
    return folder


def refuse_download(*_: object, **__: object) -> None:
    """Raise OSError: what selects the weights needs no LPIPS here."""
    raise OSError(errno.ENETUNREACH, "nothing is downloaded here")


def main(
    kills: Annotated[int, typer.Option(help="Number of kills, over all models together.")] = 100,
    full_disks: Annotated[int, typer.Option(help="Number of full disks, likewise.")] = 0,
    models: Annotated[str, typer.Option(help="Names of models, separated by commas.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
) -> None:
    """Disturb trainings of each model, and print a table; the exit code is 1 for a difference."""
    # States are saved all the time, so that kills find trainings that were resumed.
    state_timer.LEAST_BETWEEN, state_timer.MOST_SHARE = 0.0, 0.5
    torch.hub.download_url_to_file = refuse_download
    torch.set_num_threads(1)  # before a process is forked
    rng = random.Random(seed)
    names = models.split(",") if models else [entry.name for entry in registry.entries()]
    print("| model | disturbed by | times | trainings | that ended differently |")
    print("|---|---|---|---|---|")
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        images = draw_images(Path(folder) / "images")
        for index, name in enumerate(names):
            results = Path(folder) / name
            results.mkdir()
            trainings = Trainings(name, results, images)
            seconds = trainings.train_undisturbed()
            share = slice(index, None, len(names))
            found = {
                "kills": trainings.disturbed_by_kills(len(range(kills)[share]), seconds, rng),
                "full disks": trainings.disturbed_by_full_disks(len(range(full_disks)[share]), rng),
            }
            for kind, tally in found.items():
                if tally.disturbed:
                    print(tally.row(name, kind), flush=True)
                    different += tally.different
    if different:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
