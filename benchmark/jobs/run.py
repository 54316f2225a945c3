"""What the commands do: train a model, test it, all of them in turn, color one photo."""

import traceback
from dataclasses import replace

from benchmark import leaderboard, registry
from benchmark.console import info
from benchmark.data.loading import Sources, locate
from benchmark.errors import Interrupted, UserError
from benchmark.jobs.job import Job, _has_frames
from benchmark.jobs.test import test
from benchmark.jobs.train import train
from benchmark.results.folders import require_run_name


def run_one(model: str, job: Job) -> None:
    """Train and test one model as asked. UserError for an option that it does not know."""
    registry.require(model)
    if job.run is not None:
        require_run_name("--run", job.run)
    if job.frames and "test" in job.modes:
        _has_frames(model, registry.load_model(model))
    sources = locate(job.dataset, job.test_images, job.results) if "train" in job.modes else None
    _run(model, job, sources, lenient=False)


def run_all(job: Job) -> int:
    """Every model in turn, then the table on stdout. Returns the exit code.

    A model that fails is named and the others go on; then the exit code is 1. An option that a
    model does not know is skipped with a line.
    """
    if job.run is not None:
        raise UserError("--run names one run of one model; without it each model has its own.")
    sources = locate(job.dataset, job.test_images, job.results)  # a wrong folder fails once, here
    if job.preset is None and sources.is_sample:
        job = replace(job, preset="quick")
    failures = {}
    for entry in registry.entries():
        info(f"\n== {entry.name} ==")
        try:
            _run(entry.name, job, sources, lenient=True)
            job = replace(job, trained_now=job.trained_now | {entry.name})
        except UserError as error:
            failures[entry.name] = str(error)
        except Interrupted:
            raise
        except Exception as error:  # a contributor's model may raise anything
            traceback.print_exc()
            failures[entry.name] = f"{type(error).__name__}: {error}"
        if entry.name in failures:
            info(f"{entry.name} failed: {failures[entry.name]}")
    if "test" in job.modes and len(failures) < len(registry.entries()):
        print(leaderboard.formats.markdown(leaderboard.write(job.results)))
        info(f"Written: {', '.join(map(str, leaderboard.paths(job.results)))}")
    if failures:
        info(f"Failed: {'; '.join(f'{name}: {reason}' for name, reason in failures.items())}")
    return 1 if failures else 0


def _run(model: str, job: Job, sources: Sources | None, lenient: bool) -> None:
    for mode in job.modes:
        if mode == "train" and sources is not None:
            train(model, job, sources, lenient)
        else:
            test(model, job, lenient)
