"""An outsider colors the test, goes on where it stopped, and has a row that says what it is."""

import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from benchmark import leaderboard
from benchmark.color import rgb_to_lab
from benchmark.data.sources import locate_test
from benchmark.errors import UserError
from benchmark.evaluation.named import TestImages
from benchmark.jobs.outsider import Chosen, run_outsider
from benchmark.jobs.verify import verify
from benchmark.metrics.table import MetricSuite
from benchmark.registry import load_outsider
from benchmark.results.folders import TestFolder
from benchmark.results.records import OutputsRecord, RunRecord
from benchmark.results.schema import read_record
from tests.outsider_support import add_outsider, saved, tiny_source, tiny_weights
from tests.support import RunCommand, read_rgb

NOTHING = MetricSuite(unavailable={"lpips": "left out here", "kid": "left out here, too"})
SIZE = 32
Fill = Callable[..., list[Path]]
Run = Callable[..., RunRecord]


@pytest.fixture
def run_tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fill_folder: Fill) -> Run:
    """run_tiny(name="tiny", **changed) → the record of a test of five images."""
    body = saved(tiny_weights())
    add_outsider(tmp_path, monkeypatch, "tiny", tiny_source("http://127.0.0.1:9/tiny.pth", body))
    (tmp_path / "tiny.pth").write_bytes(body)
    fill_folder(tmp_path / "test", range(5))

    def run(name: str = "tiny", **changed: Any) -> RunRecord:
        weights = str(tmp_path / "tiny.pth") if name == "tiny" else None
        chosen = {"variant": None, "weights": weights, "exemplars": None, **changed}
        results = tmp_path / "Results"
        sources = locate_test(None, str(tmp_path / "test"), results)
        which = Chosen(name, device="cpu", batch_size=2, **chosen)
        return run_outsider(which, sources, TestImages.of(SIZE), results, NOTHING)

    return run


def test_an_outsider_has_a_row_that_says_what_it_is(
    tmp_path: Path, run_tiny: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run_tiny()
    assert (record.kind, record.model, record.weights) == ("outsider", "tiny", None)
    assert record.refusal is None
    assert record.outsider is not None
    assert record.outsider.trained_on == "squares"
    assert record.outsider.weights == "http://127.0.0.1:9/tiny.pth"
    assert record.timing is not None
    text = capsys.readouterr().out
    assert "| tiny, outsider " in text
    assert "### Outsiders" in text
    assert "| squares " in text
    (board,) = leaderboard.read(tmp_path / "Results").boards
    (row,) = board.models
    assert (row.training, row.rank) == ("outside", 1)
    assert row.pretrained_on == "circles; trained on squares"
    written = (tmp_path / "Results" / "leaderboard.csv").read_text()
    assert "outsider_trained_on" in written
    (test,) = TestFolder.named("tiny", tmp_path / "Results")
    assert read_record(test.record, RunRecord) == record
    faults = verify(test, None, None, None).faults  # the reasons for which NOTHING lacks metrics
    assert not [fault for fault in faults if "for a reason that this suite does not" not in fault]


def test_a_test_that_was_killed_goes_on_where_it_stopped(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = sys.modules[load_outsider("tiny").__module__]
    predict, calls = module.Model.predict, []

    def killed(self: Any, lightness: torch.Tensor, **how: Any) -> torch.Tensor:
        calls.append(len(lightness))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predict(self, lightness, **how)

    monkeypatch.setattr(module.Model, "predict", killed)
    with pytest.raises(KeyboardInterrupt):
        run_tiny()
    images = list((tmp_path / "Results" / "tiny").rglob("images/*.png"))
    before = {path: path.stat().st_mtime_ns for path in images}
    assert len(before) == 4
    record = run_tiny()
    assert calls == [2, 2, 1, 1]
    assert record.n_scored == 5
    assert {path: path.stat().st_mtime_ns for path in before} == before
    run_tiny()
    assert calls == [2, 2, 1, 1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "tiney"}, r"no outsider 'tiney'; did you mean 'tiny'\?"),
        ({"name": "zzz"}, "the outsiders are ddcolor, deoldify"),
        ({"variant": "larg"}, r"--variant larg: tiny has no such variant; it has release\."),
        ({"exemplars": Path("x")}, "--exemplars: tiny uses no exemplars"),
        ({"name": "welsh"}, "welsh takes colors from images: name a folder with --exemplars"),
        ({"name": "welsh", "exemplars": Path("none")}, "--exemplars: the folder none does not"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(
    changed: dict[str, Any], message: str, run_tiny: Run, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        run_tiny(**changed)
    assert not (tmp_path / "Results" / "tiny").exists()
    assert not (tmp_path / "Results" / "welsh").exists()


def test_a_run_that_was_trained_here_is_not_overwritten(run_tiny: Run, tmp_path: Path) -> None:
    (tmp_path / "Results" / "tiny" / "seed-0" / "weights").mkdir(parents=True)
    with pytest.raises(UserError, match=r"tiny: .* is a run that was trained here"):
        run_tiny()


# ---- welsh ---------------------------------------------------------------------------------------


def tint(path: Path, ab: tuple[float, float]) -> None:
    """Write an image of all lightnesses in one hue."""
    from benchmark.color import join, rgb_to_8bit

    lightness = torch.linspace(5, 95, 64).expand(1, 1, 64, 64)
    shade = torch.tensor(ab).view(1, 2, 1, 1).expand(1, 2, 64, 64)
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb8 = rgb_to_8bit(join(lightness, shade)[0]).permute(1, 2, 0)
    Image.fromarray(rgb8.numpy()).save(path)


def test_welsh_takes_the_colors_of_the_exemplar_that_looks_alike(
    tmp_path: Path, run_tiny: Run
) -> None:
    """The test is a ramp; of two exemplars one is a ramp too, and the other one runs against it."""
    for path in (tmp_path / "test").iterdir():
        path.unlink()
    tint(tmp_path / "test" / "0.png", (0, 0))
    tint(tmp_path / "exemplars" / "alike.png", (-12, 12))
    tint(tmp_path / "exemplars" / "against.png", (12, -12))
    against = tmp_path / "exemplars" / "against.png"
    with Image.open(against) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(against)
    record = run_tiny("welsh", exemplars=tmp_path / "exemplars")
    assert record.outsider is not None
    assert record.outsider.exemplars == "exemplars, 2 images"
    (output,) = (tmp_path / "Results" / "welsh").rglob("images/*.png")
    ab = rgb_to_lab(read_rgb(output)[None])[0, 1:, :, 8:24]
    assert ab.mean(dim=(1, 2)).tolist() == pytest.approx([-12, 12], abs=2)


def test_exemplars_may_not_be_test_images(run_tiny: Run, tmp_path: Path, fill_folder: Fill) -> None:
    fill_folder(tmp_path / "exemplars", range(4, 8))
    with pytest.raises(UserError, match=r"holds 1 of the test images.*\(image_004.png\)"):
        run_tiny("welsh", exemplars=tmp_path / "exemplars")


def test_other_exemplars_make_other_images(
    run_tiny: Run, tmp_path: Path, fill_folder: Fill
) -> None:
    fill_folder(tmp_path / "exemplars", range(10, 13))
    first = run_tiny("welsh", exemplars=tmp_path / "exemplars")
    assert run_tiny("welsh", exemplars=tmp_path / "exemplars") == first
    fill_folder(tmp_path / "exemplars", range(20, 23))
    second = run_tiny("welsh", exemplars=tmp_path / "exemplars")
    assert second.per_image_sha256 != first.per_image_sha256
    assert len(list((tmp_path / "Results" / "welsh").rglob("run.json"))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_two_processes_share_one_test(run_tiny: Run, tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    both = [fork.Process(target=run_tiny) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=300)
    assert [process.exitcode for process in both] == [0, 0]
    (path,) = (tmp_path / "Results" / "tiny").rglob("run.json")
    assert read_record(path, RunRecord).n_scored == 5
    colored = read_record(path.with_name("colorized.json"), OutputsRecord)
    assert colored.images == 5  # the second process colored none


def test_the_command_line_runs_and_lists_outsiders(
    run: RunCommand, run_tiny: Run, tmp_path: Path
) -> None:
    code, text, _ = run("list", "outsiders")
    assert code == 0
    assert "tiny        Tiny: a 1×1 convolution.  needs: weights\n" in text
    assert "welsh" in text
    options = ["--test_images", str(tmp_path / "test"), "--results", str(tmp_path / "Results")]
    weights = ["--weights", str(tmp_path / "tiny.pth")]
    code, text, err = run("outsider", "tiny", *options, *weights, "--size", "32")
    assert code == 0, err
    assert "### Outsiders" in text
    code, _, err = run("outsider", "tiny", "--test_images", str(tmp_path / "no"))
    assert code == 2
    assert "--test_images: the folder" in err
    code, _, err = run("outsider", "tiny", *options, "--weights", str(tmp_path / "test"))
    assert (code, err.count("\n")) == (2, 1)


def test_verify_checks_all_of_an_outsiders_row_but_its_coloring(
    run: RunCommand, run_tiny: Run, tmp_path: Path
) -> None:
    results = ["--results", str(tmp_path / "Results")]
    options = ["--test_images", str(tmp_path / "test"), "--weights", str(tmp_path / "tiny.pth")]
    code, _, err = run("outsider", "tiny", *options, *results, "--size", "32")
    assert code == 0, err
    code, text, err = run("verify", "tiny", *results)
    assert (code, err) == (0, "")
    (said,) = (line for line in text.splitlines() if "outsider" in line)
    assert "not checked: that the outsider makes these images: outsiders are not run" in said

    (test,) = TestFolder.named("tiny", tmp_path / "Results")
    written = test.record.read_text()
    for change, fault in (
        ({"trained_on": "circles"}, "outsider.trained_on is 'circles' in run.json and 'squares'"),
        ({"weights_sha256": "0" * 64}, "weights_sha256 is '0000"),
    ):
        forged = json.loads(written)
        forged["outsider"] |= change
        test.record.write_text(json.dumps(forged))
        code, text, _ = run("verify", "tiny", *results)
        assert code == 1
        assert fault in text
    test.record.write_text(written)
    image = next(test.images.iterdir())
    image.write_bytes(next(path for path in test.images.iterdir() if path != image).read_bytes())
    code, text, _ = run("verify", "tiny", *results)
    assert code == 1
    assert f"images/{image.name} is not the image that was scored" in text


def test_verify_says_that_an_outsider_is_gone_and_that_exemplars_are_not_proved(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fill_folder: Fill
) -> None:
    monkeypatch.setattr(
        "benchmark.jobs.verify.load_metric_suite",
        lambda options, _: MetricSuite(options, unavailable=NOTHING.unavailable),
    )
    fill_folder(tmp_path / "exemplars", range(10, 13))
    run_tiny("welsh", exemplars=tmp_path / "exemplars")
    (test,) = TestFolder.named("welsh", tmp_path / "Results")
    found = verify(test, None, None, None)
    assert "which exemplars the outsider took colors from." in found.unchecked
    run_tiny()
    monkeypatch.undo()
    (test,) = TestFolder.named("tiny", tmp_path / "Results")
    assert "what is known of the outsider: outsiders/ has no tiny any more." in (
        verify(test, None, None, None).unchecked
    )
