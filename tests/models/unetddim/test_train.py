"""Training of the diffusion model: presets, losses, draws and condition dropout."""

from typing import Any

import pytest
import torch

from benchmark import registry
from benchmark import settings as base
from benchmark.color import rgb_from_8bit
from benchmark.randomness import Randomness
from benchmark.recipe import Batch
from benchmark.settings import resolve
from models.common.condition import Condition
from models.unetddim.train import denoising_losses
from tests.models.unetddim.support import CPU, SMALL
from tests.support import awaken, blobs, lightness_like, tiny_recipe


@pytest.mark.parametrize(
    "preset",
    [n for n in registry.load_settings("unetddpm").presets if n not in base.Settings.presets],
)
def test_presets_of_published_recipes_train_and_sample(preset: str) -> None:
    settings_class = registry.load_settings("unetddpm")
    settings = resolve(settings_class, "unetddpm", preset, {**SMALL, "time_dim": 12}).settings
    torch.manual_seed(0)
    model = settings.model_class.build(settings.architecture)
    recipe = registry.load_recipe("unetddpm")(model, settings)
    awaken(recipe)
    (update,) = recipe.updates(Batch(rgb_from_8bit(blobs(4, 32))), Randomness(0, 0, CPU))
    torch.stack(list(update.losses.values())).sum().backward()
    for name, parameter in recipe.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    rgb = model.eval().colorize(
        lightness_like(blobs(1, 32)), seeds=[1], sampling=model.sampling_class(steps=3)
    )
    assert rgb.isfinite().all()


def losses_of(**typed: Any) -> dict[str, float]:
    """Return the losses of the first step of a tiny training, by name."""
    recipe = tiny_recipe("unetddpm", **{**SMALL, **typed})
    (update,) = recipe.updates(Batch(rgb_from_8bit(blobs(8, 32))), Randomness(0, 0, CPU))
    return {name: float(value.detach()) for name, value in update.losses.items()}


def test_settings_choose_the_weighting_and_the_target_of_the_loss() -> None:
    """While the output of the network is 0, its error is the target itself."""
    published = {"zero_terminal": False}
    plain = losses_of(**published)
    assert plain["velocity"] > losses_of(**published, weighting="min-snr")["velocity"]
    assert losses_of(**published, prediction="epsilon")["noise"] == pytest.approx(1, abs=0.1)
    floor = {"weighting": "min-snr", "weight_floor": 1}
    assert losses_of(**published, **floor)["velocity"] == pytest.approx(plain["velocity"])


@pytest.mark.parametrize("training", [True, False])
def test_conditions_are_dropped_with_the_set_probability_and_only_in_training(
    training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe("unetddpm", **SMALL, condition_dropout=0.25)
    awaken(recipe)
    model = recipe.model.train(training)
    conditions: list[Condition] = []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda x, t, s, _: conditions.append(s) or forward(x, t, s)
    )
    batch = Batch(rgb_from_8bit(blobs(400, 32)))
    denoising_losses(model, batch, Randomness(0, 0, CPU), recipe.settings)
    (condition,) = conditions
    parts = (condition.patches, condition.mean, condition.features)
    hidden = [(part.flatten(1) == 0).all(1) for part in parts]
    assert hidden[0].float().mean() == pytest.approx(0.25 if training else 0, abs=0.06)
    assert torch.equal(hidden[0], hidden[1])
    assert torch.equal(hidden[0], hidden[2])
