"""The check of a dataset names every file that deserves a look, and changes with each of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from benchmark.data import sources as sources_module
from benchmark.figures.dataset import ab_counts

Run = Callable[..., tuple[int, str, str]]
Make = Callable[..., Image.Image]


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fill_folder: Callable[..., list[Path]]
) -> Path:
    """A dataset in which every file is used."""
    monkeypatch.setattr(sources_module, "TEST_IMAGES", tmp_path / "none")
    for part, seeds in (("Train", range(12)), ("valid", range(20, 24)), ("testing", range(30, 34))):
        fill_folder(tmp_path / "data" / "set" / part, seeds)
    return tmp_path / "data"


def checked(run: Run, folder: Path, *options: str) -> tuple[int, dict, str]:
    """Check a folder; returns the exit code, check.json and what was printed."""
    out = folder.parent / "out"
    results = folder.parent / "Results"
    code, printed, _ = run(
        "data", "check", str(folder), "--size", "32", "--out", str(out), "--results", str(results),
        *options,
    )  # fmt: skip
    return code, json.loads((out / "check.json").read_text("utf-8")), printed


def test_a_folder_of_which_all_is_used_passes(run: Run, folder: Path) -> None:
    code, record, printed = checked(run, folder)
    assert code == 0
    assert (record["files"], record["skipped"]) == (20, 0)
    assert {key: one["used"] for key, one in record["splits"].items()} == {
        "train": 12, "val": 4, "test": 4,
    }  # fmt: skip
    assert record["splits"]["val"]["origin"] == "of set/valid/"
    assert record["sizes"] == {"40×32": 20}
    assert record["width"] == {"least": 40, "median": 40.0, "most": 40}
    assert "training: 12 of 12 files used (of set/Train/)" in printed
    out = folder.parent / "out"
    for name in ("contact_sheet.png", "ab_histogram.png"):
        assert min(Image.open(out / name).size) > 100


def test_what_deserves_a_look_is_named(run: Run, folder: Path, make_image: Make) -> None:
    train, test = folder / "set" / "Train", folder / "set" / "testing"
    whole = make_image(50, 160, 160)
    whole.save(train / "whole.jpg")
    content = (train / "whole.jpg").read_bytes()
    (train / "cut.jpg").write_bytes(content[: len(content) * 3 // 4])
    (train / "text.png").write_text("no image")
    (train / "raw.cr2").write_bytes(b"raw")
    whole.convert("L").save(train / "gray.png")
    Image.blend(whole, whole.convert("L").convert("RGB"), 0.94).save(train / "dull.png")
    shutil.copy(train / "image_003.png", train / "same.png")
    make_image(4, 40, 32).resize((90, 72)).save(train / "resized.jpg", quality=70)
    make_image(30, 40, 32).save(train / "leak.bmp")
    make_image(31, 40, 32).resize((90, 72)).save(train / "near_leak.jpg", quality=70)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    make_image(51).save(test / "profile.png", icc_profile=profile)
    code, record, _ = checked(run, folder)
    assert code == 1
    keys = ("unreadable", "truncated", "passed_over", "grayscale", "near_gray")
    names = {key: {Path(name).name for name in record[key]} for key in keys}
    assert names == {
        "unreadable": {"cut.jpg", "text.png"},
        "truncated": {"cut.jpg"},
        "passed_over": {"raw.cr2"},
        "grayscale": {"gray.png"},
        "near_gray": {"dull.png"},
    }

    def pairs(key: str) -> set[tuple[str, str]]:
        return {(Path(one["name"]).name, Path(one["other"]).name) for one in record[key]}

    assert pairs("in_training_and_test") == {
        ("leak.bmp", "image_030.png"), ("near_leak.jpg", "image_031.png"),
    }  # fmt: skip
    assert pairs("copies") == {("same.png", "image_003.png"), ("image_030.png", "leak.bmp")}
    assert {("resized.jpg", "image_004.png"), ("image_031.png", "near_leak.jpg")} <= pairs(
        "look_alikes"
    )
    assert len(record["profiles"]) == 1
    assert record["splits"]["train"]["files"] == 21
    # Without the two that cannot be decoded, the gray one, and those that leak into the test.
    assert record["splits"]["train"]["used"] == 21 - 5
    assert record["skipped"] == 6  # and raw.cr2
    code, record, _ = checked(run, folder, "--truncated", "keep")
    assert record["truncated"] == []
    assert [Path(name).name for name in record["noted"]] == ["cut.jpg"]


def test_too_few_images_are_reported_with_what_is_there(
    run: Run, tmp_path: Path, folder: Path, make_image: Make
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for seed in range(2):
        make_image(seed).save(few / f"{seed}.png")
    code, record, _ = checked(run, few)
    assert (code, record["files"]) == (1, 2)
    make_image(2).save(few / "2.png")
    code, record, _ = checked(run, few)
    assert (code, [one["used"] for one in record["splits"].values()]) == (0, [1, 1, 1])


def test_every_pixel_is_in_one_bin_of_the_histogram() -> None:
    ab = np.random.default_rng(0).uniform(-109, 109, (2, 1000)).astype(np.float32)
    counts = ab_counts(ab)
    assert counts.sum() == 1000
    assert counts[int((ab[0, 0] + 110) // 2), int((ab[1, 0] + 110) // 2)] >= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data",), "data is no command; those of data are data check, "),
        (("data", "chek"), "data chek is no command"),
        (("data", "check", "nowhere"), "the folder nowhere does not exist"),
    ],
)
def test_a_mistake_is_one_sentence(run: Run, words: tuple[str, ...], said: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
