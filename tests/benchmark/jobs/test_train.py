"""Which runs a training replaces, and when a model reads the weights of another one instead."""

from pathlib import Path

import pytest

from benchmark import registry
from benchmark.results.records import TrainingRecord
from benchmark.settings import Settings
from tests.support import RunCommand

MODEL, OTHER = next(
    (entry.name, other)
    for entry in registry.entries()
    if (other := registry.load_model(entry.name).weights_of) is not None
)
"""A model that reads the weights of another one, and that one."""


def make_unreadable(path: Path, content: str) -> Path:
    """Write a run's folder with a file of weights and an unreadable settings.json."""
    (path / "weights").mkdir(parents=True, exist_ok=True)
    (path / "weights/best.safetensors").touch()
    (path / "settings.json").write_text(content)
    return path


@pytest.mark.parametrize(
    ("model", "content"),
    [("unet", "{"), (MODEL, '{"schema_version": 0}')],
    ids=["damaged", "older version"],
)
def test_overwrite_replaces_a_run_whose_settings_cannot_be_read(
    run: RunCommand, options: list[str], tmp_path: Path, model: str, content: str
) -> None:
    folder = make_unreadable(tmp_path / "out" / model / "seed-8000", content)
    for mode in (["--mode", "train"], []):
        code, _, err = run("--model", model, *mode, *options)
        assert code == 2
        assert f"{folder / 'settings.json'} " in err
        assert TrainingRecord.remedy in err
    assert run("--model", model, "--overwrite", *options, "--set", "widths=9")[0] == 2
    assert (folder / "settings.json").read_text() == content  # a mistake deletes nothing
    steps = ["--steps", "2"] if model == MODEL else []
    code, _, err = run("--model", model, "--overwrite", *steps, *options)
    assert code == 0, err
    assert f"{model} trains on" in err
    assert (folder / "weights/best.safetensors").stat().st_size > 0


def test_an_unreadable_run_does_not_stop_a_model_that_needs_other_weights(
    run: RunCommand, options: list[str], tmp_path: Path
) -> None:
    out, few = tmp_path / "out", ["--steps", "2"]
    assert run("--model", OTHER, "--mode", "train", *options)[0] == 0
    own = make_unreadable(out / MODEL / "seed-8000", "{")
    code, _, err = run("--model", MODEL, "--overwrite", *few, *options)
    assert code == 0, err
    assert f"{MODEL} is not trained: it differs from {OTHER} only in its sampler, and reads" in err
    assert not (own / "settings.json").exists()

    assert run("--model", MODEL, "--mode", "train", *options)[0] == 0
    make_unreadable(out / OTHER / "seed-8000", "{")
    for mode in (["--mode", "test"], []):
        code, _, err = run("--model", MODEL, *mode, *few, *options)
        assert code == 0, err


def test_settings_that_another_model_was_not_trained_with_are_refused(
    run: RunCommand, options: list[str], tmp_path: Path
) -> None:
    few = ["--steps", "2"]
    assert run("--model", OTHER, "--mode", "train", *options)[0] == 0
    path = tmp_path / "out" / OTHER / "seed-8000"
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    for typed, difference in (
        (["--epochs", "2"], "epochs 1 instead of 2"),
        (["--size", "64", "--batch_size", "4"], "batch_size 8 instead of 4, size 32 instead of 64"),
        (["--set", "draws=3"], "draws 1 instead of 3"),
        (["--preset", "large"], "preset quick instead of large"),
    ):
        code, out, err = run("--model", MODEL, *few, *options, *typed)
        assert (code, out) == (2, "")
        assert f"{MODEL} is not trained but reads the weights of {path}, which was trained" in err
        assert difference in err
        assert f"leave these options out, or train with `--model {MODEL} --mode train`." in err
    code, _, err = run("--model", MODEL, "--overwrite", *options, "--epochs", "2")
    assert code == 2
    assert not list((tmp_path / "out").glob(f"{MODEL}/seed-*"))

    # A test at another size or in other batches reads the same weights.
    typed = ["--mode", "test", "--size", "40", "--batch_size", "4"]
    code, _, err = run("--model", MODEL, *few, *options, *typed)
    assert code == 0, err
    # Defaults that were not typed may differ from what the other model was trained with.
    folders = options[: options.index("--preset")]
    code, _, err = run("--model", MODEL, *few, *folders, "--device", "cpu")
    assert code == 0, err
    assert Settings.model_fields["epochs"].default != 1
    assert f"{MODEL} is not trained: " in err
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
