"""What Inception says of the truths is kept: it looks at each truth once, with the same results."""

import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmark.evaluation import evaluate, per_image
from benchmark.evaluation.evaluate import TRUTHS, Candidate
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.table import MetricSuite
from benchmark.results.folders import RunFolder
from benchmark.results.records import RunRecord
from tests.benchmark.evaluation.test_evaluate import Painter, prepare
from tests.leaderboard_support import MeanDifference
from tests.metric_support import Coarse

COUNT, AT_ONCE = 9, 4
ALL = MetricOptions(fid="on", chroma_matched="on")


class Slow(Coarse):
    """A stand-in for Inception that has a hash, and takes 20 ms an image."""

    def __init__(self, sha256: str = "a" * 64) -> None:
        super().__init__()
        self.sha256 = sha256
        self.seen = 0

    def forward(self, rgb8: Tensor) -> Tensor:
        self.seen += len(rgb8)
        time.sleep(0.02 * len(rgb8))
        return super().forward(rgb8)


@pytest.fixture(autouse=True)
def _chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(per_image, "CHUNK", AT_ONCE)


def score(
    results: Path, run: str, cache: Path | None, network: Slow, options: MetricOptions = ALL
) -> tuple[RunRecord, int]:
    """Test one more run; returns its record and how many images the network saw."""
    before = network.seen
    suite = MetricSuite(options, {"kid": network, "lpips": MeanDifference()})
    setup = prepare(COUNT, suite, cache=cache)
    candidate = Candidate(RunFolder(results, run, 0), run, kind="submitted")
    return evaluate.test(candidate, Painter().eval(), setup), network.seen - before


def files(cache: Path) -> list[Path]:
    return sorted((cache / TRUTHS).iterdir())


def test_the_second_row_of_a_test_sees_no_truth_and_has_the_scores_of_one_without_a_cache(
    tmp_path: Path,
) -> None:
    network, cache = Slow(), tmp_path / "cache"
    expected, seen = score(tmp_path / "without", "one", None, network)
    assert seen == 3 * COUNT  # outputs, outputs with matched chroma, truths
    first, seen = score(tmp_path, "one", cache, network)
    assert seen == 3 * COUNT
    begun = time.perf_counter()
    second, seen = score(tmp_path, "two", cache, network)
    faster = time.perf_counter() - begun
    assert seen == 2 * COUNT
    assert first.metrics == second.metrics == expected.metrics  # to the bit
    begun = time.perf_counter()
    score(tmp_path / "without", "two", None, network)
    assert faster < 0.9 * (time.perf_counter() - begun)
    assert len(files(cache)) == 4  # three parts, and the moments


def test_features_of_other_weights_are_not_used(tmp_path: Path) -> None:
    score(tmp_path, "one", tmp_path, Slow("a" * 64))
    assert score(tmp_path, "two", tmp_path, Slow("b" * 64))[1] == 3 * COUNT
    assert len(files(tmp_path)) == 8
    nameless = Slow()
    del nameless.sha256
    assert score(tmp_path, "three", tmp_path, nameless)[1] == 3 * COUNT
    assert len(files(tmp_path)) == 8


def test_metrics_of_single_images_keep_nothing(tmp_path: Path) -> None:
    suite = MetricSuite(MetricOptions(), unavailable={"kid": "left out", "lpips": "left out"})
    setup = prepare(COUNT, suite, cache=tmp_path / "cache")
    candidate = Candidate(RunFolder(tmp_path, "one", 0), "one", kind="submitted")
    evaluate.test(candidate, Painter().eval(), setup)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["cut", "forged", "empty"])
def test_a_damaged_file_is_named_in_one_line_and_computed_again(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = Slow()
    first, _ = score(tmp_path, "one", tmp_path, network)
    kept = {path: path.read_bytes() for path in files(tmp_path)}
    for path, content in kept.items():
        changed = bytes([content[-1] ^ 1])
        path.write_bytes(
            {"cut": content[:-9], "forged": content[:-1] + changed, "empty": b""}[damage]
        )
    capsys.readouterr()
    second, seen = score(tmp_path, "two", tmp_path, network)
    said = [line for line in capsys.readouterr().err.splitlines() if "is damaged" in line]
    assert len(said) == len(kept)
    assert seen == 3 * COUNT
    assert second.metrics == first.metrics
    assert score(tmp_path, "three", tmp_path, network)[1] == 2 * COUNT
    assert files(tmp_path) == list(kept)


def test_a_cache_that_cannot_be_written_ends_no_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("a file is in its place")
    record, _ = score(tmp_path, "one", tmp_path / "cache", Slow())
    assert record.metrics["fid"].mean is not None
    assert "Features of the truths are not kept" in capsys.readouterr().err


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    suite = MetricSuite(networks={"kid": Slow()}, truths=tmp_path)
    store = suite.truth_store(["kid"])
    assert store is not None
    assert suite.truth_store(["ssim", "ab_divergence"]) is None
    squares = torch.randint(256, (3, 3, 8, 8)).byte()
    part = store.part(squares)
    assert part.rows(0, 3) is None
    features = torch.rand(3, 5)
    part.keep([features[:2], features[2:]])
    again = store.part(squares).rows(1, 2)
    assert again is not None
    assert torch.equal(again, features[1:])
    assert store.part(squares.flip(0)).features is None
