"""`data to-npz` and its files as datasets, from the command line to a verified test."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support import SMALL_RUN, RunCommand


@pytest.fixture
def photos(tmp_path: Path, fill_folder: Callable[..., list[Path]]) -> Path:
    fill_folder(tmp_path / "photos/cats", range(8))
    fill_folder(tmp_path / "photos/dogs", range(8, 24))
    return tmp_path / "photos"


def test_files_of_arrays_are_trained_and_tested_on_and_found_again(
    run: RunCommand, photos: Path, tmp_path: Path
) -> None:
    code, printed, err = run(
        "data",
        "to-npz",
        str(photos),
        str(tmp_path / "npz"),
        "--size",
        "36",
        "--normalize",
        "11",
        "--seed",
        f"{10**30}",
    )
    assert code == 0, err
    train, test = tmp_path / "npz/train.npz", tmp_path / "npz/test.npz"
    assert printed.splitlines() == [str(train), str(test), str(tmp_path / "npz/metadata.json")]
    assert "19 images in train.npz and 5 images in test.npz, 36×36, float32, categories: 2" in err

    out = tmp_path / "out"
    small = [*SMALL_RUN, "--device", "cpu", "--wandb", "disabled", "--results", str(out)]
    named = ["--dataset", str(train), "--test_images", str(test)]
    code, table, err = run("--model", "unet", *named, *small)
    assert code == 0, err
    assert "unet" in table
    said = "19 images of 36×36 in rgb, float32 from -1 to 1, read as -1 to 1, as metadata.json says"
    assert err.count(said) == 1
    settings = json.loads((out / "unet/seed-8000/settings.json").read_text())
    assert settings["images"] == {"dataset": str(train), "test_images": str(test)}
    record = json.loads(next(out.glob("unet/seed-8000/**/run.json")).read_text())
    assert record["protocol"]["name"] == "train-32"
    assert record["protocol"]["n_images"] == 5

    # A training that goes on, a test and its verification find the files, also without the cache.
    shutil.rmtree(out / ".cache")
    longer = [*small, "--dataset", str(train), "--test_images", str(test), "--mode", "train"]
    assert run("--model", "unet", *longer)[0] == 0
    code, _, err = run("--model", "unet", "--mode", "test", *small[-2:], "--overwrite")
    assert code == 0, err
    shutil.rmtree(out / ".cache")
    code, _, err = run("verify", "unet", "--results", str(out))
    assert code == 0, err
    test.unlink()
    code, printed, _ = run("verify", "unet", "--results", str(out))
    assert code == 2
    assert f"--test_images: the file {test} does not exist; check the path." in printed


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--test_size", "1"], "--test_size 1: name a share between 0 and 1"),
        (["--test_size", "nan"], "--test_size nan: name a share between 0 and 1"),
        (["--test_size", "0.01"], "and both need at least one"),
        (["--size", "8"], "'--size': Input should be greater than or equal to 16"),
        (["--normalize", "02"], "'02' is not one of 'none', '01', '11'"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_nothing_is_written(
    run: RunCommand, photos: Path, tmp_path: Path, more: list[str], reason: str
) -> None:
    code, printed, err = run("data", "to-npz", str(photos), str(tmp_path / "npz"), *more)
    assert (code, printed) == (2, "")
    assert reason in err
    assert "Traceback" not in err
    assert not [*(tmp_path / "npz").glob("*")]


def test_a_wrong_folder_or_file_is_one_sentence(
    run: RunCommand, photos: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "gray.npz", rgb=np.zeros((4, 32, 32), np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    out = str(tmp_path / "npz")
    for arguments, reason in (
        (["data", "to-npz", "none", out], "DIR: the folder none does not exist"),
        (["data", "to-npz", str(tmp_path / "empty"), out], "holds no image that is read"),
        (["data", "to-npz", "gray.npz", out], "DIR: gray.npz is a file; name a folder of images."),
        (["data", "to-npz", str(photos), str(tmp_path / "notes.txt")], "is not a folder"),
        (["--model", "unet", "--dataset", "none.npz"], "--dataset: the file none.npz does not"),
        (["--model", "unet", "--dataset", str(tmp_path / "notes.txt")], "is no folder and no .npz"),
        (
            ["--model", "unet", "--dataset", str(photos), "--test_images", "gray.npz"],
            "--test_images: gray.npz cannot be used: its array rgb has shape (4, 32, 32)",
        ),
    ):
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(tmp_path)
            code, printed, err = run(*arguments)
        assert (code, printed) == (2, "")
        assert reason in err
        assert "Traceback" not in err
