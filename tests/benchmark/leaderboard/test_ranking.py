"""From run.json files to ranked rows: seeds, ranks, and excluded tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark import leaderboard
from benchmark.errors import UserError
from tests.leaderboard_support import tables

pytestmark = pytest.mark.usefixtures("without_plots")
Make = Callable[..., dict[str, Any]]


def test_seeds_of_one_run_are_one_row(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    for seed, value in ((1, 0.1), (2, 0.2), (3, 0.6)):
        add_record(
            "unet", {"lpips": value, "kid": value}, seed=seed, settings={"epochs": 2, "seed": seed}
        )
    add_record("unet", {"lpips": 0.7}, seed=4, settings={"epochs": 9, "seed": 4})
    add_record("other", {"lpips": 0.5})
    (found,) = leaderboard.write(tmp_path).boards
    several, other, longer = found.models
    assert (several.name, several.seeds, several.rank) == ("unet", [1, 2, 3], 1)
    assert (other.rank, longer.name, longer.rank) == (2, "unet, seed 4", 3)
    score = several.scores["lpips"]
    assert score.mean == pytest.approx(0.3)
    assert score.low is not None  # over the images, whose spread is equal for all seeds
    assert score.high == pytest.approx(0.3015, abs=0.001)
    assert several.std_over_seeds("lpips") == pytest.approx(0.07**0.5)
    kid = several.scores["kid"]
    assert (kid.mean, kid.std, kid.low) == (pytest.approx(0.3), None, None)
    assert "seeds 0.265" in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")


def test_the_same_seed_tested_under_two_names_counts_once(
    tmp_path: Path, add_record: Callable[..., Path], make_record: Make
) -> None:
    other = make_record()["protocol"] | {"name": "the same photos"}
    add_record("unet", {"lpips": 0.2}, finished="2025-01-02T00:00:00+00:00")
    add_record("unet", {"lpips": 0.1}, protocol=other, finished="2025-01-01T00:00:00+00:00")
    (found,) = leaderboard.write(tmp_path).boards
    (row,) = found.rows
    assert (row.seeds, row.scores["lpips"].mean) == ([8000], 0.2)


def test_tied_models_share_a_rank(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    """Models whose values do not differ significantly share a rank."""
    for run, value in (("a", 0.1), ("b", 0.1), ("c", 0.3)):
        add_record(run, {"lpips": value, "ssim": value})
    add_record("gray", {"lpips": 0.2, "ssim": 0.2}, kind="fixed")
    (found,) = leaderboard.write(tmp_path).boards
    assert {row.name: row.rank for row in found.rows if row.rank} == {"a": 1, "b": 1, "c": 3}
    assert found.no_better_than_gray == ["c"]
    (found,) = leaderboard.write(tmp_path, sort="ssim").boards
    assert {row.name: row.rank for row in found.rows if row.rank} == {"a": 2, "b": 2, "c": 1}
    assert [row.name for row in found.models] == ["c", "a", "b"]


def test_rows_with_a_pretrained_encoder_are_ranked_apart_unless_together(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    pretrained = {
        "name": "efficientnet_lite0", "data": "ImageNet-1k", "source": "file", "sha256": "1" * 64,
    }  # fmt: skip
    add_record("scratch", {"lpips": 0.2, "ssim": 0.5})
    add_record("worse", {"lpips": 0.4, "ssim": 0.5})
    add_record("encoder", {"lpips": 0.1, "ssim": 0.5}, pretrained=pretrained)
    add_record("weaker", {"lpips": 0.3, "ssim": 0.5}, pretrained=pretrained)
    add_record("gray", {"lpips": 0.9}, kind="fixed")
    (apart,) = leaderboard.write(tmp_path).boards
    assert [(row.name, row.rank) for row in apart.models] == [
        ("scratch", 1), ("worse", 2), ("encoder", 1), ("weaker", 2)
    ]  # fmt: skip
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "ImageNet-1k (efficientnet\\_lite0)" in text
    assert text.count("**0.200") == text.count("**0.100") == 1  # the best value of each group
    assert "leaderboard --together" in text.replace("\\", "")
    columns = {model: row["pretrained on"] for model, row in tables(tmp_path)["photos-64"].items()}
    expected = "ImageNet-1k (efficientnet_lite0)"
    assert columns == {
        "scratch": "–", "worse": "–", "encoder": expected, "weaker": expected, "gray": ""
    }  # fmt: skip

    (together,) = leaderboard.write(tmp_path, together=True).boards
    assert [(row.name, row.rank) for row in together.models] == [
        ("encoder", 1), ("scratch", 2), ("weaker", 3), ("worse", 4)
    ]  # fmt: skip
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert text.count("*0.200") == text.count("**0.100") == 1
    assert "--together" not in text.replace("\\", "")


def test_a_row_that_hides_its_encoder_is_left_out(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    add_record("honest", {"lpips": 0.2})
    add_record("hidden", {"lpips": 0.1}, settings={"encoder": "resnet18"})
    found = leaderboard.write(tmp_path)
    assert [row.name for row in found.boards[0].rows] == ["honest"]
    assert "pretrained on is missing" in next(iter(found.refused.values()))


def test_rows_are_never_ordered_by_two_metrics(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    add_record("a", {"lpips": None, "delta_e2000": 0.3})
    add_record("b", {"lpips": 0.9, "delta_e2000": 0.1})
    (found,) = leaderboard.write(tmp_path).boards
    assert found.sort == "delta_e2000"
    assert [row.name for row in found.models] == ["b", "a"]


def test_an_unknown_metric_is_refused(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    add_record("a")
    with pytest.raises(
        UserError, match="--sort lpisp: there is no such metric; did you mean 'lpips'"
    ):
        leaderboard.write(tmp_path, sort="lpisp")


@pytest.mark.parametrize("fault", ["truncated", "missing", "edited"])
def test_a_missing_or_changed_table_removes_its_row(
    tmp_path: Path, add_record: Callable[..., Path], fault: str
) -> None:
    add_record("good")
    table = add_record("bad").parent / "per_image.csv"
    content = table.read_text()
    if fault == "missing":
        table.unlink()
    else:
        table.write_text(
            content[:200] if fault == "truncated" else content.replace("0.5015", "0.4015")
        )
        assert table.read_text() != content
    found = leaderboard.write(tmp_path)
    assert [row.name for row in found.boards[0].models] == ["good"]
    (reason,) = found.refused.values()
    assert "per_image.csv" in reason
    assert str(tmp_path) not in reason


def test_protocols_that_this_suite_does_not_know_are_refused(
    tmp_path: Path, add_record: Callable[..., Path], make_record: Make
) -> None:
    add_record("good")
    protocol = make_record()["protocol"]
    add_record("older", protocol=protocol | {"version": 1})
    add_record("forged", protocol=protocol | {"size": 32}, protocol_hash="a" * 64)
    found = leaderboard.write(tmp_path)
    assert [row.name for row in found.boards[0].rows] == ["good"]
    older, forged = (found.refused[path] for path in sorted(found.refused, reverse=True))
    assert "version 1" in older
    assert "hash is not that" in forged


def test_protocols_of_the_same_name_with_different_hashes_are_separate(
    tmp_path: Path, add_record: Callable[..., Path], make_record: Make
) -> None:
    add_record("a")
    add_record("b", protocol=make_record()["protocol"] | {"manifest": "b" * 64})
    found = leaderboard.write(tmp_path)
    assert [[row.name for row in board.rows] for board in found.boards] == [["a"], ["b"]]
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert text.count("## photos-64") == 2
    assert all(board.protocol_hash[:8] in text for board in found.boards)


def test_broken_results_are_excluded_by_name_and_others_remain(
    tmp_path: Path, add_record: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    add_record("good", {"lpips": 0.2})
    bad = [
        add_record(run)
        for run in ("truncated", "text", "incomplete", "without-lpips", "without-size")
    ]
    bad[0].write_text(bad[0].read_text()[:100])
    bad[1].write_text(bad[1].read_text().replace('"mean": 0.5', '"mean": "0.5"'))
    bad[2].write_text(bad[2].read_text().replace('"n_scored": 4', '"n_scored": 3'))
    for path, part, key in ((bad[3], "metrics", "lpips"), (bad[4], "protocol", "size")):
        record = json.loads(path.read_text())
        del record[part][key]
        path.write_text(json.dumps(record))
    (rows,) = tables(tmp_path).values()
    assert list(rows) == ["good"]
    messages = capsys.readouterr().err
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    for path in bad:
        assert path.relative_to(tmp_path).as_posix() in messages
        assert path.relative_to(tmp_path).as_posix() in text
    assert len(messages.splitlines()) == len(bad)
