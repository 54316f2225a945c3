"""An interrupted scoring goes on where it stopped, and its result is that of an undisturbed one."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmark.evaluation import evaluate, partial_scores, per_image
from benchmark.evaluation.outputs import Outputs
from benchmark.metrics.score import Measured
from benchmark.metrics.table import MetricSuite
from benchmark.results.folders import TestFolder
from benchmark.results.records import RunRecord
from tests.benchmark.evaluation.test_evaluate import Painter, painter_of, prepare
from tests.metric_support import Coarse

SUITE = MetricSuite(networks={"kid": Coarse()}, unavailable={"lpips": "left out here"})
COUNT, AT_ONCE = 9, 2


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that are read for scoring, where two images are measured at once."""
    monkeypatch.setattr(per_image, "CHUNK", AT_ONCE)
    rows: list[int] = []
    read = Outputs.read

    def watched(outputs: Outputs, row: int, sample: int | str = 0) -> Tensor:
        rows.append(row)
        return read(outputs, row, sample)

    monkeypatch.setattr(Outputs, "read", watched)
    return rows


def score(results: Path, **more: int) -> tuple[RunRecord, TestFolder]:
    setup = prepare(COUNT, SUITE, num_images=1, **more)
    candidate = painter_of(results)
    return evaluate.test(candidate, Painter().eval(), setup), setup.folder(candidate)


def stop_at(row: int, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Score, and stop when the first sample of an image is read."""
    read = Outputs.read

    def stopping(outputs: Outputs, at: int, sample: int | str = 0) -> Tensor:
        if at == row and sample == 0:
            raise KeyboardInterrupt
        return read(outputs, at, sample)

    with monkeypatch.context() as patched:
        patched.setattr(Outputs, "read", stopping)
        with pytest.raises(KeyboardInterrupt):
            score(results, samples=1)


def test_a_scoring_that_is_stopped_anywhere_has_the_result_of_one_that_is_not(
    tmp_path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, folder = score(tmp_path / "whole", samples=2)
    assert not folder.partial_scores.exists()
    expected = folder.per_image.read_bytes()
    for row in (3, 4, 8):
        stop_at(row, tmp_path / "stopped", monkeypatch)
    reads.clear()
    score(tmp_path / "stopped", samples=1)
    assert sorted(reads) == [0, 8]  # for the figure, and what was not measured
    again, folder = score(tmp_path / "stopped", samples=2)
    assert folder.per_image.read_bytes() == expected
    assert again.metrics == whole.metrics
    assert again.samples == whole.samples
    assert not folder.partial_scores.exists()


def test_partial_scores_of_other_images_are_not_used(tmp_path: Path, reads: list[int]) -> None:
    record, folder = score(tmp_path)
    copy = tmp_path / "copy"
    batches = [Measured(2, {"ssim": [0.0, 0.0]}, {})]
    for start in range(0, COUNT, AT_ONCE):
        partial_scores.write_chunk(folder.partial_scores / f"0-{start}.safetensors", "x", batches)
    (folder.partial_scores / "0-4.safetensors").write_bytes(b"damaged")
    folder.record.unlink()
    folder.per_image.rename(copy)
    again, _ = score(tmp_path)
    assert again.metrics == record.metrics
    assert folder.per_image.read_bytes() == copy.read_bytes()


def test_a_chunk_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "chunk.safetensors"
    batches = [
        Measured(n, {"ssim": torch.rand(n).tolist()}, {"kid": (torch.rand(n, 3), torch.rand(n, 3))})
        for n in (3, 1)
    ]
    partial_scores.write_chunk(path, "key", batches)
    found = partial_scores.read_chunk(path, "key")
    assert found is not None
    for one, other in zip(found, batches, strict=True):
        assert one[:2] == other[:2]
        assert all(map(torch.equal, one.features["kid"], other.features["kid"]))
    assert partial_scores.read_chunk(path, "another key") is None
    assert partial_scores.read_chunk(tmp_path / "nothing", "key") is None
