"""Caches are listed, and removed by age and by size; a training then makes them again."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmark.data.cache import Cache
from benchmark.data.cleaning import choose, list_cache
from benchmark.data.manifest import Digests, scan
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.sources import cache_of

Run = Callable[..., tuple[int, str, str]]


def fill(folder: Path, **days: float) -> None:
    """Make caches of a megabyte each, unused for so many days."""
    for name, age in days.items():
        path = folder / name / "pack.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(10**6))
        then = time.time() - age * 24 * 3600
        os.utime(path, (then, then))


def names(entries: list) -> list[str]:
    return [entry.path.name for entry in entries]


def test_the_longest_unused_are_removed_first(tmp_path: Path) -> None:
    fill(tmp_path, a=1, b=30, c=10)
    entries = list_cache(tmp_path)
    assert names(entries) == ["b", "c", "a"]
    assert names(choose(entries, None, None)) == []
    assert names(choose(entries, 9.5, None)) == ["b", "c"]
    assert names(choose(entries, None, 1.5)) == ["b", "c"]
    assert names(choose(entries, 20, 2)) == ["b"]
    assert names(choose(entries, 20, 0)) == ["b", "c", "a"]
    assert list_cache(tmp_path / "nowhere") == []


def test_a_cache_that_is_read_counts_as_used(tmp_path: Path, images_folder: Path) -> None:
    cache, square = tmp_path / "cache", Preprocessing(32)
    files = scan(images_folder, Digests(None)).files
    whole = Cache(cache).load(files, square)
    (pack,) = cache.rglob("*.safetensors")
    os.utime(pack, (0, 0))
    assert list_cache(cache)[0].days(time.time()) > 1000
    again = Cache(cache).load(files, square)
    assert list_cache(cache)[0].days(time.time()) < 1
    assert (whole.rgb8 == again.rgb8).all()  # type: ignore[union-attr]


def test_the_command_removes_what_it_says(run: Run, tmp_path: Path) -> None:
    results = tmp_path / "Results"
    fill(cache_of(results), old=40, new=1)
    code, out, _ = run("data", "clean", "--results", str(results))
    assert (code, out.count("kept"), out.count("removed")) == (0, 2, 0)
    code, out, err = run("data", "clean", "--older_than", "30", "--results", str(results))
    assert (code, out.count("removed")) == (0, 1)
    assert "1.0 MB were removed" in err
    assert [path.name for path in cache_of(results).iterdir()] == ["new"]
