"""The images of another program, from `inputs` to `score` and `verify`."""

import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageOps

from tests.support import RunCommand


def test_images_of_another_program_get_a_row_that_is_verified(
    run: RunCommand, tmp_path: Path, make_image: Callable[..., Image.Image]
) -> None:
    """Follows docs/usage.md, then tests the formats, `verify` and wrong options."""
    photos, out = tmp_path / "photos", ["--results", str(tmp_path / "out")]
    (photos / "test").mkdir(parents=True)
    for seed in range(3):
        make_image(seed).save(photos / "test" / f"{seed}.png")
    gray, colored, truth = tmp_path / "gray", tmp_path / "colored", str(photos / "test")
    code, _, err = run("inputs", str(gray), "--truth", truth, "--size", "32", *out)
    assert code == 0, err
    colored.mkdir()
    for path in gray.iterdir():
        with Image.open(path) as image:
            ImageOps.colorize(image, "black", "white", mid="teal").save(colored / path.name)
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
