"""What diffusion and flow share in training: several noise levels an image, self-conditioning."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.color import rgb_from_8bit
from benchmark.randomness import Noise, Randomness
from benchmark.recipe import Batch
from models.common.condition import Condition
from models.common.diffusion import x0_of
from tests.models.unetddim.support import CPU
from tests.support import awaken, blobs, tiny_recipe

MODELS = ("unetddpm", "unetflow")


def calls_of(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Tensor]]:
    """Return a list that every later call of the network is added to: its inputs, its output."""
    calls: list[tuple[Any, Tensor]] = []
    forward: Callable[..., Tensor] = model.forward

    def recorded(*given: Any) -> Tensor:
        calls.append((given, forward(*given)))
        return calls[-1][1]

    monkeypatch.setattr(model, "forward", recorded)
    return calls


def estimate_of(model: Any, x: Tensor, t: Tensor, output: Tensor) -> Tensor:
    """Return the color without noise that an output means, limited to the range of the data."""
    limit = float(model.color_limit)
    if hasattr(model, "schedule"):
        estimate = x0_of(model.prediction, output.float(), x, *model.schedule.at(t))
    else:
        estimate = x + (1 - t)[:, None, None, None] * output.float()
    return estimate.clamp(-limit, limit)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("training", [True, False])
def test_several_draws_equal_as_many_images_with_one_draw_each(
    name: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every draw has its own noise level and noise, and L is encoded once for all of them."""
    recipe = tiny_recipe(name, draws=3)
    awaken(recipe)
    model: Any = recipe.model.train(training)
    model.condition_dropout = 0.0
    calls, forward = calls_of(model, monkeypatch), model.forward
    batch = Batch(rgb_from_8bit(blobs(4, 32)))
    list(recipe.updates(batch, Randomness(0, 0, CPU)))
    (((x, t, _, previous), outputs),) = calls
    assert previous is None
    assert x.shape[0] == len(t.unique()) == 12
    condition = model.encode_condition(batch.lightness)
    for row in range(12):
        alone = Condition(*(one[[row // 3]] if torch.is_tensor(one) else one for one in condition))
        torch.testing.assert_close(
            forward(x[[row]], t[[row]], alone), outputs[[row]], rtol=1e-3, atol=1e-4
        )
    by_image = t.view(4, 3)  # low, middle and high noise for each image
    whole = model.schedule.steps if hasattr(model, "schedule") else 1
    assert (by_image.diff(dim=1) > whole / 6).all()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("condition", ["concat", "regression"])
def test_every_second_image_is_trained_with_the_estimate_that_sampling_gives_the_next_step(
    name: str, condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(name, condition=condition, self_conditioning=True)
    awaken(recipe)
    model: Any = recipe.model.eval()
    calls = calls_of(model, monkeypatch)
    batch = Batch(rgb_from_8bit(blobs(4, 32)))
    list(recipe.updates(batch, Randomness(0, 0, CPU)))
    (first, output), ((x, t, _, previous), _) = calls
    assert len(first) == 3
    torch.testing.assert_close(previous[::2], estimate_of(model, x[::2], t[::2], output))
    assert previous[1::2].abs().max() == 0
    assert not previous.requires_grad

    calls.clear()
    sampling = model.resolve_sampling(model.sampling_class(steps=3))
    noise = Noise([0, 1, 2, 3], CPU)
    with torch.no_grad():
        model.predict(batch.lightness, noise=noise, sampling=sampling, on_step=None)
    assert calls[0][0][3] is None
    for ((x, t, *_), output), ((*_, given), _) in pairwise(calls):
        torch.testing.assert_close(given, estimate_of(model, x, t, output))
