"""Compiled training equals eager training, and continues with a message if compiling fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import registry
from benchmark.checkpoints import load_weights
from benchmark.color import rgb_from_8bit
from benchmark.randomness import Randomness
from benchmark.recipe import Batch
from benchmark.training.compiling import with_compiled
from tests.support import awaken, blobs, make_loop, tiny_recipe, training_data

NAMES = [entry.name for entry in registry.entries() if not entry.broken]
CPU = torch.device("cpu")


def trained(folder: Path, name: str, compiled: bool, **typed: Any) -> dict[str, Tensor]:
    """Return the last weights of a short training, read from their file."""
    loop = make_loop(folder, name, training_data(blobs(16, 32)), epochs=2, **typed)
    loop.run("disabled", compiled)
    return load_weights(loop.folder.weights_file("last"), name, CPU).model.state_dict()


def use_compiler(monkeypatch: pytest.MonkeyPatch, backend: Callable[..., Any]) -> None:
    """Replace the backend of torch.compile, whose default is slow to compile."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, **_: real(call, backend=backend))


def test_a_failing_compiler_changes_nothing_and_prints_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = trained(tmp_path / "eager", "unetddim", False, dropout=0.5)
    capfd.readouterr()

    def broken(graph: Any, inputs: Any) -> Any:
        torch.rand(3)  # a draw that must not change the random numbers of the second attempt
        raise OSError("no C++ compiler\nand many lines more")

    use_compiler(monkeypatch, broken)
    found = trained(tmp_path / "compiled", "unetddim", True, dropout=0.5)
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
    lines = [line for line in capfd.readouterr().err.splitlines() if "epoch" not in line]
    assert lines == ["torch.compile failed, training goes on without it (OSError: no C++ compiler)"]


def test_an_error_of_the_network_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(2, 2)
    use_compiler(monkeypatch, lambda graph, inputs: graph)
    take = with_compiled(model, lambda: model(torch.zeros(1, 3)))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        take()


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_calls_the_compiled_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Other methods of the model are not compiled and would stay slow."""
    calls = []

    def count(call: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def counted(*inputs: Any) -> Any:
            calls.append(torch.is_grad_enabled())
            return call(*inputs)

        return counted

    monkeypatch.setattr(torch, "compile", count)
    trained(tmp_path, name, True)
    assert calls == [True] * 4  # two epochs of two steps; validation uses the average


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "unetvae"])
def test_compiled_gradients_are_the_eager_ones(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Weights are not compared: Adam makes a full step even where the gradient is only rounding."""
    recipe = tiny_recipe(name).train()
    awaken(recipe)
    recipe.to(memory_format=torch.channels_last)
    batch = Batch(rgb_from_8bit(blobs(8, 32)), progress=0.5)

    def gradients() -> dict[str, Tensor]:
        recipe.zero_grad()
        (update,) = recipe.updates(batch, Randomness(0, 0, CPU))
        torch.stack(list(update.losses.values())).sum().backward()
        found = {key: p.grad for key, p in recipe.named_parameters()}
        return {key: gradient for key, gradient in found.items() if gradient is not None}

    expected = gradients()
    results: list[dict[str, Tensor]] = []
    with_compiled(recipe.model, lambda: results.append(gradients()))()
    assert "failed" not in capfd.readouterr().err
    (found,) = results
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        error = (found[key] - value).norm() / value.norm()
        assert error < 1e-4, key
