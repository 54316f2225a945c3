"""Fixtures of results: written records with any values, and real tests of small models."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.evaluation import baselines
from benchmark.evaluation.recorded import write_table
from benchmark.leaderboard import page
from benchmark.leaderboard.plots import Plot, plots_of
from benchmark.leaderboard.ranking import Leaderboard, read
from benchmark.metrics.table import METRICS
from tests.leaderboard_support import COST, EVIL, MeanDifference, add, board_of, prepare

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def add_record(tmp_path: Path, make_record: Make) -> Callable[..., Path]:
    """add_record(run, means, **changed) → the run.json that it writes beside a per_image.csv.

    The values of the images are close to the means, so that different means differ significantly.
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
    """Return a table with values of each image around the means of a record."""
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


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two protocols, "soft" and "spare".

    "soft" has several rows and a stand-in for LPIPS. "spare" has a single model without costs, one
    image, no LPIPS and no fixed rows.
    """
    folder = tmp_path_factory.mktemp("Results")
    setup = prepare(8, lpips=MeanDifference())
    baselines.test_baselines(folder, setup, None)
    add(folder, EVIL, (10.0, 20.0), setup)
    fast = COST.model_copy(update={"training_seconds": 30.0, "device": "GPU"})
    add(folder, "$warm$", (20.0, 60.0), setup, cost=fast)
    add(folder, "_cold", (0.0, -40.0), setup, cost=None)
    for seed in (1, 2):
        add(folder, "seeds", (-20.0 * seed, 5.0), setup, seed=seed)
    add(folder, "alone", (5.0, 5.0), prepare(1, "spare"), cost=None)
    return folder


@pytest.fixture(scope="session")
def found(results: Path) -> Leaderboard:
    return read(results)


@pytest.fixture(scope="session")
def text(found: Leaderboard) -> str:
    return page.html(found)


@pytest.fixture(scope="session")
def plots(found: Leaderboard) -> list[Plot]:
    return plots_of(board_of(found, "soft-32"), "x")


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write pages without plots, which take most of the time, for tests that do not need them."""
    monkeypatch.setattr(page, "plots_of", lambda board, prefix: [])
