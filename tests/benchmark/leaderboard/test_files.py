"""The files of a leaderboard: the same each time, none without a test, two programs at once."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from benchmark import leaderboard
from benchmark.errors import UserError


def test_two_programs_may_write_at_once(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    """Whoever writes last has read last: no table lacks a test that was there before it."""
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


def test_the_tables_are_the_same_each_time(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    for run in "abc":
        add_record(run, {"lpips": 0.5})

    def written() -> list[bytes]:
        leaderboard.write(tmp_path)
        return [path.read_bytes() for path in leaderboard.paths(tmp_path)]

    assert written() == written()


def test_where_nothing_is_usable_one_sentence_says_so(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    with pytest.raises(UserError, match="no finished test"):
        leaderboard.write(tmp_path)
    add_record("cut").write_text("{")
    with pytest.raises(UserError, match="no finished test"):
        leaderboard.write(tmp_path)
    assert not list(tmp_path.glob("leaderboard*"))
