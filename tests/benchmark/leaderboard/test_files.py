"""The files of a leaderboard: reproducible, safe for two programs, and none without a test."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from benchmark import leaderboard
from benchmark.errors import UserError


def test_two_programs_may_write_at_the_same_time(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    """The last writer is the last reader, so no table lacks a test that was finished before."""
    for run in "abc":
        add_record(run)
        threads = [Thread(target=leaderboard.write, args=(tmp_path,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        text = (tmp_path / "leaderboard.csv").read_text(encoding="utf-8")
        assert f",{run},{run}," in text
    assert not list(tmp_path.glob(".*.md"))


def test_tables_are_reproducible(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    for run in "abc":
        add_record(run, {"lpips": 0.5})

    def written() -> list[bytes]:
        leaderboard.write(tmp_path)
        return [path.read_bytes() for path in leaderboard.paths(tmp_path)]

    assert written() == written()


def test_without_a_usable_test_no_leaderboard_is_written(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    with pytest.raises(UserError, match="no finished test"):
        leaderboard.write(tmp_path)
    add_record("cut").write_text("{")
    with pytest.raises(UserError, match="no finished test"):
        leaderboard.write(tmp_path)
    assert not list(tmp_path.glob("leaderboard*"))
