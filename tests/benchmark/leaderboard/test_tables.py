"""Tables of run.json files: marks, separate protocols, broken files left out, CSV not rounded."""

import csv
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import pytest

from benchmark import leaderboard
from benchmark.errors import UserError
from benchmark.evaluation.per_image import write_table
from benchmark.metrics.table import METRICS

Make = Callable[..., dict[str, Any]]
Rows = dict[str, dict[str, str]]


@pytest.fixture
def add(tmp_path: Path, make_record: Make) -> Callable[..., Path]:
    """add(run, means, **changed): write a run.json and a per_image.csv where a test would.

    The images' values are near the means, so that rows of other means differ significantly.
    """

    def write(run: str, means: Mapping[str, float | None] | None = None, **changed: Any) -> Path:
        if changed.get("kind") == "fixed":
            changed = {"training_data": None, "weights": None, "cost": None, **changed}
        record = make_record(means, **{"run": run, "model": run, **changed})
        if record["weights"] and "weights" not in changed:
            record["weights"] |= {"trained_as": record["model"], "run": run}
        test = f"{record['protocol']['name']}-{record['protocol_hash'][:8]}"
        folder = tmp_path / run / f"seed-{record['seed']}" / "tests" / test
        folder.mkdir(parents=True)
        record["per_image_sha256"] = write_table(folder / "per_image.csv", per_image(record))
        (folder / "run.json").write_text(json.dumps(record))
        return folder / "run.json"

    return write


def per_image(record: dict[str, Any]) -> pd.DataFrame:
    """Values of four images around each mean of a record."""
    count = record["protocol"]["n_images"]
    names = [f"{row}.png" for row in range(count)]
    table = pd.DataFrame({"file": names, "sha256": names, "sample": "0"})
    table["output"] = [f"images/{name}" for name in names]
    table["output_sha256"] = names
    around = [(row - (count - 1) / 2) / 1000 for row in range(count)]
    for key, score in record["metrics"].items():
        if METRICS[key].per_image and score["mean"] is not None:
            table[key] = [score["mean"] + part for part in around]
    return table


def tables(results: Path) -> dict[str, Rows]:
    """leaderboard.md as heading → model → column → cell, all tables of a heading in one."""
    leaderboard.write(results)
    found: dict[str, Rows] = {}
    header: list[str] = []
    for line in (results / "leaderboard.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            header = []
        if line.startswith("## ") and line != "## Left out":
            heading = line[3:]
            found[heading] = {}
        elif line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            cells = [cell.strip().replace(r"\|", "|") for cell in cells]
            if not header:
                header = cells
            elif set(line) != {"|", "-"}:
                assert len(cells) == len(header)
                row = dict(zip(header, cells, strict=True))
                found[heading].setdefault(row["Model"], {}).update(row)
    return found


def column(rows: Rows, label: str) -> dict[str, str]:
    """The cells of a metric by model, without the interval."""
    return {model: re.sub(r" ± [\d.]+", "", row[label]) for model, row in rows.items()}


def test_the_best_is_bold_the_second_italic_the_third_both(
    tmp_path: Path, add: Callable[..., Path]
) -> None:
    for run, value in zip("abcd", (0.3, 0.1, 0.4, 0.2), strict=True):
        add(run, {"lpips": value, "ssim": value, "colorfulness": value})
    add("gray", {"lpips": 0.05, "ssim": 0.05}, kind="fixed")
    add("ground truth", {"lpips": 0.0, "ssim": 1.0}, kind="fixed")
    (rows,) = tables(tmp_path).values()
    assert column(rows, "LPIPS (alex) ↓") == {
        "b": "**0.100**",
        "d": "*0.200*",
        "a": "***0.300***",
        "c": "0.400",
        "ground truth": "0.000",
        "gray": "0.050",
    }
    assert column(rows, "SSIM ↑") == {
        "b": "0.100",
        "d": "***0.200***",
        "a": "*0.300*",
        "c": "**0.400**",
        "ground truth": "1.000",
        "gray": "0.050",
    }
    # What describes and does not rank has neither arrow nor mark.
    assert not any("*" in cell for cell in column(rows, "Colorfulness").values())
    assert list(rows) == ["b", "d", "a", "c", "ground truth", "gray"]  # best first, fixed below


def test_the_classic_columns_come_first(tmp_path: Path, add: Callable[..., Path]) -> None:
    add("unet")
    (rows,) = tables(tmp_path).values()
    first = ["rank", "Model", "steps", "seeds", "SSIM ↑", "LPIPS (alex) ↓", "ΔE2000 ↓"]
    assert list(rows["unet"])[: len(first)] == first
    for metric in METRICS.values():
        assert metric.between_samples or any(head.startswith(metric.label) for head in rows["unet"])
    assert rows["unet"]["parameters"] == "1.50 M"
    assert rows["unet"]["training"] == "1.5 min"
    assert rows["unet"]["peak memory"] == "2.00 GB"
    assert rows["unet"]["ms/image"] == "1.5"


def test_equal_values_share_a_mark(tmp_path: Path, add: Callable[..., Path]) -> None:
    for run, value in zip("abcde", (0.1, 0.1, 0.2, 0.2, 0.3), strict=True):
        add(run, {"lpips": value})
    (rows,) = tables(tmp_path).values()
    marked = column(rows, "LPIPS (alex) ↓")
    assert [marked[run] for run in "abcde"] == [
        "**0.100**",
        "**0.100**",
        "*0.200*",
        "*0.200*",
        "***0.300***",
    ]


def test_steps_and_seeds_tell_rows_apart(tmp_path: Path, add: Callable[..., Path]) -> None:
    add("unetddim", sampling={"steps": 50, "eta": 0.0}, sampling_changes=["steps", "eta"])
    add("unetddim", sampling={"steps": 20, "eta": 1.0}, seed=7)
    add("unet", seed=7)
    add("mine", model="unet")
    (rows,) = tables(tmp_path).values()
    assert set(rows) == {"unetddim, eta 0", "unetddim, seed 7", "unet, seed 7", "mine (unet)"}
    assert rows["unetddim, eta 0"]["steps"] == "50"
    assert rows["unetddim, seed 7"]["steps"] == "20"
    assert rows["unet, seed 7"]["steps"] == ""


def test_a_name_lists_only_what_differs_from_the_defaults(
    tmp_path: Path, add: Callable[..., Path], make_record: Make
) -> None:
    values = {"steps": 20, "eta": 0.5, "guidance": 2.0, "clip": True}
    weights = {**make_record()["weights"], "trained_as": "unetddim"}
    add("unetddpm", sampling=values, sampling_changes=["guidance", "clip"], weights=weights)
    (rows,) = tables(tmp_path).values()
    assert set(rows) == {"unetddpm, guidance 2, clip True, weights of unetddim"}
    with (tmp_path / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["sampling"] == "steps=20 eta=0.5 guidance=2.0 clip=True"


def test_seeds_of_one_run_are_one_row(tmp_path: Path, add: Callable[..., Path]) -> None:
    for seed, value in ((1, 0.1), (2, 0.2), (3, 0.6)):
        add("unet", {"lpips": value, "kid": value}, seed=seed, settings={"epochs": 2, "seed": seed})
    add("unet", {"lpips": 0.7}, seed=4, settings={"epochs": 9, "seed": 4})
    add("other", {"lpips": 0.5})
    (found,) = leaderboard.write(tmp_path).boards
    several, other, longer = found.models
    assert (several.name, several.seeds, several.rank) == ("unet", [1, 2, 3], 1)
    assert (other.rank, longer.name, longer.rank) == (2, "unet, seed 4", 3)
    score = several.scores["lpips"]
    assert score.mean == pytest.approx(0.3)
    assert score.low is not None  # over the images, whose spread all seeds have alike
    assert score.high == pytest.approx(0.3015, abs=0.001)
    assert several.std_over_seeds("lpips") == pytest.approx(0.07**0.5)
    kid = several.scores["kid"]
    assert (kid.mean, kid.std, kid.low) == (pytest.approx(0.3), None, None)
    assert "seeds 0.265" in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")


def test_the_same_seed_tested_under_two_names_counts_once(
    tmp_path: Path, add: Callable[..., Path], make_record: Make
) -> None:
    other = make_record()["protocol"] | {"name": "the same photos"}
    add("unet", {"lpips": 0.2}, finished="2025-01-02T00:00:00+00:00")
    add("unet", {"lpips": 0.1}, protocol=other, finished="2025-01-01T00:00:00+00:00")
    (found,) = leaderboard.write(tmp_path).boards
    (row,) = found.rows
    assert (row.seeds, row.scores["lpips"].mean) == ([8000], 0.2)


def test_two_programs_may_write_at_once(tmp_path: Path, add: Callable[..., Path]) -> None:
    """Whoever writes last has read last: no table lacks a test that was there before it."""
    for run in "abc":
        add(run)
        threads = [Thread(target=leaderboard.write, args=(tmp_path,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        text = (tmp_path / "leaderboard.csv").read_text(encoding="utf-8")
        assert f",{run},{run}," in text
    assert not list(tmp_path.glob(".*.md"))


def test_ranks_show_ties(tmp_path: Path, add: Callable[..., Path]) -> None:
    """Values near each other by less than images differ; the same number is no worse."""
    for run, value in (("a", 0.1), ("b", 0.1), ("c", 0.3)):
        add(run, {"lpips": value, "ssim": value})
    add("gray", {"lpips": 0.2, "ssim": 0.2}, kind="fixed")
    (found,) = leaderboard.write(tmp_path).boards
    assert {row.name: row.rank for row in found.rows if row.rank} == {"a": 1, "b": 1, "c": 3}
    assert found.no_better_than_gray == ["c"]
    (found,) = leaderboard.write(tmp_path, sort="ssim").boards
    assert {row.name: row.rank for row in found.rows if row.rank} == {"a": 2, "b": 2, "c": 1}
    assert [row.name for row in found.models] == ["c", "a", "b"]


def test_rows_are_never_ordered_by_two_metrics(tmp_path: Path, add: Callable[..., Path]) -> None:
    add("a", {"lpips": None, "delta_e2000": 0.3})
    add("b", {"lpips": 0.9, "delta_e2000": 0.1})
    (found,) = leaderboard.write(tmp_path).boards
    assert found.sort == "delta_e2000"
    assert [row.name for row in found.models] == ["b", "a"]


def test_an_unknown_metric_is_refused(tmp_path: Path, add: Callable[..., Path]) -> None:
    add("a")
    with pytest.raises(UserError, match="'lpisp'; did you mean 'lpips'"):
        leaderboard.write(tmp_path, sort="lpisp")


@pytest.mark.parametrize("fault", ["cut", "gone", "edited"])
def test_a_table_that_is_not_the_one_scored_takes_its_row_along(
    tmp_path: Path, add: Callable[..., Path], fault: str
) -> None:
    add("good")
    table = add("bad").parent / "per_image.csv"
    content = table.read_text()
    if fault == "gone":
        table.unlink()
    else:
        table.write_text(content[:200] if fault == "cut" else content.replace("0.5015", "0.4015"))
        assert table.read_text() != content
    found = leaderboard.write(tmp_path)
    assert [row.name for row in found.boards[0].models] == ["good"]
    (reason,) = found.refused.values()
    assert "per_image.csv" in reason
    assert str(tmp_path) not in reason


def test_protocols_that_this_suite_does_not_know_are_refused(
    tmp_path: Path, add: Callable[..., Path], make_record: Make
) -> None:
    add("good")
    protocol = make_record()["protocol"]
    add("older", protocol=protocol | {"version": 1})
    add("forged", protocol=protocol | {"size": 32}, protocol_hash="a" * 64)
    found = leaderboard.write(tmp_path)
    assert [row.name for row in found.boards[0].rows] == ["good"]
    older, forged = (found.refused[path] for path in sorted(found.refused, reverse=True))
    assert "version 1" in older
    assert "hash is not that" in forged


def test_latex_has_a_table_that_compiles_by_its_escapes(
    tmp_path: Path, add: Callable[..., Path]
) -> None:
    add("a_b & 50% #1", {"lpips": 0.1})
    add("b", {"lpips": 0.2})
    leaderboard.write(tmp_path)
    text = (tmp_path / "leaderboard.tex").read_text(encoding="utf-8")
    assert r"a\_b \& 50\% \#1" in text
    assert r"\textbf{0.100 $\pm$ 0.010}" in text
    assert r"\textit{0.200 $\pm$ 0.010}" in text
    assert text.isascii()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2


def test_two_protocols_never_share_a_table(
    tmp_path: Path, add: Callable[..., Path], make_record: Make
) -> None:
    other = make_record()["protocol"] | {"name": "scenes-32", "size": 32}
    add("a", {"lpips": 0.1})
    add("b", {"lpips": 0.2})
    add("c", {"lpips": 0.3}, protocol=other)
    found = tables(tmp_path)
    assert {heading: set(rows) for heading, rows in found.items()} == {
        "photos-64": {"a", "b"},
        "scenes-32": {"c"},
    }
    assert column(found["scenes-32"], "LPIPS (alex) ↓") == {"c": "**0.300**"}


def test_protocols_of_one_name_and_another_hash_are_apart_too(
    tmp_path: Path, add: Callable[..., Path], make_record: Make
) -> None:
    add("a")
    add("b", protocol=make_record()["protocol"] | {"manifest": "b" * 64})
    found = leaderboard.write(tmp_path)
    assert [[row.name for row in board.rows] for board in found.boards] == [["a"], ["b"]]
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert text.count("## photos-64") == 2
    assert all(board.protocol_hash[:8] in text for board in found.boards)


def test_broken_results_are_left_out_and_named_and_others_stay(
    tmp_path: Path, add: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    add("good", {"lpips": 0.2})
    bad = [add(run) for run in ("cut", "text", "short", "poor", "bare")]
    bad[0].write_text(bad[0].read_text()[:100])
    bad[1].write_text(bad[1].read_text().replace('"mean": 0.5', '"mean": "0.5"'))
    bad[2].write_text(bad[2].read_text().replace('"n_scored": 4', '"n_scored": 3'))
    for path, part, key in ((bad[3], "metrics", "lpips"), (bad[4], "protocol", "size")):
        record = json.loads(path.read_text())
        del record[part][key]
        path.write_text(json.dumps(record))
    (rows,) = tables(tmp_path).values()
    assert list(rows) == ["good"]
    said = capsys.readouterr().err
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    for path in bad:
        assert path.relative_to(tmp_path).as_posix() in said
        assert path.relative_to(tmp_path).as_posix() in text
    assert len(said.splitlines()) == len(bad)


def test_where_nothing_is_usable_one_sentence_says_so(
    tmp_path: Path, add: Callable[..., Path]
) -> None:
    with pytest.raises(UserError, match="no finished test"):
        leaderboard.write(tmp_path)
    add("cut").write_text("{")
    with pytest.raises(UserError, match="no finished test"):
        leaderboard.write(tmp_path)
    assert not list(tmp_path.glob("leaderboard*"))


def test_a_bar_in_a_name_does_not_break_the_table(tmp_path: Path, add: Callable[..., Path]) -> None:
    add("left|right\nbelow", {"lpips": 0.1})
    add("plain", {"lpips": 0.2})
    (rows,) = tables(tmp_path).values()  # which asserts that each row has as many cells
    assert set(rows) == {"left|right below", "plain"}


def test_an_empty_column_says_why(tmp_path: Path, add: Callable[..., Path]) -> None:
    add("a", {"lpips": None})
    (rows,) = tables(tmp_path).values()
    assert rows["a"]["LPIPS (alex) ↓"] == ""
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "LPIPS (alex) is empty: nothing to measure with." in text


def test_csv_has_full_precision(tmp_path: Path, add: Callable[..., Path]) -> None:
    values: dict[str, float | None] = {"ssim": 0.1 + 0.2, "lpips": 1 / 3, "delta_e2000": 1e-7 / 3}
    add("a", values)
    add("gray", {"lpips": None}, kind="fixed")
    leaderboard.write(tmp_path)
    assert all(path.is_file() for path in leaderboard.paths(tmp_path))
    with (tmp_path / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["run"]: row for row in csv.DictReader(stream)}
    for key, value in values.items():
        assert float(rows["a"][key]) == value
    assert rows["gray"]["lpips"] == ""
    for key in METRICS:
        assert {key, f"{key}_std", f"{key}_low", f"{key}_high"} <= rows["a"].keys()
    assert rows["a"]["weights_sha256"] == "0" * 64


def test_the_tables_are_the_same_each_time(tmp_path: Path, add: Callable[..., Path]) -> None:
    for run in "abc":
        add(run, {"lpips": 0.5})

    def written() -> list[bytes]:
        leaderboard.write(tmp_path)
        return [path.read_bytes() for path in leaderboard.paths(tmp_path)]

    assert written() == written()


def test_a_value_of_the_whole_set_has_its_deviation_and_no_interval(
    tmp_path: Path, add: Callable[..., Path], make_record: Make
) -> None:
    values = make_record()["metrics"]
    values["kid"] |= {"mean": 0.0321, "std": 0.0042, "low": None, "high": None}
    values["ab_divergence"] |= {"mean": 0.2, "std": None, "low": None, "high": None}
    values["ssim"] |= {"mean": 0.9, "std": None, "low": None, "high": None}
    add("a", metrics=values)
    ((row,),) = (rows.values() for rows in tables(tmp_path).values())
    assert row["KID ↓"] == "**0.032 (σ 0.004)**"
    assert row["JSD of ab ↓"] == "**0.200**"
    assert row["SSIM ↑"] == "**0.900**"


def test_a_heading_names_what_was_chosen(
    tmp_path: Path, add: Callable[..., Path], make_record: Make
) -> None:
    values = make_record({"lpips": 0.1})["metrics"]
    values["lpips"]["label"] = "LPIPS (squeeze)"
    add("a", metrics=values)
    (rows,) = tables(tmp_path).values()
    assert column(rows, "LPIPS (squeeze) ↓") == {"a": "**0.100**"}


def test_a_table_of_one_image_says_that_it_has_no_intervals(
    tmp_path: Path, add: Callable[..., Path], make_record: Make
) -> None:
    add("a", protocol=make_record()["protocol"] | {"n_images": 1}, n_expected=1, n_scored=1)
    leaderboard.write(tmp_path)
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "1 test image of" in text
    assert "a single image has no interval" in text
