"""Whether the state of an optimizer, as a training saved it, is one that the optimizer can have."""

from collections.abc import Set
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.checkpoints import is_dense

Entry = dict[str, Any]
PROBE = (2, 3)
"""The shape of a parameter that is stepped to see which entries an optimizer makes."""


def fault_of_optimizer(
    optimizer: torch.optim.Optimizer, state: dict[str, Any], stepped: Set[int]
) -> str | None:
    """Say in what a state differs from those that an optimizer may have, or None.

    stepped: the positions of the parameters that were updated, each of which needs its moments. A
    parameter that never had a gradient, such as those of a discriminator before its phase, has
    none.
    """
    groups, entries = state.get("param_groups"), state.get("state")
    own = optimizer.state_dict()["param_groups"]
    if not isinstance(groups, list) or not isinstance(entries, dict) or len(groups) != len(own):
        return "its groups"
    for group, expected in zip(groups, own, strict=True):
        if not isinstance(group, dict) or group.keys() != expected.keys():
            return "the entries of its groups"
        for key, value in expected.items():
            # The schedule sets the rate before every step.
            if key != "lr" and (type(group[key]) is not type(value) or group[key] != value):
                return f"{key} of its groups"
    return _fault_of_entries(optimizer, entries, stepped)


def _fault_of_entries(
    optimizer: torch.optim.Optimizer, entries: dict[Any, Any], stepped: Set[int]
) -> str | None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, entry in entries.items():
        if type(index) is not int or not 0 <= index < len(parameters) or type(entry) is not dict:
            return f"the entry {index!r}"
    expected = _entry_after_a_step(optimizer)
    if expected is None:  # then the entries are compared with the first one
        expected = _as_of_probe(entries, parameters)
    elif expected and (missing := stepped - entries.keys()):
        return f"no moments for {len(missing)} of the {len(parameters)} parameters"
    for index, entry in entries.items():
        if lacking := expected.keys() - entry.keys():
            return f"no {min(lacking)} for parameter {index}"
        if unknown := entry.keys() - expected.keys():
            return f"an unknown entry {min(map(repr, unknown))}"
        for key, value in entry.items():
            if (fault := _fault_of_value(value, expected[key], parameters[index])) is not None:
                return f"the {fault} of {key}"
    return None


def _fault_of_value(value: Any, expected: Any, parameter: Tensor) -> str | None:
    if isinstance(value, Tensor) != isinstance(expected, Tensor):
        return "type"
    if not isinstance(value, Tensor):
        return None if value is None or isinstance(value, (int, float)) else "type"
    if not is_dense(value) or value.is_floating_point() != expected.is_floating_point():
        return "type"
    needed = {PROBE: parameter.shape, (): ()}.get(tuple(expected.shape), value.shape)
    return None if value.shape == needed else "shape"


def _as_of_probe(entries: dict[int, Entry], parameters: list[Tensor]) -> Entry:
    """The first entry of a state as if it were of a parameter of shape PROBE."""
    index, first = next(iter(entries.items()), (0, {}))
    return {
        key: torch.zeros(PROBE, dtype=value.dtype)
        if isinstance(value, Tensor) and value.shape == parameters[index].shape
        else value
        for key, value in first.items()
    }


def _entry_after_a_step(optimizer: torch.optim.Optimizer) -> Entry | None:
    """The entry of a parameter of shape PROBE after a step; None if the optimizer takes none."""
    inner = getattr(optimizer, "optimizer", optimizer)  # Fabric wraps it
    optimizer_class: Any = type(inner)
    probe = nn.Parameter(torch.zeros(PROBE))
    probe.grad = torch.ones(PROBE)
    try:
        group = {**inner.param_groups[0], "params": [probe], "lr": 0.0}
        copy = optimizer_class([group])
        copy.step()
    except Exception:  # a contributor's optimizer may need anything else
        return None
    return dict(copy.state[probe])
