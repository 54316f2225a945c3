"""A state is resumed exactly, or refused in one sentence before anything of it is used."""

import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.checkpoints import load_state, save_state
from benchmark.errors import Interrupted, UserError
from benchmark.results.history import read_history
from benchmark.training.loop import Loop
from benchmark.training.schedule import rate_at
from benchmark.training.state import TrainingState
from tests.support import blobs, make_loop, training_data

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The results of a training that was stopped in its second epoch, and its state."""
    folder = tmp_path_factory.mktemp("interrupted")
    loop = make(folder)
    take_step = loop.take_step

    def stop() -> None:
        take_step()
        if loop.step == 3:
            raise Interrupted

    loop.take_step = stop  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        loop.run("disabled")
    return folder, load_state(loop.folder.state)


def make(folder: Path, **typed: Any) -> Loop:
    return make_loop(folder, "unet", training_data(blobs(16, 36)), **{"epochs": 2, **typed})


def test_a_state_is_read_as_it_was_written(
    interrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    state = TrainingState.model_validate(interrupted[1])
    assert (state.step, state.closed_epochs) == (2, 0)  # saved before the first epoch's validation
    state.save(tmp_path / "state.pt")
    assert TrainingState.load(tmp_path / "state.pt").step == state.step


VALUES = [None, [], "x", math.nan, -1, -math.inf, 10**30, True, {"a": 1}, {"a": [1]}, torch.ones(2)]
NUMBERS = ("step", "seconds", "closed_epochs", "untrained", "best", "best_epoch")
ENTRIES = (*NUMBERS, "identity", "sums", "counts", "recipe", "average", "optimizers")


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_of_another_kind_is_refused(
    interrupted: tuple[Path, dict[str, Any]], entry: str
) -> None:
    folder, state = interrupted
    loop = make(folder)
    for value in VALUES:
        if isinstance(value, int) and entry in ("seconds", "untrained", "best"):
            continue
        save_state(loop.folder.state, {**state, entry: value})
        with pytest.raises(UserError, match=r"state\.pt .*: delete it to train this run") as caught:
            loop._resume()
        assert "\n" not in str(caught.value)
    assert loop.step == 0


def first(tensors: dict[str, Any]) -> str:
    return next(iter(tensors))


def cut_tensor(state: dict[str, Any]) -> None:
    state["recipe"][first(state["recipe"])] = torch.zeros(0)


def list_for_tensor(state: dict[str, Any]) -> None:
    state["average"][first(state["average"])] = [1.0]


def missing_optimizer(state: dict[str, Any]) -> None:
    state["optimizers"] = {}


def moments_of_another_shape(state: dict[str, Any]) -> None:
    state["optimizers"]["model"]["state"][0]["exp_avg"] = torch.zeros(3)


def text_in_the_optimizer(state: dict[str, Any]) -> None:
    state["optimizers"]["model"]["state"][0]["step"] = "1"


def other_moments(state: dict[str, Any]) -> None:
    state["optimizers"]["model"]["param_groups"][0]["betas"] = (0.5, 0.5)


def lacking_moments(state: dict[str, Any]) -> None:
    del state["optimizers"]["model"]["state"][0]["exp_avg"]


def beyond_the_end(state: dict[str, Any]) -> None:
    state["step"] = 5


def more_epochs_than_steps(state: dict[str, Any]) -> None:
    state["closed_epochs"] = 2


def an_entry_more(state: dict[str, Any]) -> None:
    state["more"] = 1


FORGERIES = [cut_tensor, list_for_tensor, missing_optimizer, moments_of_another_shape]
FORGERIES += [text_in_the_optimizer, other_moments, lacking_moments, beyond_the_end]
FORGERIES += [more_epochs_than_steps, an_entry_more]


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_state_that_does_not_fit_is_refused(
    interrupted: tuple[Path, dict[str, Any]], forge: Change
) -> None:
    folder, _ = interrupted
    loop = make(folder)
    save_state(loop.folder.state, interrupted[1])
    state = load_state(loop.folder.state)  # a copy
    forge(state)
    save_state(loop.folder.state, state)
    with pytest.raises(UserError, match=r"state\.pt .*: delete it to train this run"):
        loop._resume()


@pytest.mark.parametrize("typed", [{"learning_rate": 1e-4}, {"seed": 1}])
def test_the_state_of_another_training_is_refused(
    interrupted: tuple[Path, dict[str, Any]], tmp_path: Path, typed: dict[str, Any]
) -> None:
    loop = make(tmp_path, **typed)
    save_state(loop.folder.state, interrupted[1])
    with pytest.raises(UserError, match="other settings or images"):
        loop.run("disabled")


def test_a_training_killed_while_it_validates_ends_like_an_uninterrupted_one(
    interrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    whole, resumed = make(tmp_path / "whole"), make(tmp_path / "resumed")
    save_state(resumed.folder.state, interrupted[1])
    for loop in (whole, resumed):
        loop.run("disabled")
    for which in ("best", "last"):
        paths = [loop.folder.weights_file(which) for loop in (whole, resumed)]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    rows = [read_history(loop.folder.history) for loop in (whole, resumed)]
    assert [row["val/color"] for row in rows[0]] == [row["val/color"] for row in rows[1]]
    assert len(rows[1]) == 2


@pytest.mark.parametrize("ended", [{}, {"max_steps": 3}], ids=["epochs", "max_steps"])
def test_a_longer_training_goes_on_from_the_last_state_and_resumes_exactly(
    tmp_path: Path, ended: dict[str, Any]
) -> None:
    def extended(name: str) -> Loop:
        begun = make(tmp_path / name, **ended)
        if not begun.folder.state.exists():
            begun.run("disabled")
        loop = make(tmp_path / name, epochs=4)
        loop.begun = begun.begun
        return loop

    whole, killed = extended("whole"), extended("killed")
    whole.run("disabled")
    take_step = killed.take_step

    def stop() -> None:
        take_step()
        if killed.step == 5:
            signal.raise_signal(signal.SIGTERM)

    killed.take_step = stop  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        killed.run("disabled")
    resumed = extended("killed")
    resumed.run("disabled")
    for which in ("best", "last"):
        paths = [loop.folder.weights_file(which) for loop in (whole, resumed)]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    rows = read_history(whole.folder.history)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    full = whole.settings.learning_rate
    assert rows[2]["learning_rate"] == pytest.approx(full * rate_at(6 / 8, whole.settings.warmup))
