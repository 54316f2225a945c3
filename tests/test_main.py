"""The command line, as a user meets it: what works, and what a mistake looks like."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
from benchmark import checkpoints, registry
from benchmark.color import rgb_from_8bit, rgb_to_lightness
from benchmark.data import loading
from benchmark.jobs import run as jobs

ROOT = Path(main.__file__).resolve().parent
Run = Callable[..., tuple[int, str, str]]
SMALL = ["--preset", "quick", "--epochs", "1", "--batch_size", "8", "--size", "32"]
SMALL += ["--set", "widths=16,32"]
READERS = {
    entry.name: other
    for entry in registry.entries()
    if (other := registry.load_model(entry.name).weights_of) is not None
}
"""Each model that reads the weights of another, and that other."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """run("--model", "unet", …) → (exit code, stdout, stderr); without LPIPS and its download."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENETUNREACH, "no network in this test")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("CHROMABENCH_LPIPS", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["main.py", *words])
        capfd.readouterr()
        try:
            main.main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        said = capfd.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def words(images_folder: Path, tmp_path: Path) -> list[str]:
    """Options of a small run: 24 images, an epoch, a small network, results in a fresh folder."""
    folders = ["--dataset", str(images_folder), "--results", str(tmp_path / "out")]
    return [*folders, *SMALL, "--device", "cpu", "--wandb", "disabled"]


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
    # Time on the processor, since other programs may be busy too.
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


def test_list_shows_the_settings_of_every_model(run: Run) -> None:
    for entry in registry.entries():
        code, text, _ = run("list", entry.name)
        assert code == 0
        names = {line.split()[0] for line in text.splitlines() if line}
        assert {"epochs", "size", "color_space", "widths"} <= names
        assert "presets: quick, standard, large" in text
        assert "tiny" not in text.replace("tiny-imagenet", "")


def test_train_test_list_leaderboard_and_colorize(
    run: Run, words: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("--model", "unetddim", "--mode", "train", *words, "--batch_size", "4")[0] == 0
    begun = json.loads((out / "unetddim/seed-8000/settings.json").read_text())
    assert begun["settings"]["batch_size"] == 4
    assert begun["sources"]["batch_size"] == "typed"

    few = ["--mode", "test", "--steps", "3"]
    code, table, err = run("--model", "unetddim", *few, "--frames", "--num-images", "1", *words)
    assert code == 0, err
    assert "unetddim" in table
    assert "LPIPS (alex) is empty" in table  # and why
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

    again = ["--model", "unetddim", "--mode", "train", *words, "--batch-size", "4"]
    assert "already trained" in run(*again)[2]
    assert "already tested" in run("--model", "unetddim", *few, *words)[2]
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
    for beside in (tmp_path / "colored-frames.png", tmp_path / "colored-frames.webp"):
        assert str(beside) in err
        assert beside.is_file()
    lightness = [lightness_of(path) for path in (photo, colored)]
    assert lightness[0].shape == lightness[1].shape
    assert np.abs(lightness[0] - lightness[1]).max() < 0.5


def lightness_of(path: Path) -> np.ndarray:
    """L* of an image file, (H, W)."""
    import torch

    with Image.open(path) as image:
        rgb8 = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None]
    return rgb_to_lightness(rgb_from_8bit(rgb8))[0, 0].numpy()


MISTAKES = [
    (["--model", "unte", "--mode", "train"], "did you mean 'unet'"),
    (["--mode", "train"], "Name a model with --model"),
    (["--model", "unet", "--mode", "train", "--dataset", "nowhere"], "nowhere does not exist"),
    (["--model", "unet", "--mode", "train", "--epochs", "0"], "epochs"),
    (["--model", "unet", "--mode", "train", "--learning_rate", "-1"], "learning_rate"),
    (["--model", "unet", "--mode", "train", "--size", "3"], "size"),
    (["--model", "unet", "--mode", "train", "--steps", "20"], "unet has no setting 'steps'"),
    (["--model", "unet", "--mode", "train", "--set", "width=8"], "did you mean 'widths'"),
    (["--model", "unet", "--mode", "train", "--set", "widths=9"], "multiple of 8"),
    (["--model", "unet", "--mode", "train", "--set", "widths"], "key=value"),
    (["--model", "unetddpm", "--mode", "train", "--set", "prediction=epsilon"], "zero_terminal"),
    (["--model", "unet", "--mode", "train", "--preset", "huge"], "Preset 'huge'"),
    (["--model", "unet", "--mode", "train", "--device", "tpu"], "--device tpu"),
    (["--model", "unet", "--mode", "test"], "train first"),
    (["--model", "unet", "--mode", "walk"], "walk"),
    (["--model", "all", "--run", "x"], "--run"),
    (["colorize", "none.jpg", "--model", "unet"], "none.jpg"),
    (["list", "unett"], "did you mean 'unet'"),
    (["leaderboard"], "There is no folder"),
    (["--model", "unetddim", "--steps", "0"], "steps"),  # and not only after the training
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


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES, ids=lambda value: " ".join(value)[:40])
def test_a_mistake_is_one_sentence(
    run: Run, images_folder: Path, tmp_path: Path, mistake: list[str], sentence: str
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


def test_weights_that_are_not_there_and_of_another_model(run: Run, words: list[str]) -> None:
    assert run("--model", "unet", "--mode", "train", *words)[0] == 0
    assert run("--model", "unetddim", "--mode", "train", *words)[0] == 0
    code, _, err = run("--model", "unet", "--mode", "test", "--weights", "7", *words)
    assert code == 2
    assert "best, last" in err
    other = Path(words[3]) / "unetddim/seed-8000/weights/best.safetensors"
    code, _, err = run("--model", "unet", "--mode", "test", "--weights", str(other), *words)
    assert code == 2
    assert "weights of unetddim" in err
    code, _, err = run("--model", "unet", "--mode", "test", *words, "--epochs", "9")
    assert code == 2
    assert "was trained with 1" in err


def test_a_model_reads_the_weights_of_another(run: Run, words: list[str], tmp_path: Path) -> None:
    """It is not trained unless it is asked for by name, and both say so."""
    assert READERS
    for model, other in READERS.items():
        out = tmp_path / model
        here = [*words, "--results", str(out)]
        assert run("--model", other, "--mode", "train", *here)[0] == 0
        code, table, err = run("--model", model, *here)
        assert code == 0, err
        path = out / other / "seed-8000"
        assert f"{model} is not trained: it reads the weights of {path}, which" in err
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
        assert record["sampling"]["steps"] == 100  # what the preset chooses for this model
        code, text, err = run("verify", model, "--results", str(out))
        assert (code, f"{test}: true" in text) == (0, True), text + err

        # Asked for by name it is trained, and the tests of both weights are two rows.
        code, _, err = run("--model", model, "--mode", "train", *here)
        assert code == 0, err
        assert "is not trained" not in err
        own = out / model / "seed-8000/weights/best.safetensors"
        assert own.exists()
        code, _, err = run("--model", model, "--steps", "2", *here)
        assert code == 0, err
        assert "is already trained" in err  # a run that was begun goes on
        assert len(list((out / model / "seed-8000/tests").iterdir())) == 2
        assert (test / "run.json").read_bytes() == before
        code, _, err = run("--model", other, "--mode", "test", "--weights", str(own), *here)
        assert code == 2
        assert f"{own} holds weights of {model}, not of {other}." in err


def test_only_a_finished_training_on_the_same_images_serves_another_model(
    run: Run, words: list[str], tmp_path: Path, fill_folder: Callable[..., list[Path]]
) -> None:
    model, other = next(iter(READERS.items()))
    out, few = tmp_path / "out", ["--steps", "2"]
    assert run("--model", other, "--mode", "train", "--run", "foo", "--seed", "1", *words)[0] == 0
    assert run("--model", other, "--mode", "train", *words)[0] == 0
    finished = (out / other / "seed-8000/cost.json").rename(tmp_path / "cost.json")
    code, _, err = run("--model", model, *few, *words)
    assert code == 0, err
    assert "is not trained" not in err

    # Its own weights and another model's, named by their file, are two rows.
    (own,) = out.glob(f"{model}/seed-8000/tests/*/run.json")
    before = own.read_bytes()
    file = out / "foo/seed-1/weights/best.safetensors"
    code, _, err = run("--model", model, "--mode", "test", *few, "--weights", str(file), *words)
    assert code == 0, err
    assert own.read_bytes() == before
    (borrowed,) = out.glob(f"{model}/seed-1/tests/*-weights-of-{other}/run.json")
    record = json.loads(borrowed.read_text())
    assert (record["seed"], record["run"], record["weights"]["run"]) == (1, model, "foo")
    code, _, err = run("--model", model, "--mode", "test", *few, "--run", "bar", *words)
    assert code == 0, err
    assert list(out.glob(f"bar/seed-8000/tests/*-weights-of-{other}/run.json"))

    finished.rename(out / other / "seed-8000/cost.json")
    shutil.rmtree(out / model)
    fill_folder(tmp_path / "images", range(50, 53))
    code, _, err = run("--model", model, *few, *words)
    assert code == 0, err
    assert "is not trained" not in err


def test_a_batch_that_overwrites_trains_weights_that_two_models_read_once(
    run: Run, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = next(iter(READERS.items()))
    some = [entry for entry in registry.entries() if entry.name in pair]
    monkeypatch.setattr(registry, "entries", lambda: some)
    for _ in range(2):
        code, _, err = run("--model", "all", "--overwrite", "--steps", "2", *words)
        assert code == 0, err
        assert err.count(" trains on ") == 1
        assert err.count(" is not trained") == 1


def test_images_of_another_program_are_no_run_to_train_or_test(
    run: Run, words: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "out/theirs/seed-8000"
    folder.mkdir(parents=True)
    (folder / "submission.json").write_text("{}")
    for mode in ("train", "test"):
        code, _, err = run("--model", "unet", "--mode", mode, "--run", "theirs", *words)
        assert code == 2
        assert f"{folder} holds images of another program" in err
        assert "--run" in err


def test_a_batch_of_tests_skips_the_settings_of_trainings(
    run: Run, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [entry for entry in registry.entries() if entry.name == "unet"]
    monkeypatch.setattr(registry, "entries", lambda: some)
    assert run("--model", "all", "--mode", "train", *words)[0] == 0
    code, _, err = run("--model", "all", "--mode", "test", *words, "--epochs", "9", "--steps", "2")
    assert code == 0, err
    assert "epochs is a setting of trainings: skipped." in err
    assert "unet has no steps: skipped." in err


def test_other_settings_do_not_go_on_with_a_run(run: Run, words: list[str]) -> None:
    assert run("--model", "unet", "--mode", "train", *words)[0] == 0
    code, _, err = run("--model", "unet", "--mode", "train", *words, "--epochs", "2")
    assert code == 2
    assert "begun with epochs 1 instead of 2" in err
    assert "--run" in err
    assert run("--model", "unet", "--mode", "train", *words, "--epochs", "2", "--overwrite")[0] == 0


def test_a_full_disk_leaves_nothing_half_written(
    run: Run, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        if Path(target).suffix == ".safetensors" and "weights" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        Path(source).rename(target)

    monkeypatch.setattr(os, "replace", full)
    code, _, err = run("--model", "unet", "--mode", "train", *words)
    assert code == 2
    assert "No space left on device" in err
    assert "Traceback" not in err
    assert not list((tmp_path / "out/unet/seed-8000/weights").iterdir())


def test_a_batch_goes_on_after_a_model_that_fails(
    run: Run, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = registry.load_recipe

    def broken(name: str) -> object:
        if name == "unet":
            raise RuntimeError("this model is broken")
        return whole(name)

    names = ("unet", "unetddim")
    some = [entry for entry in registry.entries() if entry.name in names]
    monkeypatch.setattr(registry, "entries", lambda: some)
    monkeypatch.setattr(jobs.registry, "load_recipe", broken)
    code, out, err = run("--model", "all", *words, "--steps", "2")
    assert code == 1
    assert "unet has no steps: skipped" in err
    assert "Failed: unet: RuntimeError: this model is broken" in err
    assert "unetddim" in out
    assert (tmp_path / "out/leaderboard.md").exists()

    monkeypatch.setattr(jobs.registry, "load_recipe", whole)
    built = []
    save = checkpoints.save_weights
    monkeypatch.setattr(
        "benchmark.training.loop.save_weights",
        lambda path, model, name, epoch: (built.append(name), save(path, model, name, epoch)),
    )
    code, out, err = run("--model", "all", *words, "--steps", "2", "--frames")
    assert code == 0, err
    assert "unet colors in one go and has no steps to show: --frames is skipped" in err
    assert len(list((tmp_path / "out").glob("unetddim/*/tests/*/frames/*"))) == 2 * 2
    assert set(built) == {"unet"}  # the other one was done


def test_an_empty_dataset_means_the_sample(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "Dataset"
    empty.mkdir()
    monkeypatch.setattr(loading, "DATASET", empty)
    monkeypatch.setattr(loading, "TEST_IMAGES", tmp_path / "TestImages")
    monkeypatch.setattr(loading.cartoon, "COUNTS", {"train": 16, "val": 4, "test": 4})
    out = ["--results", str(tmp_path / "out"), "--wandb", "disabled", *SMALL]
    code, _, err = run("--model", "unet", *out)
    assert code == 0, err
    assert "Dataset/ holds no images: the built-in sample, cartoon, is used." in err


def test_an_outside_program_gets_its_row_and_the_row_is_verified(
    run: Run, tmp_path: Path, make_image: Callable[..., Image.Image]
) -> None:
    """The example as its docstring says, then `verify`, the formats, and wrong options."""
    photos, out = tmp_path / "photos", ["--results", str(tmp_path / "out")]
    for name, seeds in (("test", range(3)), ("train", range(3, 9))):
        folder = photos / name
        folder.mkdir(parents=True)
        for seed in seeds:
            make_image(seed).save(folder / f"{seed}.png")
    gray, colored, truth = tmp_path / "gray", tmp_path / "colored", str(photos / "test")
    code, _, err = run("inputs", str(gray), "--truth", truth, "--size", "32", *out)
    assert code == 0, err
    command = [sys.executable, "examples/welsh.py", str(gray), str(photos / "train"), str(colored)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    words = ["--name", "<script>", "--truth", truth, "--size", "32", *out]
    code, table, err = run("score", str(colored), *words)
    assert code == 0, err
    assert r"| \<script>, submitted " in table
    for format_, sign in (("md", r"| \<script>"), ("tex", "textless{}script"), ("csv", "<script>")):
        code, text, _ = run("leaderboard", "--format", format_, "--sort", "ssim", *out)
        assert code == 0
        assert sign in text
    code, text, err = run("verify", "<script>", *out)
    assert (code, ": true\n" in text) == (0, True), text + err
    image = next((tmp_path / "out/<script>").rglob("images/*.png"))
    shutil.copy(photos / "test/0.png", image)
    code, text, _ = run("verify", "<script>", *out)
    assert code == 1
    assert f"{image.name} is not the image that was scored" in text
    for wrong, said in (
        (("verify", "nobody", *out), "nobody"),
        (("leaderboard", "--sort", "lpisp", *out), "did you mean 'lpips'"),
        (("score", str(tmp_path / "none"), *words), "no folder"),
        (("score", str(colored), *words, "--size", "64"), "--resize"),
        (("score", str(colored), *words, "--truth", str(photos / "no")), "--truth: the folder"),
    ):
        code, _, err = run(*wrong)
        assert code == 2
        assert said in err
        assert "Traceback" not in err
