"""Results of two protocols with models of one color, and what is needed to study them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from benchmark.evaluation import baselines
from benchmark.jobs.study import Plan
from benchmark.results.study import StudyKey
from tests.leaderboard_support import MeanDifference, add, prepare

Write = Callable[..., Path]
PLAN = Plan("real", images=None, trials=None, repeats=0, seconds=None, seed=0)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the protocols "soft", 8 images and several models, and "spare", one image."""
    folder = tmp_path_factory.mktemp("Results")
    setup = prepare(8, lpips=MeanDifference())
    baselines.test_baselines(folder, setup, None)
    for run, ab in (("warm", (20.0, 60.0)), ("cold", (0.0, -40.0)), ("violet", (30.0, -30.0))):
        add(folder, run, ab, setup)
    for seed in (1, 2):
        add(folder, "seeds", (-20.0 * seed, 5.0), setup, seed=seed)
    add(folder, "alone", (5.0, 5.0), prepare(1, "spare"), cost=None)
    return folder


@pytest.fixture
def plan() -> Plan:
    """A plan with the defaults of the command line."""
    return PLAN


@pytest.fixture
def write_answers(tmp_path: Path) -> Write:
    """write_answers(key, participant, choose, index=0, changes={}) → the file of answers.

    choose: trial → "left" or "right". changes: replaces values of the file.
    """

    def write(
        key: StudyKey,
        participant: str,
        choose: Callable[[Any], str],
        index: int = 0,
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> Path:
        values = {
            "schema_version": 1,
            "study": key.hash,
            "participant": participant,
            "list_index": index,
            "started": "2025-01-01T00:00:00.000Z",
            "answers": [
                {"trial": trial_id, "choice": choose(trial), "seconds": 1.5}
                for trial_id, trial in key.lists[index].items()
            ],
        }
        path = tmp_path / f"answers-{participant}.json"
        path.write_text(json.dumps({**values, **changes}), encoding="utf-8")
        return path

    return write
