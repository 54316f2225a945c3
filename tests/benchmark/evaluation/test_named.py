"""Named protocols: which images are meant, what is wrong with a folder, and their own tables."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmark import leaderboard
from benchmark.data.cache import ImageSet
from benchmark.data.manifest import ImageFile
from benchmark.data.sources import locate_test
from benchmark.errors import UserError
from benchmark.evaluation import named
from benchmark.evaluation.named import TestImages
from benchmark.evaluation.protocol import Protocol, hash_of
from benchmark.jobs.submit import Entry, export_inputs, submit
from benchmark.jobs.verify import verify
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.table import NO_TRUTH, MetricSuite
from benchmark.results.folders import TestFolder
from benchmark.results.records import RunRecord

REASON = "no network was given"
NOTHING = MetricSuite(unavailable={"lpips": REASON, "kid": REASON})
SMALL = """
title = "Three numbered images"
[images]
numbered = "val_{number}"
digits = 2
count = 3
[preparation]
size = 32
crop = "stretch"
filter = "bilinear"
antialias = false
[metrics]
colorfulness = "absolute"
[[published]]
system = "Painter"
psnr = 23.5
source = "a paper, table 1"
"""


@pytest.fixture
def protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of protocols with one of three images, `small`."""
    folder = tmp_path / "protocols"
    folder.mkdir()
    (folder / "small.toml").write_text(SMALL)
    monkeypatch.setattr(named, "FOLDER", folder)
    return folder


@pytest.fixture
def photos(tmp_path: Path, fill_folder: Callable[..., list[Path]]) -> Path:
    """Images named val_01 to val_03, and one more."""
    folder = tmp_path / "photos"
    for number, path in enumerate(fill_folder(folder, range(4)), start=1):
        path.rename(folder / (f"val_{number:02}.png" if number < 4 else "cat.png"))
    return folder


def choose(folder: Path, protocol: str | None = "small", limit: int | None = None) -> list[str]:
    """Return the names of the images that are chosen from a folder, without suffixes."""
    chosen = TestImages.of(32, protocol, limit)
    sources = chosen.chosen_from(locate_test(None, str(folder), folder.parent / "Results"))
    assert sources.selection is not None
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))]
    return [name.removesuffix(".png") for name in sources.selection(names)]


# ---- the protocols of the project ----------------------------------------------------------------


@pytest.mark.parametrize("name", named.names())
def test_a_protocol_names_its_images_its_sources_and_those_of_published_rows(name: str) -> None:
    protocol = named.load(name)
    assert protocol.title
    assert protocol.sources
    assert all(row.source and row.system for row in protocol.published)
    rule = protocol.images
    if rule.names is not None:
        assert len(set(rule.names)) == rule.count
        assert all(rule.matches(one) for one in rule.names)
        assert not rule.matches("cat")


def test_protocols_that_differ_in_one_preparation_have_different_hashes(
    images_folder: Path, protocols: Path
) -> None:
    """So they never share a table."""
    changes = {
        "size": ("size = 32", "size = 48"),
        "crop": ('"stretch"', '"whole-pixels"'),
        "filter": ('filter = "bilinear"\nantialias = false', 'filter = "box"'),
        "antialias": ("antialias = false", "antialias = true"),
        "metrics": ('"absolute"', '"signed"'),
    }
    for name, change in changes.items():
        assert change[0] in SMALL
        (protocols / f"{name}.toml").write_text(SMALL.replace(*change))
    images = [ImageFile(path.name, path, path.name) for path in images_folder.iterdir()]
    hashes = set()
    for name in named.names():
        chosen = TestImages.of(64, name)
        suite = MetricSuite(chosen.options(MetricOptions()))
        nothing = torch.zeros(len(images), 3, 1, 1, dtype=torch.uint8)
        hashes.add(Protocol.of(ImageSet(images, nothing, {}), "x", chosen, suite).hash)
    assert len(hashes) == len(named.names()) == len(changes) + 1


# ---- images --------------------------------------------------------------------------------------


def test_the_images_of_a_protocol_are_found_by_name_in_any_folder(
    photos: Path, protocols: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose(photos) == ["val_01", "val_02", "val_03"]
    assert "1 files are not of small and not used: cat." in capsys.readouterr().err
    (photos / "class").mkdir()
    (photos / "val_02.png").rename(photos / "class" / "val_02.png")
    assert choose(photos) == ["val_01", "class/val_02", "val_03"]
    assert choose(photos, limit=2) == ["val_01", "class/val_02"]
    assert choose(photos, None, limit=2) == ["cat", "class/val_02"]


def test_a_missing_or_doubled_image_is_named(photos: Path, protocols: Path) -> None:
    (photos / "sub").mkdir()
    (photos / "sub" / "val_01.png").write_bytes((photos / "val_01.png").read_bytes())
    with pytest.raises(UserError, match=r"twice, such as sub/val_01\.png and val_01\.png"):
        choose(photos)
    (photos / "sub" / "val_01.png").unlink()
    (photos / "val_03.png").unlink()
    with pytest.raises(UserError, match="1 of 3 images of small are missing: val_03"):
        choose(photos)
    assert choose(photos, limit=2) == ["val_01", "val_02"]


def test_without_numbers_every_name_must_match_and_the_count_must_be_right(
    photos: Path, protocols: Path
) -> None:
    text = SMALL.replace('numbered = "val_{number}"\ndigits = 2', r"pattern = 'val_\d\d'")
    (protocols / "other.toml").write_text(text)
    with pytest.raises(UserError, match="1 files are not of other: cat"):
        choose(photos, "other")
    (photos / "cat.png").unlink()
    assert choose(photos, "other") == ["val_01", "val_02", "val_03"]
    (photos / "val_02.png").unlink()
    with pytest.raises(UserError, match="has 3 images, and the folder has 2"):
        choose(photos, "other")
    assert choose(photos, "other", limit=1) == ["val_01"]


def test_an_image_that_cannot_be_used_is_named(photos: Path, protocols: Path) -> None:
    (photos / "val_02.png").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"1 images of small cannot be used: val_02\.png \("):
        score(photos, "small")


def test_protocols_need_a_folder_of_test_images(images_folder: Path, protocols: Path) -> None:
    sources = locate_test(str(images_folder), None, images_folder.parent / "Results")
    for test_images, option in ((TestImages.of(32, "small"), "--protocol"),
                                (TestImages.of(32, None, 3), "--limit")):  # fmt: skip
        with pytest.raises(UserError, match=f"{option} needs a folder of test images"):
            test_images.chosen_from(sources)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("size = 32", "size = 3"), "preparation.size"),
        (('"bilinear"', '"sinc"'), "preparation.filter"),
        (('"bilinear"', '"box"'), "antialias"),
        (('"absolute"', '"loud"'), "colorfulness"),
        (("colorfulness =", "colourfulness ="), "colourfulness"),
        (("{number}", "{n}"), "numbered needs"),
        (("[images]", "[images"), "cannot be read"),
    ],
)
def test_a_wrong_file_is_one_sentence(protocols: Path, change: tuple[str, str], fault: str) -> None:
    (protocols / "wrong.toml").write_text(SMALL.replace(*change))
    with pytest.raises(UserError, match=fault):
        named.load("wrong")


def test_a_protocol_that_does_not_exist_is_named_with_one_that_does(protocols: Path) -> None:
    with pytest.raises(UserError, match=r"--protocol smal: .* did you mean 'small'\?"):
        named.load("smal")


# ---- tests ---------------------------------------------------------------------------------------


def score(photos: Path, protocol: str | None, limit: int | None = None) -> RunRecord:
    """Color the inputs of a test in one tint, and score them."""
    results = photos.parent / "Results"
    test_images = TestImages.of(32, protocol, limit)
    sources = locate_test(None, str(photos), results)
    colored = photos.parent / f"colored-{protocol}-{limit}"
    export_inputs(colored, sources, test_images)
    for path in colored.iterdir():
        gray = Image.open(path)
        Image.merge("RGB", (gray, gray, gray.point(lambda value: value // 2))).save(path)
    suite = MetricSuite(test_images.options(NOTHING.options), unavailable=NOTHING.unavailable)
    entry = Entry(colored, "program", 0, False, "own")
    return submit(entry, sources, test_images, results, suite)


def test_a_whole_protocol_has_the_published_rows_below_its_table_and_a_part_has_not(
    photos: Path, protocols: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part = score(photos, "small"), score(photos, "small", limit=2)
    assert whole.protocol.name == "small"
    assert part.protocol.name == "small-first2"
    assert whole.protocol_hash != part.protocol_hash
    assert (whole.n_expected, part.n_expected) == (3, 2)
    found = leaderboard.read(photos.parent / "Results")
    table = leaderboard.FORMATS["md"](found.for_protocol(whole.protocol_hash))
    assert "| Painter | 23.5" in table
    assert "a paper, table 1" in table
    assert "As published" not in leaderboard.FORMATS["md"](found.for_protocol(part.protocol_hash))
    # The same images, chosen otherwise, are the same protocol.
    rule_free = whole.protocol.model_copy(update={"rule": None, "name": "mine"})
    assert hash_of(rule_free) == whole.protocol_hash


def test_photos_without_true_color_have_no_score_that_compares_with_it(
    photos: Path, protocols: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = SMALL.replace('"absolute"', '"absolute"\nreference = "none"\nfid = "on"')
    (protocols / "old.toml").write_text(without)
    monkeypatch.setattr(
        "benchmark.jobs.verify.load_metric_suite",
        lambda options, _: MetricSuite(options, unavailable=NOTHING.unavailable),
    )
    record = score(photos, "old")
    known = {key for key, value in record.metrics.items() if value.mean is not None}
    assert known == {"colorfulness", "lightness_error"}
    assert {record.metrics[key].reason for key in ("ssim", "fid", "ab_divergence")} == {NO_TRUTH}
    results = photos.parent / "Results"
    (board,) = leaderboard.read(results).boards
    assert {row.name for row in board.rows} == {"program, submitted", "gray"}
    assert all(row.rank is None for row in board.rows)
    assert all(leaderboard.FORMATS[kind](leaderboard.read(results)) for kind in leaderboard.FORMATS)
    (folder,) = TestFolder.named("program", results)
    assert verify(folder, None, None, None).faults == []


def test_a_test_under_a_protocol_is_verified_on_the_images_of_the_protocol(
    photos: Path, protocols: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "benchmark.jobs.verify.load_metric_suite",
        lambda options, _: MetricSuite(options, unavailable=NOTHING.unavailable),
    )
    score(photos, "small")
    score(photos, "small", limit=2)
    results = photos.parent / "Results"
    folders = TestFolder.named("program", results)
    assert len(folders) == 2
    for folder in folders:
        assert verify(folder, None, None, None).faults == []
