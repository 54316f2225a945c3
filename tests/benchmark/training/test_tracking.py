"""What wandb is started with, and which rows of a history are read."""

import json
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.results.folders import RunFolder
from benchmark.results.history import read_history
from benchmark.training.tracking import Tracker, choose_wandb_mode

ROW = {
    "epoch": 1, "step": 2, "seconds": 0.5, "images_per_second": 9.0, "learning_rate": 1e-3,
    "train/color": 0.25, "val/kl_per_dimension": [0.5, 1.0],
}  # fmt: skip


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What wandb.init is called with; no variable of wandb is set."""
    calls: list[dict[str, Any]] = []
    run = SimpleNamespace(log=lambda *_, **__: None, finish=lambda **_: None)

    def init(**arguments: Any) -> Any:
        calls.append(arguments)
        assert os.environ.get("WANDB_MODE", "offline").islower()  # wandb refuses all others
        return run

    fake = SimpleNamespace(init=init, Settings=dict, Histogram=list)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    return calls


@pytest.mark.parametrize(
    ("typed", "variable", "mode"),
    [
        (None, None, "offline"),
        (None, "online", "online"),
        (None, "run", "online"),
        (None, "dryrun", "offline"),
        (None, "shared", "shared"),
        (None, "disabled", "disabled"),
        (None, "", "offline"),
        ("online", "disabled", "online"),
        ("disabled", "online", "disabled"),
        (None, "Disabled", "disabled"),
        (None, "DryRun", "offline"),
    ],
)
def test_the_typed_mode_wins_over_the_environment_and_that_over_the_default(
    started: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: Any,
    variable: str | None,
    mode: str,
) -> None:
    if variable is not None:
        monkeypatch.setenv("WANDB_MODE", variable)
    with Tracker(RunFolder(tmp_path, "unet", 1), choose_wandb_mode(typed), {}, 1):
        pass
    assert [call["mode"] for call in started] == ([] if mode == "disabled" else [mode])


def test_an_unknown_mode_is_refused_and_wandb_can_be_disabled(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "quiet")
    with pytest.raises(UserError, match="WANDB_MODE=quiet: its values are online"):
        choose_wandb_mode(None)
    monkeypatch.setenv("WANDB_MODE", "Disabld")
    with pytest.raises(UserError, match="did you mean 'disabled'"):
        choose_wandb_mode(None)
    assert choose_wandb_mode("offline") == "offline"
    monkeypatch.setenv("WANDB_DISABLED", "true")
    assert choose_wandb_mode(None) == "disabled"


def test_the_variables_of_wandb_win_over_the_built_in_values(
    started: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path, "unet", 1)
    own = {"project": "chromabench", "name": "unet-seed-1", "dir": folder.path}
    with Tracker(folder, "offline", {"epochs": 2}, 1):
        pass
    assert {key: started[0][key] for key in own} == own
    assert started[0]["config"] == {"epochs": 2}
    assert started[0]["settings"]["init_timeout"] == 30
    for name in ("PROJECT", "NAME", "DIR", "ENTITY", "RUN_GROUP", "TAGS", "INIT_TIMEOUT"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path))
    with Tracker(folder, "offline", {}, 1):
        pass
    # What is not passed, wandb itself takes from the environment.
    assert not {*own, "entity", "group", "tags"} & started[1].keys()
    assert "init_timeout" not in started[1]["settings"]


def test_a_wandb_that_cannot_start_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with Tracker(RunFolder(tmp_path, "unet", 1), "offline", {}, 1) as tracker:
        tracker.record(ROW)
    assert "wandb could not start and is disabled" in capsys.readouterr().err
    assert read_history(tmp_path / "unet/seed-1/history.jsonl") == [ROW]


DAMAGED = ["", "{", "[]", "null", "[" * 100_000, "{}", json.dumps({**ROW, "epoch": 0})]
DAMAGED += [json.dumps({**ROW, "seconds": "1"}), json.dumps({**ROW, "train/color": None})]
DAMAGED += [json.dumps({**ROW, "train/color": math.nan}), json.dumps({**ROW, "step": 10**400})]


@pytest.mark.parametrize("line", DAMAGED, ids=lambda line: str(line)[-30:])
def test_a_damaged_row_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{line}\n")
    with pytest.raises(UserError, match=r"history\.jsonl, line 2, .* Delete this file"):
        read_history(path)


def test_missing_rows_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder(tmp_path, "unet", 1)
    assert Tracker(folder, "disabled", {}, 1).rows == []
    assert capsys.readouterr().err == ""
    Tracker(folder, "disabled", {}, 3)
    assert "lacks 2 of the 2 epochs" in capsys.readouterr().err
