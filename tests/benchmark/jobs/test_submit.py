"""Submitted images of another program: matched by name, refused by name, scored like a model's."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark import leaderboard
from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.data.sources import Sources, locate_test
from benchmark.errors import UserError
from benchmark.evaluation import per_image
from benchmark.evaluation.named import TestImages
from benchmark.jobs.submit import Entry, export_inputs, submit
from benchmark.jobs.verify import verify
from benchmark.metrics.table import METRICS, MetricSuite
from benchmark.results.folders import RunFolder, TestFolder
from benchmark.results.outsider import OutsiderFacts, read_facts
from benchmark.results.records import RunRecord
from benchmark.results.schema import read_record
from tests.support import read_rgb

NOTHING = MetricSuite(unavailable={"lpips": "left out here", "kid": "left out here, too"})
SIZE = 32


@pytest.fixture
def truth(tmp_path: Path, fill_folder: Callable[..., list[Path]]) -> Path:
    """Four images of 40×32, one in a sub-folder."""
    fill_folder(tmp_path / "truth", range(3))
    fill_folder(tmp_path / "truth" / "sub", range(3, 4))
    return tmp_path / "truth"


@pytest.fixture
def sources(truth: Path, tmp_path: Path) -> Sources:
    return locate_test(None, str(truth), tmp_path / "Results")


@pytest.fixture
def colored(tmp_path: Path, sources: Sources) -> Path:
    """The images of a program that gives every input the same tint."""
    folder = tmp_path / "colored"
    assert export_inputs(folder, sources, TestImages.of(SIZE)) == 4
    for path in folder.iterdir():
        pixels = np.array(Image.open(path))
        assert pixels.shape == (SIZE, SIZE)  # one channel
        pixels = np.stack([pixels, pixels, pixels // 2], axis=-1)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture
def submit_folder(tmp_path: Path, sources: Sources, colored: Path) -> Callable[..., RunRecord]:
    """submit_folder(folder=…, name=…, **changed) → the record of the submission."""

    def run(folder: Path = colored, name: str = "program", **changed: Any) -> RunRecord:
        chosen = {"seed": 0, "resize": False, "lightness": "own", **changed}
        entry = Entry(folder, name, **chosen)
        return submit(entry, sources, TestImages.of(SIZE), tmp_path / "Results", NOTHING)

    return run


def test_a_submission_has_a_row_like_a_model(
    tmp_path: Path, submit_folder: Callable[..., RunRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    record = submit_folder()
    assert record.kind == "submitted"
    assert record.refusal is None
    assert "| program, submitted " in capsys.readouterr().out
    (board,) = leaderboard.read(tmp_path / "Results").boards
    (row,) = board.models
    assert (row.name, row.rank) == ("program, submitted", 1)
    assert {row.record.model for row in board.rows if row.is_fixed} == {"gray", "ground truth"}
    test = row.tests[0].folder.path
    for path in (test / "images").iterdir():
        assert path.read_bytes() != b""
        submitted = rgb_from_8bit(torch.from_numpy(np.array(Image.open(path))))
        assert torch.equal(read_rgb(path), submitted.permute(2, 0, 1))


def test_the_submitted_ground_truth_has_perfect_scores(
    tmp_path: Path, submit_folder: Callable[..., RunRecord], truth: Path
) -> None:
    record = submit_folder(truth, resize=True)
    for key, metric in METRICS.items():
        mean = record.metrics[key].mean
        if metric.perfect is not None and mean is not None:
            assert mean == pytest.approx(metric.perfect, abs=2e-5)
    assert record.submission is not None
    assert record.submission.resized


def test_the_lightness_of_the_input_can_be_restored(
    tmp_path: Path, submit_folder: Callable[..., RunRecord]
) -> None:
    own, restored = submit_folder(), submit_folder(lightness="input")
    assert own.metrics["lightness_error"].mean > 1  # type: ignore[operator]
    assert restored.metrics["lightness_error"].mean < 0.15  # type: ignore[operator]
    (board,) = leaderboard.read(tmp_path / "Results").boards
    assert {row.name for row in board.models} == {
        "program, submitted",
        "program, submitted, the input's L*",
    }
    first, second = (row.tests[0].folder.path / "images/image_000.png" for row in board.models)
    ab = [rgb_to_lab(read_rgb(path)[None])[:, 1:] for path in (first, second)]
    assert (ab[0] - ab[1]).abs().mean() < 3  # the color is unchanged except for the gamut


def test_files_may_be_in_subfolders_and_in_other_formats(
    tmp_path: Path, colored: Path, submit_folder: Callable[..., RunRecord]
) -> None:
    expected = submit_folder().per_image_sha256
    (colored / "sub").mkdir()
    (colored / "sub__image_003.png").rename(colored / "sub/image_003.png")
    with Image.open(colored / "image_000.png") as image:
        image.save(colored / "image_000.webp", lossless=True)
    (colored / "image_000.png").unlink()
    assert submit_folder().per_image_sha256 == expected
    with Image.open(colored / "image_001.png") as image:
        image.save(colored / "image_001.jpg", quality=95)
    (colored / "image_001.png").unlink()
    assert submit_folder().n_scored == 4


def _missing(folder: Path) -> None:
    (folder / "image_001.png").unlink()


def _extra(folder: Path) -> None:
    shutil.copy(folder / "image_001.png", folder / "holiday.png")


def _duplicate(folder: Path) -> None:
    shutil.copy(folder / "image_001.png", folder / "image_001.webp")


def _small(folder: Path) -> None:
    Image.new("RGB", (48, 40)).save(folder / "image_002.png")


def _broken(folder: Path) -> None:
    (folder / "image_002.png").write_bytes(b"no image")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def test_a_scoring_that_was_interrupted_goes_on_where_it_stopped(
    tmp_path: Path, submit_folder: Callable[..., RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images that were taken and what was measured of them stay, and no score is lost."""
    expected = submit_folder(name="whole")
    monkeypatch.setattr(per_image, "CHUNK", 2)
    measure, measured = per_image.measure, []

    def interrupted(*arguments: Any) -> Any:
        measured.append(1)
        if len(measured) == 6:  # the second half of the third row: ground truth, gray, program
            raise KeyboardInterrupt
        return measure(*arguments)

    for run in ("gray", "ground-truth"):
        shutil.rmtree(tmp_path / "Results" / run)
    monkeypatch.setattr(per_image, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        submit_folder()
    images = list((tmp_path / "Results/program").rglob("images/*.png"))
    before = {path: path.stat().st_mtime_ns for path in images}
    record = submit_folder()
    assert len(measured) == 7
    assert record.metrics == expected.metrics
    assert {path: path.stat().st_mtime_ns for path in images} == before
    assert submit_folder() == record  # the same images again: nothing is measured
    assert len(measured) == 7


def test_other_images_of_a_name_replace_the_earlier_ones(
    tmp_path: Path, colored: Path, submit_folder: Callable[..., RunRecord]
) -> None:
    first = submit_folder()
    changed = sorted(colored.iterdir())[0]
    with Image.open(changed) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(changed)
    second = submit_folder()
    assert second.metrics["delta_e76"].mean != first.metrics["delta_e76"].mean
    (folder,) = TestFolder.named("program", tmp_path / "Results")
    for sample in range(2):
        shutil.copytree(colored, tmp_path / "several" / str(sample))
    several = submit_folder(tmp_path / "several", samples=2)
    assert several.samples is not None
    assert (folder.path / "samples" / "mean").is_dir()
    (folder.images / "stranger.png").write_bytes(b"x")
    assert submit_folder().metrics == second.metrics
    assert not list((folder.path / "samples").iterdir())
    assert not (folder.images / "stranger.png").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_missing, "lacks 1 of 4 test images: image_001"),
        (_extra, "not of the test: holiday"),
        (_duplicate, r"image_001\.png and .*image_001\.webp"),
        (_small, r"image_002\.png is 48×40, and the test is 32×32.*--resize"),
        (_broken, r"image_002\.png cannot be used: not an image"),
        (_empty, "holds no image"),
    ],
)
def test_a_faulty_submission_is_refused_by_name_and_nothing_is_written(
    tmp_path: Path,
    colored: Path,
    submit_folder: Callable[..., RunRecord],
    spoil: Callable[[Path], None],
    message: str,
) -> None:
    spoil(colored)
    with pytest.raises(UserError, match=message):
        submit_folder()
    assert not (tmp_path / "Results" / "program").exists()
    assert not list((tmp_path / "Results").glob("leaderboard*"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../out", "a\\b"])
def test_a_name_must_not_be_a_path(submit_folder: Callable[..., RunRecord], name: str) -> None:
    with pytest.raises(UserError, match="--name"):
        submit_folder(name=name)


def test_a_run_that_was_trained_here_is_not_overwritten(
    tmp_path: Path, submit_folder: Callable[..., RunRecord]
) -> None:
    RunFolder(tmp_path / "Results", "unet", 0).weights.mkdir(parents=True)
    with pytest.raises(UserError, match="trained here"):
        submit_folder(name="unet")


def test_transparent_and_16_bit_images_are_scored(
    colored: Path, submit_folder: Callable[..., RunRecord]
) -> None:
    with Image.open(colored / "image_000.png") as image:
        opaque = image.convert("RGBA")
    opaque.save(colored / "image_000.png")
    gray16 = (np.arange(SIZE * SIZE, dtype=np.uint16) * 60).reshape(SIZE, SIZE)
    Image.fromarray(gray16).save(colored / "image_001.png")
    record = submit_folder()
    assert record.n_scored == 4


def test_all_seeds_of_a_program_are_one_row(
    tmp_path: Path, submit_folder: Callable[..., RunRecord]
) -> None:
    submit_folder(seed=1)
    submit_folder(seed=2)
    (board,) = leaderboard.read(tmp_path / "Results").boards
    assert [row.seeds for row in board.models] == [[1, 2]]


def test_the_record_of_a_submission_is_read_back(
    tmp_path: Path, submit_folder: Callable[..., RunRecord]
) -> None:
    record = submit_folder(name="<script>")
    (path,) = (tmp_path / "Results/<script>").glob("seed-0/tests/*/run.json")
    assert read_record(path, RunRecord) == record


def test_a_folder_for_inputs_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, sources: Sources
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / ("x" * 300), tmp_path / "file", tmp_path / "file" / "in"):
        with pytest.raises(UserError, match=r"name a new folder|cannot be written"):
            export_inputs(out, sources, TestImages.of(SIZE))


# ---- several samples, and what is known of the program -------------------------------------------


def _faults(test: TestFolder) -> list[str]:
    """Verify a test; the reasons for which NOTHING lacks two metrics are those of no suite."""
    faults = verify(test, None, None, None).faults
    return [fault for fault in faults if "for a reason that this suite does not give" not in fault]


def test_several_samples_lie_in_numbered_folders(
    tmp_path: Path, colored: Path, submit_folder: Callable[..., RunRecord]
) -> None:
    single = submit_folder()
    for sample in range(3):
        shutil.copytree(colored, tmp_path / "samples" / f"{sample}")
        for path in (tmp_path / "samples" / f"{sample}").iterdir() if sample else ():
            with Image.open(path) as image:
                image.point(lambda value, by=sample: max(0, value - 9 * by)).save(path)
    record = submit_folder(tmp_path / "samples", name="sampler", samples=3)
    assert record.samples is not None
    assert record.samples.count == 3
    assert record.metrics["ssim"] == single.metrics["ssim"]  # the first one is ranked
    assert record.samples.best["ssim"].mean >= record.metrics["ssim"].mean  # type: ignore[operator]
    (test,) = TestFolder.named("sampler", tmp_path / "Results")
    assert {path.name for path in (test.path / "samples").iterdir()} == {"1", "2", "mean"}
    assert _faults(test) == []
    with pytest.raises(UserError, match="holds more samples than --samples 2"):
        submit_folder(tmp_path / "samples", samples=2)
    with pytest.raises(UserError, match=r"no folder .*samples/3"):
        submit_folder(tmp_path / "samples", samples=4)
    (tmp_path / "samples" / "2" / "image_001.png").unlink()
    with pytest.raises(UserError, match=r"samples/2 lacks 1 of 4 test images: image_001"):
        submit_folder(tmp_path / "samples", samples=3)


def test_what_is_known_of_a_program_is_recorded_and_shown(
    tmp_path: Path, submit_folder: Callable[..., RunRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "meta.toml").write_text(
        'trained_on = "COCO"\nguidance = "hints"\nparameters = 12_500_000\n'
        'paper = "https://example.org/paper"\n'
    )
    facts = read_facts(tmp_path / "meta.toml")
    record = submit_folder(facts=facts)
    assert record.outsider == facts
    assert OutsiderFacts.model_validate_json(facts.model_dump_json()) == facts
    text = capsys.readouterr().out
    assert "| program, submitted | hints    | COCO " in text
    assert "12.50 M" in text
    (test,) = TestFolder.named("program", tmp_path / "Results")
    assert _faults(test) == []
    submit_folder(name="other")
    (board,) = leaderboard.read(tmp_path / "Results").boards
    assert [row.training for row in board.models] == ["scratch", "outside"]
    assert [len(group) for group in board.groups] == [1, 1]
    assert "Outsiders stand and are ranked below" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('guidance = "automatic"', "trained_on: Field required"),
        ('trained_on = "a"\nguidance = "magic"', "guidance: Input should be 'automatic'"),
        ('trained_on = "a"\nguidance = "hints"\nsize = 3', "size: Extra inputs"),
        ('trained_on = "a"\nguidance = "hints"\nweights_sha256 = "ab"', "weights_sha256: String"),
        ('trained_on = "a\\nb"\nguidance = "hints"', "trained_on: String should match"),
        ('trained_on = "a"\nguidance = "hints"\nparameters = -1', "parameters: Input should be gr"),
        ("trained_on", "cannot be read as TOML"),
    ],
)
def test_a_wrong_description_is_one_sentence(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "meta.toml").write_text(text)
    with pytest.raises(UserError, match=fault) as caught:
        read_facts(tmp_path / "meta.toml")
    assert str(tmp_path / "meta.toml") in str(caught.value)
    assert "\n" not in str(caught.value)
