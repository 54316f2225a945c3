"""Run what was asked for: train and test one model, or all models in turn."""

import traceback
from dataclasses import replace

from benchmark import leaderboard, registry
from benchmark.console import info, shorten
from benchmark.data.sources import Sources, locate
from benchmark.device import make_fabric
from benchmark.errors import Interrupted, UserError, first_line
from benchmark.evaluation import named
from benchmark.jobs.job import Job, job_for_model, require_frames
from benchmark.jobs.test import FinishedTest, test
from benchmark.jobs.train import train
from benchmark.results.folders import require_run_name
from benchmark.settings import (
    CPU_PRESET,
    CPU_PRESET_FROM_SCRATCH,
    DEFAULT_PRESET,
    NO_ENCODER,
    SAMPLE_PRESET,
)


def _require_protocol(job: Job) -> None:
    """Raise UserError for a protocol that does not exist, before anything takes time."""
    if job.protocol is not None:
        named.load(job.protocol)


def run_one(model: str, job: Job) -> None:
    """Train and test one model as asked, and print the leaderboard of its protocol.

    Raises UserError for an option that the model does not have.
    """
    registry.require(model)
    _require_protocol(job)
    if job.run is not None:
        require_run_name("--run", job.run)
    if job.frames and job.tests:
        require_frames(model)
    sources = locate(job.dataset, job.test_images, job.results) if job.trains else None
    preset, requested = job.preset or DEFAULT_PRESET, job.mode == "train"
    if sources is not None:
        train(model, job, sources, preset, explicitly_requested=requested)
    done = test(model, job) if job.tests else None
    if done is not None:
        found = leaderboard.write(job.results)
        print(leaderboard.formats.markdown(found.for_protocol(done.record.protocol_hash)))
        info(f"Images, figure and scores: {done.folder.path}")
        _report_frames(done)


def run_all(job: Job) -> int:
    """Run every model in turn, then print the leaderboard. Returns the exit code.

    A model that fails is named and the others go on; then the exit code is 1. An option that a
    model does not have is skipped, and a message names it.
    """
    if job.run is not None:
        raise UserError("--run names one run of one model; without it each model has its own.")
    _require_protocol(job)
    sources = locate(job.dataset, job.test_images, job.results)  # a wrong folder fails once, here
    preset = job.preset or DEFAULT_PRESET
    if job.trains and job.preset is None:
        preset = _preset_of_all(job, sources)
        job = replace(job, preset=preset)  # names the runs of a preset with an encoder
    failures = {}
    for entry in registry.entries():
        info("")
        info(f"== {entry.name} ==")
        try:
            own = job_for_model(entry.name, job)
            if own.trains:
                train(entry.name, own, sources, preset, explicitly_requested=False)
            if own.tests:
                _report_frames(test(entry.name, own))
        except UserError as error:
            failures[entry.name] = str(error)
        except Interrupted:
            raise
        except Exception as error:  # a contributor's model may raise anything
            traceback.print_exc()
            failures[entry.name] = first_line(error)
        if entry.name in failures:
            info(f"{entry.name} failed: {failures[entry.name]}")
    if job.tests and len(failures) < len(registry.entries()):
        print(leaderboard.formats.markdown(leaderboard.write(job.results)))
        info(f"Written: {', '.join(map(str, leaderboard.paths(job.results)))}")
    if failures:
        info(f"Failed: {'; '.join(f'{name}: {reason}' for name, reason in failures.items())}")
    return 1 if failures else 0


def _preset_of_all(job: Job, sources: Sources) -> str:
    """The preset of all models together where none was typed; docs/choices.md says why."""
    if sources.is_sample:
        return SAMPLE_PRESET
    if make_fabric(job.device, "32").device.type != "cpu":
        return DEFAULT_PRESET
    from_scratch = job.typed.get("encoder") == NO_ENCODER
    return CPU_PRESET_FROM_SCRATCH if from_scratch else CPU_PRESET


def _report_frames(done: FinishedTest) -> None:
    if done.frames:
        names = shorten([path.name for path in done.frames])
        info(f"The sampling from noise to color, in {done.frames[0].parent}: {names}")
