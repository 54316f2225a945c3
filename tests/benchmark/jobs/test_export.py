"""Exported weights color and test anywhere, without the folder of the run that made them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

from benchmark.checkpoints import HEADER, read_header
from benchmark.results.portable import UNKNOWN_LICENSE
from tests.export_support import export_tiny
from tests.support import RunCommand


@pytest.fixture
def exported(
    run: RunCommand,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_image: Callable[..., Image.Image],
) -> Path:
    """The file mine.safetensors of a trained and tested unet, in the working folder."""
    monkeypatch.chdir(tmp_path)
    make_image(90, 50, 40).save("photo.png")
    assert run("--model", "unet", *options)[0] == 0
    results = ["--results", str(tmp_path / "out")]
    code, out, err = run("export", "unet", "--out", "mine.safetensors", *results)
    assert (code, out) == (0, "mine.safetensors\n"), err
    return tmp_path / "mine.safetensors"


def test_an_exported_file_colors_and_is_tested_without_the_run(
    run: RunCommand, exported: Path, options: list[str], tmp_path: Path
) -> None:
    about = read_header(exported).portable
    assert about is not None
    weights = tmp_path / "out/unet/seed-8000/weights/best.safetensors"
    record = json.loads(next((tmp_path / "out/unet").rglob("run.json")).read_text())
    assert about.source_sha256 == record["weights"]["sha256"]
    assert [test.metrics["ssim"].mean for test in about.tests] == [
        record["metrics"]["ssim"]["mean"]
    ]
    assert about.training.training_data.model_dump() == record["training_data"]
    assert about.license == UNKNOWN_LICENSE
    with safe_open(exported, "pt") as file:
        text = file.metadata()[HEADER]
    assert str(tmp_path) not in text, "no folder of the machine is in the file"
    assert "image_0" not in text

    colorize = ["colorize", "photo.png", "--device", "cpu", "--results"]
    assert run(*colorize, str(tmp_path / "out"), "--model", "unet", "--out", "a.png")[0] == 0
    weights.unlink()
    shutil.move(tmp_path / "out", tmp_path / "gone")
    code, out, err = run(*colorize, "none", "--weights", "mine.safetensors", "--out", "b.png")
    assert (code, out) == (0, "b.png\n"), err
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert not Path("none").exists()

    test = ["--model", "unet", "--mode", "test", "--dataset", options[1], "--device", "cpu"]
    test += ["--results", "else"]
    code, _, err = run(*test, "--weights", "mine.safetensors")
    assert code == 0, err
    assert "does not say which images the model was trained on" in err
    again = json.loads(next(Path("else/mine").rglob("run.json")).read_text())
    assert again["metrics"]["ssim"]["mean"] == pytest.approx(record["metrics"]["ssim"]["mean"])
    assert (again["weights"]["run"], again["cost"]) == (None, record["cost"])
    assert "mine (unet), weights mine" in Path("else/leaderboard.md").read_text()
    folder = next(Path("else/mine").rglob("run.json")).parent
    code, out, err = run("verify", str(folder), "--dataset", options[1], "--results", "else")
    assert code == 0, out + err
    shutil.copytree("gone/unet", "else/taken")
    code, _, err = run(*test, "--weights", "mine.safetensors", "--run", "taken")
    assert code == 2
    assert "holds another training: name a run" in err


def test_what_cannot_be_exported_is_refused_in_one_sentence(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exported = export_tiny(tmp_path / "mine.safetensors")
    for arguments, reason in (
        (["unet", "--out", str(exported)], "exists: name another file with --out"),
        (["unet", "--out", "mine.pth"], "name a file that ends in .safetensors"),
        (["unet", "--out", "b.safetensors", "--results", "none"], "train first"),
        (["unet", "--out", "b.safetensors", "--weights", "c.pth"], "no file of weights c.pth"),
        (["unit", "--out", "b.safetensors"], "did you mean 'unet'?"),
    ):
        code, out, err = run("export", *arguments)
        assert (code, out) == (2, "")
        assert reason in err
        assert err.count("\n") == 1
    code, _, err = run("colorize", "photo.png")
    assert code == 2
    assert "--model is needed" in err
