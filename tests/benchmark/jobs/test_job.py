"""A job: which of several values of an option counts, and which options concern a model."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.options import parse_assignments, sampling_values
from benchmark.errors import UserError
from benchmark.jobs.job import Job, choose_sampling, job_for_model
from benchmark.metrics.options import MetricOptions
from benchmark.registry import load_model


def make_job(assignments: dict[str, str], **options: Any) -> Job:
    """Return a job with these options and `--set` assignments; all other options are None."""
    names = {field.name for field in fields(Job)} - {"typed"}
    assigned = parse_assignments(f"{name}={text}" for name, text in assignments.items())
    return Job.of({**dict.fromkeys(names), **options}, assigned, MetricOptions())


def test_an_option_has_precedence_over_set_in_all_commands() -> None:
    assignments = {"steps": "20", "eta": "0.5"}
    assert make_job(assignments, steps=50, eta=None).typed == {"steps": 50, "eta": 0.5}
    parameters = {"steps": 50, "sampler": None, "eta": None, "guidance": None}
    typed = sampling_values(parameters, [f"{name}={text}" for name, text in assignments.items()])
    assert typed == {"steps": 50, "eta": 0.5}


def test_tests_skip_every_setting_of_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    assignments = {"kl_weight": "2", "widths": "8,16", "nonsense": "1"}
    job = make_job(assignments, mode="test", epochs=9, size=64, seed=1, steps=2)
    assert job_for_model("basicvae", job).typed == {"size": 64, "seed": 1}
    assert set(capsys.readouterr().err.splitlines()) == {
        "basicvae: kl_weight is a setting of the training: skipped.",
        "basicvae: widths is a setting of the training: skipped.",
        "basicvae: epochs is a setting of the training: skipped.",
        "basicvae has no nonsense: skipped.",
        "basicvae has no steps: skipped.",
    }
    trained = job_for_model("basicvae", make_job(assignments, mode=None, epochs=9))
    assert trained.typed == {"kl_weight": 2, "widths": [8, 16], "epochs": 9}


def test_a_run_is_named_after_the_encoder_that_is_typed_or_of_the_preset(tmp_path: Path) -> None:
    names = {}
    for preset in (None, "small", "small-pretrained"):
        for typed in ({}, {"encoder": "none"}, {"encoder": "resnet18"}):
            job = make_job({}, results=tmp_path, preset=preset, **typed)
            names[preset, typed.get("encoder")] = job.folder("unet").path.parent.name
    assert names == {
        **{(preset, encoder): "unet" for preset in (None, "small") for encoder in (None, "none")},
        ("small-pretrained", None): "unet-efficientnet_lite0",
        ("small-pretrained", "none"): "unet",
        **{(preset, "resnet18"): "unet-resnet18" for preset in (None, "small", "small-pretrained")},
    }


@pytest.mark.parametrize(
    ("name", "end"), [("stepz", "; did you mean 'steps'? All are"), ("qqq", ". All are")]
)
def test_an_unknown_sampling_option_is_refused(name: str, end: str) -> None:
    with pytest.raises(UserError) as caught:
        choose_sampling("unetddim", load_model("unetddim"), "standard", {name: 1})
    assert f"unetddim has no sampling option '{name}'{end} listed by" in str(caught.value)
