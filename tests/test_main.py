"""The command line from end to end: what works, and how a user's mistake is reported."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
from benchmark import checkpoints, registry
from benchmark.color import rgb_from_8bit, rgb_to_lightness
from benchmark.data import sources
from benchmark.jobs import run as jobs
from tests.support import SMALL_RUN, RunCommand

ROOT = Path(main.__file__).resolve().parent


def test_help_is_fast_and_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['main.py', '--help']\n"
        "import main\n"
        "try: main.main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules), 'slow imports'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "main.py", "--help"], cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, which other programs change less than wall-clock time.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_list_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['main.py', 'list']\n"
        "import main\n"
        "try: main.main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        entry.name for entry in registry.entries()
    ]


def test_list_shows_the_settings_of_every_model(run: RunCommand) -> None:
    for entry in registry.entries():
        code, text, _ = run("list", entry.name)
        assert code == 0
        names = {line.split()[0] for line in text.splitlines() if line}
        assert {"epochs", "size", "color_space"} <= names
        assert "presets: quick, small, small-pretrained, standard, large" in text
        assert "tiny" not in text.replace("tiny-imagenet", "")


def test_train_test_list_leaderboard_and_colorize(
    run: RunCommand, options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("--model", "unetddim", "--mode", "train", *options, "--batch_size", "4")[0] == 0
    written = json.loads((out / "unetddim/seed-8000/settings.json").read_text())
    assert written["settings"]["batch_size"] == 4
    assert written["sources"]["batch_size"] == "typed"

    few = ["--mode", "test", "--steps", "3"]
    code, table, err = run("--model", "unetddim", *few, "--frames", "--num-images", "1", *options)
    assert code == 0, err
    assert "unetddim" in table
    assert "LPIPS (alex) is empty" in table  # followed by the reason
    (test,) = (out / "unetddim/seed-8000/tests").iterdir()
    record = json.loads((test / "run.json").read_text())
    assert record["sampling"]["steps"] == 3
    assert record["n_scored"] == record["n_expected"] == len(list((test / "images").iterdir()))
    assert (test / "figure.png").exists()
    strip, animation = sorted((test / "frames").iterdir())
    assert (strip.suffix, animation.suffix) == (".png", ".webp")
    assert f"{test / 'frames'}: {strip.name}, {animation.name}" in err.splitlines()[-1]
    lines = (test / "per_image.csv").read_text().splitlines()
    assert len(lines) == 1 + record["n_scored"]

    again = ["--model", "unetddim", "--mode", "train", *options, "--batch-size", "4"]
    assert "already trained" in run(*again)[2]
    assert "already tested" in run("--model", "unetddim", *few, *options)[2]
    before = (out / "leaderboard.md").read_text()
    (out / "leaderboard.md").unlink()
    assert run("leaderboard", "--results", str(out))[0] == 0
    assert (out / "leaderboard.md").read_text() == before
    assert "trained" in run("list", "--results", str(out))[1]

    photo = tmp_path / "photo.jpg"
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 8, 3), np.uint8))
    wide.resize((160, 100), Image.Resampling.BICUBIC).save(photo, quality=95)
    colored = tmp_path / "colored.png"
    arguments = ["--model", "unetddim", "--out", str(colored), "--results", str(out)]
    arguments += ["--steps", "2", "--eta", "0", "--frames"]
    code, printed, err = run("colorize", str(photo), *arguments)
    assert code == 0, err
    assert printed.strip() == str(colored)
    for frames in (tmp_path / "colored-frames.png", tmp_path / "colored-frames.webp"):
        assert str(frames) in err
        assert frames.is_file()
    lightness = [lightness_of(path) for path in (photo, colored)]
    assert lightness[0].shape == lightness[1].shape
    assert np.abs(lightness[0] - lightness[1]).max() < 0.5


def lightness_of(path: Path) -> np.ndarray:
    """Return the L* of an image file, (H, W)."""
    import torch

    with Image.open(path) as image:
        rgb8 = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None]
    return rgb_to_lightness(rgb_from_8bit(rgb8))[0, 0].numpy()


MISTAKES = [
    (["--model", "unte", "--mode", "train"], "did you mean 'unet'?"),
    (["--mode", "train"], "Name a model with --model"),
    (["--model", "unet", "--mode", "train", "--dataset", "nowhere"], "nowhere does not exist"),
    (["--model", "unet", "--mode", "train", "--epochs", "0"], "epochs"),
    (["--model", "unet", "--mode", "train", "--learning_rate", "-1"], "learning_rate"),
    (["--model", "unet", "--mode", "train", "--size", "3"], "size"),
    (["--model", "unet", "--mode", "train", "--steps", "20"], "unet has no setting 'steps'"),
    (["--model", "unet", "--mode", "train", "--set", "width=8"], "did you mean 'widths'?"),
    (["--model", "unet", "--mode", "train", "--set", "widths=9"], "multiple of 8"),
    (["--model", "unet", "--mode", "train", "--set", "widths"], "key=value"),
    (["--model", "unetddpm", "--mode", "train", "--set", "prediction=epsilon"], "zero_terminal"),
    (["--model", "unet", "--mode", "train", "--preset", "huge"], "Preset 'huge'"),
    (["--model", "unet", "--mode", "train", "--device", "tpu"], "--device tpu"),
    (["--model", "unet", "--mode", "test"], "train first"),
    (["--model", "unet", "--mode", "walk"], "walk"),
    (["--model", "all", "--run", "x"], "--run"),
    (["colorize", "none.jpg", "--model", "unet"], "none.jpg"),
    (["list", "unett"], "did you mean 'unet'?"),
    (["leaderboard"], "There is no folder"),
    (["--model", "unetddim", "--steps", "0"], "steps"),  # refused before the training
    (["--model", "unetddpm", "--eta", "0"], "eta belongs to the sampler ddim"),
    (["--model", "unetddim", "--sampler", "heun"], "sampler"),
    (
        ["--model", "unetddim", "--set", "condition_dropout=0", "--guidance", "2"],
        "condition_dropout=0.1",
    ),
    (["--model", "unet", "--frames"], "unet colors in one go and has no steps to show"),
    (["--model", "unet", "--lpips_weights", "none.pth"], "none.pth"),
    (["--model", "unet", "--mode", "train", "--learning_rate", "inf"], "learning_rate"),
    (["--model", "unet", "--mode", "train", "--set", "seed=x"], "seed"),
    (["--model", "unet", "--mode", "train", "--run", "../x"], "--run '../x'"),
    (["--seed", "3", "leaderboard"], "Write --seed after leaderboard"),
]


@pytest.mark.parametrize("device", ["cpu", "nowhere"])
def test_several_processes_color_what_one_colors(
    run: RunCommand,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
) -> None:
    """Batches are shared among the devices; those of a process that fails are colored here."""
    few = ["--model", "unetddim", "--steps", "2", *options, "--batch_size", "1"]
    assert run(*few)[0] == 0
    (test,) = (tmp_path / "out/unetddim/seed-8000/tests").iterdir()
    alone = (test / "per_image.csv").read_bytes()
    count = len(list((test / "images").iterdir()))
    assert count > 1
    monkeypatch.setattr("benchmark.jobs.test.other_devices", lambda _: (device,))
    code, _, err = run(*few, "--mode", "test", "--overwrite")
    assert code == 0, err
    assert (test / "per_image.csv").read_bytes() == alone
    colored_here = json.loads((test / "colorized.json").read_text())["images"]
    assert colored_here == (count if device == "nowhere" else (count + 1) // 2)
    assert ("its images are colored here" in err) == (device == "nowhere")


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES, ids=lambda value: " ".join(value)[:40])
def test_a_mistake_is_reported_in_one_sentence_without_a_traceback(
    run: RunCommand, images_folder: Path, tmp_path: Path, mistake: list[str], sentence: str
) -> None:
    options = ["--results", str(tmp_path / "out")]
    if mistake[0] == "--model" and "--dataset" not in mistake:
        options += ["--dataset", str(images_folder)]
    code, out, err = run(*mistake, *options)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
    assert out == ""
    assert not list((tmp_path / "out").glob("*/seed-*"))


def test_a_run_of_submitted_images_can_be_neither_trained_nor_tested(
    run: RunCommand, options: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "out/theirs/seed-8000"
    folder.mkdir(parents=True)
    (folder / "submission.json").write_text("{}")
    for mode in ("train", "test"):
        code, _, err = run("--model", "unet", "--mode", mode, "--run", "theirs", *options)
        assert code == 2
        assert f"{folder} holds images of another program" in err
        assert "--run" in err


def test_testing_all_models_skips_training_settings(
    run: RunCommand, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    only_unet = [entry for entry in registry.entries() if entry.name == "unet"]
    monkeypatch.setattr(registry, "entries", lambda: only_unet)
    assert run("--model", "all", "--mode", "train", *options)[0] == 0
    code, _, err = run(
        "--model", "all", "--mode", "test", *options, "--epochs", "9", "--steps", "2"
    )
    assert code == 0, err
    assert "unet: epochs is a setting of the training: skipped." in err
    assert "unet has no steps: skipped." in err


def test_other_settings_do_not_resume_a_run(run: RunCommand, options: list[str]) -> None:
    assert run("--model", "unet", "--mode", "train", *options)[0] == 0
    code, _, err = run("--model", "unet", "--mode", "train", *options, "--batch_size", "4")
    assert code == 2
    assert "begun with batch_size 8 instead of 4" in err
    assert "--run" in err
    other = [*options, "--batch_size", "4", "--overwrite"]
    assert run("--model", "unet", "--mode", "train", *other)[0] == 0


def test_a_full_disk_leaves_no_partial_weights(
    run: RunCommand, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        if Path(target).suffix == ".safetensors" and "weights" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        Path(source).rename(target)

    monkeypatch.setattr(os, "replace", full)
    code, _, err = run("--model", "unet", "--mode", "train", *options)
    assert code == 2
    assert "No space left on device" in err
    assert "Traceback" not in err
    assert not list((tmp_path / "out/unet/seed-8000/weights").iterdir())


def test_other_models_are_run_after_one_fails(
    run: RunCommand, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_recipe = registry.load_recipe

    def broken(name: str) -> object:
        if name == "unet":
            raise RuntimeError("this model is broken")
        return load_recipe(name)

    names = ("unet", "unetddim")
    chosen = [entry for entry in registry.entries() if entry.name in names]
    monkeypatch.setattr(registry, "entries", lambda: chosen)
    monkeypatch.setattr(jobs.registry, "load_recipe", broken)
    code, out, err = run("--model", "all", *options, "--steps", "2")
    assert code == 1
    assert "unet has no steps: skipped" in err
    assert "Failed: unet: RuntimeError: this model is broken" in err
    assert "unetddim" in out
    assert (tmp_path / "out/leaderboard.md").exists()

    monkeypatch.setattr(jobs.registry, "load_recipe", load_recipe)
    trained = []
    save = checkpoints.save_weights
    monkeypatch.setattr(
        "benchmark.training.loop.save_weights",
        lambda path, model, name, epoch: (trained.append(name), save(path, model, name, epoch)),
    )
    code, out, err = run("--model", "all", *options, "--steps", "2", "--frames")
    assert code == 0, err
    assert "unet colors in one go and has no steps to show: --frames is skipped" in err
    assert len(list((tmp_path / "out").glob("unetddim/*/tests/*/frames/*"))) == 2 * 2
    assert set(trained) == {"unet"}  # unetddim was trained before


@pytest.mark.parametrize(
    ("typed", "preset", "suffix"),
    [
        ([], "small-pretrained", "-efficientnet_lite0"),
        (["--encoder", "none"], "small", ""),
        (["--preset", "standard"], "standard", ""),
    ],
)
def test_without_a_gpu_all_models_on_own_images_train_the_preset_of_a_cpu(
    run: RunCommand,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: list[str],
    preset: str,
    suffix: str,
) -> None:
    names = ("unet", "unetddpm", "unetddim")
    chosen = [entry for entry in registry.entries() if entry.name in names]
    monkeypatch.setattr(registry, "entries", lambda: chosen)
    start = options.index("--preset")
    small = [*options[:start], *options[start + 2 :], "--set", "regression_widths=16"]
    code, out, err = run("--model", "all", *small, *typed, "--set", "max_steps=1", "--steps", "2")
    assert code == 0, err
    for model in ("unet", "unetddim"):
        settings = tmp_path / "out" / f"{model}{suffix}" / "seed-8000" / "settings.json"
        assert json.loads(settings.read_text())["preset"] == preset
    assert "unetddpm is not trained" in err

    # A test of one model finds the run without its name, as that is the only one.
    code, out, err = run("--model", "unetddim", "--mode", "test", *small[:4], "--steps", "1")
    assert code == 0, err
    assert "unetddim" + suffix.replace("_", "\\_") in out


def test_an_empty_dataset_folder_selects_the_built_in_sample(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "Dataset"
    empty.mkdir()
    monkeypatch.setattr(sources, "DATASET", empty)
    monkeypatch.setattr(sources, "TEST_IMAGES", tmp_path / "TestImages")
    monkeypatch.setattr(sources.cartoon, "COUNTS", {"train": 16, "val": 4, "test": 4})
    out = ["--results", str(tmp_path / "out"), "--wandb", "disabled", *SMALL_RUN]
    code, _, err = run("--model", "unet", *out)
    assert code == 0, err
    assert "Dataset/ holds no images: the built-in sample, cartoon, is used." in err
