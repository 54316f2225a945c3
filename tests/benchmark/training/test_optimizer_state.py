"""A state whose optimizers lack anything is refused: of every recipe, and of every optimizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.checkpoints import load_state, save_state
from benchmark.errors import UserError
from benchmark.training.loop import Loop
from benchmark.training.optimizer_state import fault_of_optimizer
from tests.support import blobs, make_loop, training_data

RECIPES = ["unet", "gan", "basicvae", "unetddim", "unetflow"]
"""A model of each recipe; all others take over one of these."""
Entries = dict[int, dict[str, Any]]


def make(folder: Path, name: str, **typed: Any) -> Loop:
    return make_loop(folder, name, training_data(blobs(8, 32)), **{"epochs": 2, **typed})


def lack_a_parameter(entries: Entries) -> None:
    del entries[0]


def lack_all(entries: Entries) -> None:
    entries.clear()


def lack_a_moment(entries: Entries) -> None:
    del entries[max(entries)]["exp_avg_sq"]


def lack_a_moment_everywhere(entries: Entries) -> None:
    for entry in entries.values():
        del entry["exp_avg"]


def exchange_the_step(entries: Entries) -> None:
    entries[max(entries)]["step"] = torch.ones(3)


CHANGES = (
    *(lack_a_parameter, lack_all, lack_a_moment, lack_a_moment_everywhere, exchange_the_step),
)


@pytest.mark.parametrize("name", RECIPES)
def test_a_state_without_moments_is_refused(tmp_path: Path, name: str) -> None:
    typed = {"generator_only": 0.0} if name == "gan" else {}
    make(tmp_path, name, **typed).run("disabled")
    loop = make(tmp_path, name, **typed)
    content = loop.folder.state.read_bytes()
    assert len(loop.optimizers) == 1 + (name == "gan")
    for key in loop.optimizers:
        for change in CHANGES:
            state = load_state(loop.folder.state)
            change(state["optimizers"][key]["state"])
            save_state(loop.folder.state, state)
            with pytest.raises(UserError, match=rf"optimizer {key}\): delete it to train this run"):
                loop.run("disabled")
            loop.folder.state.write_bytes(content)
    loop.run("disabled")  # the state as it was written is no other one


def test_a_discriminator_before_its_phase_has_no_moments(tmp_path: Path) -> None:
    make(tmp_path, "gan", generator_only=1.0).run("disabled")
    loop = make(tmp_path, "gan", generator_only=1.0)
    assert load_state(loop.folder.state)["optimizers"]["discriminator"]["state"] == {}
    loop.run("disabled")


class Unlike(torch.optim.SGD):
    """An optimizer whose constructor takes other arguments than its groups."""

    def __init__(self, needed: torch.Tensor) -> None:
        super().__init__([needed], lr=0.1, momentum=0.9)


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda p: torch.optim.SGD([p], lr=0.1),
        lambda p: torch.optim.SGD([p], lr=0.1, momentum=0.9),
        lambda p: torch.optim.RMSprop([p], lr=0.1, centered=True),
        lambda p: torch.optim.Adam([p], lr=0.1, amsgrad=True),
        lambda p: torch.optim.Adafactor([p], lr=0.1),
        Unlike,
    ],
    ids=["SGD", "momentum", "RMSprop", "amsgrad", "Adafactor", "unlike"],
)
def test_the_states_of_other_optimizers_are_taken(
    make_optimizer: Callable[[torch.Tensor], torch.optim.Optimizer],
) -> None:
    parameter = torch.nn.Parameter(torch.ones(4, 5))
    optimizer = make_optimizer(parameter)
    assert fault_of_optimizer(optimizer, optimizer.state_dict(), frozenset()) is None
    parameter.grad = torch.ones(4, 5)
    optimizer.step()
    assert fault_of_optimizer(optimizer, optimizer.state_dict(), frozenset({0})) is None
