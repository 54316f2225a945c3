"""The written tables: marks, names, separate protocols, escaping, and CSV without rounding."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark import leaderboard
from benchmark.evaluation import baselines, evaluate
from benchmark.evaluation.named import TestImages
from benchmark.leaderboard.notes import bias_of_fid
from benchmark.metrics.options import MetricOptions
from benchmark.metrics.table import METRICS, MetricSuite
from tests.leaderboard_support import add, column, images, tables

pytestmark = pytest.mark.usefixtures("without_plots")
Make = Callable[..., dict[str, Any]]


def test_the_best_is_bold_the_second_italic_the_third_both(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    for run, value in zip("abcd", (0.3, 0.1, 0.4, 0.2), strict=True):
        add_record(run, {"lpips": value, "ssim": value, "colorfulness": value})
    add_record("gray", {"lpips": 0.05, "ssim": 0.05}, kind="fixed")
    add_record("ground truth", {"lpips": 0.0, "ssim": 1.0}, kind="fixed")
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
    # A metric that describes and does not rank has neither an arrow nor a mark.
    assert not any("*" in cell for cell in column(rows, "Colorfulness").values())
    assert list(rows) == ["b", "d", "a", "c", "ground truth", "gray"]  # best first, fixed below


def test_the_classic_columns_come_first(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    add_record("unet")
    (rows,) = tables(tmp_path).values()
    first = ["rank", "Model", "steps", "seeds", "SSIM ↑", "LPIPS (alex) ↓", "ΔE2000 ↓"]
    assert list(rows["unet"])[: len(first)] == first
    for metric in METRICS.values():
        assert metric.between_samples or any(head.startswith(metric.label) for head in rows["unet"])
    assert rows["unet"]["parameters"] == "1.50 M"
    assert rows["unet"]["training"] == "1.5 min"
    assert rows["unet"]["peak memory"] == "2.00 GB"
    assert rows["unet"]["ms/image"] == "1.5"


def test_equal_values_share_a_mark(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    for run, value in zip("abcde", (0.1, 0.1, 0.2, 0.2, 0.3), strict=True):
        add_record(run, {"lpips": value})
    (rows,) = tables(tmp_path).values()
    marked = column(rows, "LPIPS (alex) ↓")
    assert [marked[run] for run in "abcde"] == [
        "**0.100**",
        "**0.100**",
        "*0.200*",
        "*0.200*",
        "***0.300***",
    ]


def test_names_of_rows_differ_by_steps_and_seeds(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    add_record("unetddim", sampling={"steps": 50, "eta": 0.0}, sampling_changes=["steps", "eta"])
    add_record("unetddim", sampling={"steps": 20, "eta": 1.0}, seed=7)
    add_record("unet", seed=7)
    add_record("mine", model="unet")
    (rows,) = tables(tmp_path).values()
    assert set(rows) == {"unetddim, eta 0", "unetddim, seed 7", "unet, seed 7", "mine (unet)"}
    assert rows["unetddim, eta 0"]["steps"] == "50"
    assert rows["unetddim, seed 7"]["steps"] == "20"
    assert rows["unet, seed 7"]["steps"] == ""


def test_a_name_lists_only_what_differs_from_the_defaults(
    tmp_path: Path, add_record: Callable[..., Path], make_record: Make
) -> None:
    values = {"steps": 20, "eta": 0.5, "guidance": 2.0, "clip": True}
    weights = {**make_record()["weights"], "trained_as": "unetddim"}
    add_record("unetddpm", sampling=values, sampling_changes=["guidance", "clip"], weights=weights)
    (rows,) = tables(tmp_path).values()
    assert set(rows) == {"unetddpm, guidance 2, clip True, weights of unetddim"}
    with (tmp_path / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["sampling"] == "steps=20 eta=0.5 guidance=2.0 clip=True"


def test_names_in_latex_tables_are_escaped(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    add_record("a_b & 50% #1", {"lpips": 0.1})
    add_record("b", {"lpips": 0.2})
    leaderboard.write(tmp_path)
    text = (tmp_path / "leaderboard.tex").read_text(encoding="utf-8")
    assert r"a\_b \& 50\% \#1" in text
    assert r"\textbf{0.100 $\pm$ 0.010}" in text
    assert r"\textit{0.200 $\pm$ 0.010}" in text
    assert text.isascii()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2


def test_two_protocols_never_share_a_table(
    tmp_path: Path, add_record: Callable[..., Path], make_record: Make
) -> None:
    other = make_record()["protocol"] | {"name": "scenes-32", "size": 32}
    add_record("a", {"lpips": 0.1})
    add_record("b", {"lpips": 0.2})
    add_record("c", {"lpips": 0.3}, protocol=other)
    found = tables(tmp_path)
    assert {heading: set(rows) for heading, rows in found.items()} == {
        "photos-64": {"a", "b"},
        "scenes-32": {"c"},
    }
    assert column(found["scenes-32"], "LPIPS (alex) ↓") == {"c": "**0.300**"}


def test_a_bar_in_a_name_does_not_break_the_table(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    add_record("left|right\nbelow", {"lpips": 0.1})
    add_record("plain", {"lpips": 0.2})
    (rows,) = tables(tmp_path).values()  # which asserts that all rows have the same number of cells
    assert set(rows) == {"left|right below", "plain"}


def test_an_empty_column_is_explained(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    add_record("a", {"lpips": None})
    (rows,) = tables(tmp_path).values()
    assert rows["a"]["LPIPS (alex) ↓"] == ""
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "LPIPS (alex) is empty: nothing to measure with." in text


def test_csv_has_full_precision(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    values: dict[str, float | None] = {"ssim": 0.1 + 0.2, "lpips": 1 / 3, "delta_e2000": 1e-7 / 3}
    add_record("a", values)
    add_record("gray", {"lpips": None}, kind="fixed")
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


@pytest.mark.parametrize("variant", ["signed", "absolute"])
def test_the_difference_of_means_is_in_the_table_and_in_the_csv(
    variant: str, tmp_path: Path
) -> None:
    suite = MetricSuite(MetricOptions(colorfulness=variant))  # type: ignore[arg-type]
    setup = evaluate.prepare(images(6), "soft", TestImages.of(32), suite=suite, num_images=1)
    baselines.test_baselines(tmp_path, setup, None)
    add(tmp_path, "red", (40.0, 10.0), setup)
    (rows,) = tables(tmp_path).values()
    with (tmp_path / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        written = {row["run"]: row for row in csv.DictReader(stream)}
    if variant == "signed":
        assert all("ΔCF of means" not in row for row in rows.values())
        assert all("delta_cf" not in row for row in written.values())
        return
    means = {run: float(row["colorfulness"]) for run, row in written.items()}
    for run, model in (("red", "red"), ("gray", "gray"), ("ground-truth", "ground truth")):
        expected = abs(means[run] - means["ground-truth"])
        assert float(written[run]["delta_cf"]) == expected
        assert rows[model]["ΔCF of means"] == f"{expected:.2f}"
    assert float(written["ground-truth"]["delta_cf"]) == 0


def test_fid_is_said_to_be_unfit_up_to_as_many_images_as_inception_has_features() -> None:
    for n in (2, 2000, 2047, 2048):
        assert f"FID of {n:,} images is mostly bias" in str(bias_of_fid(n))
    assert bias_of_fid(2049) is None


def test_a_metric_of_the_whole_set_has_a_deviation_and_no_interval(
    tmp_path: Path, add_record: Callable[..., Path], make_record: Make
) -> None:
    values = make_record()["metrics"]
    values["kid"] |= {"mean": 0.0321, "std": 0.0042, "low": None, "high": None}
    values["ab_divergence"] |= {"mean": 0.2, "std": None, "low": None, "high": None}
    values["ssim"] |= {"mean": 0.9, "std": None, "low": None, "high": None}
    add_record("a", metrics=values)
    ((row,),) = (rows.values() for rows in tables(tmp_path).values())
    assert row["KID ↓"] == "**0.032 (σ 0.004)**"
    assert row["JSD of ab ↓"] == "**0.200**"
    assert row["SSIM ↑"] == "**0.900**"


def test_a_heading_names_the_chosen_lpips_backbone(
    tmp_path: Path, add_record: Callable[..., Path], make_record: Make
) -> None:
    record = make_record({"lpips": 0.1})
    options = MetricOptions(lpips_backbone="squeeze")
    values = record["metrics"]
    for key in ("lpips", "diversity_lpips"):
        values[key]["label"] = values[key]["label"].replace("alex", "squeeze")
    protocol = record["protocol"] | {"metrics": MetricSuite(options).describe()}
    add_record("a", metrics=values, protocol=protocol)
    (rows,) = tables(tmp_path).values()
    assert column(rows, "LPIPS (squeeze) ↓") == {"a": "**0.100**"}


def test_a_table_of_one_image_states_that_it_has_no_intervals(
    tmp_path: Path, add_record: Callable[..., Path], make_record: Make
) -> None:
    add_record("a", protocol=make_record()["protocol"] | {"n_images": 1}, n_expected=1, n_scored=1)
    leaderboard.write(tmp_path)
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "1 test image of" in text
    assert "a single image has no interval" in text
