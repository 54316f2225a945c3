"""The images of another program, from `inputs` to `score` and `verify`."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image

import main
from tests.support import RunCommand

ROOT = Path(main.__file__).resolve().parent


def test_images_of_another_program_get_a_row_that_is_verified(
    run: RunCommand, tmp_path: Path, make_image: Callable[..., Image.Image]
) -> None:
    """Follows the docstring of the example, then tests the formats, `verify` and wrong options."""
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
    options = ["--name", "<script>", "--truth", truth, "--size", "32", *out]
    code, table, err = run("score", str(colored), *options)
    assert code == 0, err
    assert r"| \<script\>, submitted " in table
    for format_, sign in (
        ("md", r"| \<script\>"),
        ("tex", "textless{}script"),
        ("csv", "<script>"),
    ):
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
    for wrong, message in (
        (("verify", "nobody", *out), "nobody"),
        (("leaderboard", "--sort", "lpisp", *out), "did you mean 'lpips'?"),
        (("score", str(tmp_path / "none"), *options), "no folder"),
        (("score", str(colored), *options, "--size", "64"), "--resize"),
        (("score", str(colored), *options, "--truth", str(photos / "no")), "--truth: the folder"),
    ):
        code, _, err = run(*wrong)
        assert code == 2
        assert message in err
        assert "Traceback" not in err
