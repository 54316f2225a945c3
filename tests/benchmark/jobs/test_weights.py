"""Which weights a test reads: those of its run, of a file, or of the model `weights_of` names."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import registry
from tests.support import RunCommand

BORROWERS = {
    entry.name: other
    for entry in registry.entries()
    if (other := registry.load_model(entry.name).weights_of) is not None
}
"""Model → the model whose weights it reads where it has none of its own."""


def test_missing_weights_and_weights_of_another_model_are_refused(
    run: RunCommand, options: list[str]
) -> None:
    assert run("--model", "unet", "--mode", "train", *options)[0] == 0
    assert run("--model", "unetddim", "--mode", "train", *options)[0] == 0
    code, _, err = run("--model", "unet", "--mode", "test", "--weights", "7", *options)
    assert code == 2
    assert "best, last" in err
    other = Path(options[3]) / "unetddim/seed-8000/weights/best.safetensors"
    code, _, err = run("--model", "unet", "--mode", "test", "--weights", str(other), *options)
    assert code == 2
    assert "weights of unetddim" in err
    code, _, err = run("--model", "unet", "--mode", "test", *options, "--epochs", "9")
    assert code == 2
    assert "was trained with 1" in err
    settings = Path(options[3]) / "unet/seed-8000/settings.json"
    record = json.loads(settings.read_text())
    for name, typed in (("epochs", ["--epochs", "1"]), ("widths", [])):  # SMALL_RUN types widths
        del record["settings"][name]
        settings.write_text(json.dumps(record))
        code, _, err = run("--model", "unet", "--mode", "test", *options, *typed)
        assert code == 2
        assert f"{settings} does not say with which value it was trained: leave it out" in err


def test_the_only_run_of_a_model_is_found_and_of_several_all_are_named(
    run: RunCommand, options: list[str]
) -> None:
    results = Path(options[3])
    test = ["--model", "unet", "--mode", "test", *options]
    assert "has no weights: train first" in run(*test)[2]

    mine = ["--run", "mine", "--seed", "3"]
    assert run("--model", "unet", "--mode", "train", *options, *mine)[0] == 0
    (results / "damaged/seed-1/weights").mkdir(parents=True)
    (results / "damaged/seed-1/weights/best.safetensors").touch()
    (results / "damaged/seed-1/settings.json").write_text("{")
    for more, named in ([], "--run mine --seed 3"), (["--run", "mine"], "--seed 3"):
        code, _, err = run(*test, *more)
        assert code == 2
        assert f"has no weights; name one of unet with {named}." in err
    code, _, err = run(*test, "--seed", "3")
    assert code == 0
    assert f"those of {results / 'mine/seed-3'} are read" in err
    assert list((results / "mine/seed-3/tests").iterdir())

    shutil.copytree(results / "mine", results / "yours")
    code, _, err = run(*test, "--seed", "3")
    assert code == 2
    assert "name one of unet with --run mine, --run yours." in err
    assert "has no weights: train first" in run("--model", "resnet", "--mode", "test", *options)[2]


def test_a_model_without_weights_reads_those_of_another(
    run: RunCommand, options: list[str], tmp_path: Path
) -> None:
    """It is trained only if it is named with --mode train, and messages report what is read."""
    assert BORROWERS
    for model, other in BORROWERS.items():
        out = tmp_path / model
        here = [*options, "--results", str(out)]
        assert run("--model", other, "--mode", "train", *here)[0] == 0
        code, table, err = run("--model", model, *here)
        assert code == 0, err
        path = out / other / "seed-8000"
        assert f"{model} is not trained: it differs from {other} only in its sampler" in err
        assert f"Train it with --model {model} --mode train." in err
        assert f"{model} has no weights of its own and reads those of {path}." in err
        assert f"weights of {other}" in table
        assert not (out / model / "seed-8000/weights").exists()
        assert not list(out.glob(f"{other}/seed-8000/tests/*"))
        (test,) = (out / model / "seed-8000/tests").iterdir()
        assert test.name.endswith(f"weights-of-{other}")
        before = (test / "run.json").read_bytes()
        record = json.loads(before)
        assert (record["model"], record["run"]) == (model, model)
        weights = record["weights"]
        assert (weights["trained_as"], weights["run"]) == (other, other)
        assert weights["file"] == "weights/best.safetensors"
        assert record["sampling"]["steps"] == 50  # the preset's default for this model
        code, text, err = run("verify", model, "--results", str(out))
        assert (code, f"{test}: true" in text) == (0, True), text + err

        # With --mode train it is trained, and the tests of both weights are two rows.
        code, _, err = run("--model", model, "--mode", "train", *here)
        assert code == 0, err
        assert "is not trained" not in err
        own = out / model / "seed-8000/weights/best.safetensors"
        assert own.exists()
        code, _, err = run("--model", model, "--steps", "2", *here)
        assert code == 0, err
        assert "is already trained" in err  # a run with weights of its own keeps using them
        assert len(list((out / model / "seed-8000/tests").iterdir())) == 2
        assert (test / "run.json").read_bytes() == before
        code, _, err = run("--model", other, "--mode", "test", "--weights", str(own), *here)
        assert code == 2
        assert f"{own} holds weights of {model}, not of {other}." in err


def test_only_a_finished_training_on_the_same_images_is_used_instead_of_a_new_one(
    run: RunCommand, options: list[str], tmp_path: Path, fill_folder: Callable[..., list[Path]]
) -> None:
    model, other = next(iter(BORROWERS.items()))
    out, few = tmp_path / "out", ["--steps", "2"]
    assert run("--model", other, "--mode", "train", "--run", "foo", "--seed", "1", *options)[0] == 0
    assert run("--model", other, "--mode", "train", *options)[0] == 0
    finished = (out / other / "seed-8000/cost.json").rename(tmp_path / "cost.json")
    code, _, err = run("--model", model, *few, *options)
    assert code == 0, err
    assert "is not trained" not in err

    # Its own weights and those of another model, given as a file, are two rows.
    (own,) = out.glob(f"{model}/seed-8000/tests/*/run.json")
    before = own.read_bytes()
    file = out / "foo/seed-1/weights/best.safetensors"
    code, _, err = run("--model", model, "--mode", "test", *few, "--weights", str(file), *options)
    assert code == 0, err
    assert own.read_bytes() == before
    (borrowed,) = out.glob(f"{model}/seed-1/tests/*-weights-of-{other}/run.json")
    record = json.loads(borrowed.read_text())
    assert (record["seed"], record["run"], record["weights"]["run"]) == (1, model, "foo")
    code, _, err = run("--model", model, "--mode", "test", *few, "--run", "bar", *options)
    assert code == 0, err
    assert list(out.glob(f"bar/seed-8000/tests/*-weights-of-{other}/run.json"))

    finished.rename(out / other / "seed-8000/cost.json")
    shutil.rmtree(out / model)
    fill_folder(tmp_path / "images", range(50, 53))
    code, _, err = run("--model", model, *few, *options)
    assert code == 0, err
    assert "is not trained" not in err


def test_overwriting_all_models_trains_shared_weights_once(
    run: RunCommand, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = next(iter(BORROWERS.items()))
    chosen = [entry for entry in registry.entries() if entry.name in pair]
    monkeypatch.setattr(registry, "entries", lambda: chosen)
    for _ in range(2):
        code, _, err = run("--model", "all", "--overwrite", "--steps", "2", *options)
        assert code == 0, err
        assert err.count(" trains on ") == 1
        assert err.count(" is not trained") == 1
