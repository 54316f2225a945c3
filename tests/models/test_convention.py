"""Models that reuse another model's network, training or weights have identical ones."""

import pytest
import torch

from benchmark import registry
from benchmark.color import rgb_from_8bit
from benchmark.randomness import Randomness
from benchmark.recipe import Batch
from tests.support import awaken, blobs, lightness_like, tiny_model, tiny_recipe

CPU = torch.device("cpu")
SAME_NETWORK = [("gan", "resnet"), ("unetgan", "unet"), ("unetddpm", "unetddim")]
SAME_TRAINING = [
    ("resnet", "unet"),
    ("unetgan", "gan"),
    ("unetvae", "basicvae"),
    ("unetddpm", "unetddim"),
]
NAMES = [entry.name for entry in registry.entries() if not entry.broken]
WEIGHTS_OF = [(name, of) for name in NAMES if (of := registry.load_model(name).weights_of)]


@pytest.mark.parametrize(("name", "other"), SAME_NETWORK)
def test_reused_networks_are_identical(name: str, other: str) -> None:
    """They have the same architecture and forward, and the same initial weights for a seed."""
    ours, theirs = registry.load_model(name), registry.load_model(other)
    assert issubclass(ours, theirs)
    assert ours.forward is theirs.forward
    schemas = [
        kind.architecture_schema().model_json_schema()["properties"] for kind in (ours, theirs)
    ]
    assert schemas[0] == schemas[1]
    states = []
    for kind in (ours, theirs):
        torch.manual_seed(0)
        states.append(kind.build({"widths": [8, 16]}).state_dict())
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][key], value) for key, value in states[1].items())


@pytest.mark.parametrize(("name", "other"), SAME_NETWORK)
def test_the_same_weights_give_the_same_image(name: str, other: str) -> None:
    models = [tiny_model(name), tiny_model(other)]
    awaken(models[1])
    models[0].load_state_dict(models[1].state_dict())
    lightness = lightness_like(blobs(1, 32))
    sampling = models[1].sampling_class()
    if models[1].has_steps():
        sampling = sampling.model_copy(update={"steps": 2})
    images = []
    for model in models:
        own = model.sampling_class(**models[1].resolve_sampling(sampling).model_dump())
        images.append(model.colorize(lightness, seeds=[1], sampling=own))
    assert torch.equal(images[0], images[1])


@pytest.mark.parametrize(("name", "other"), SAME_TRAINING)
def test_reused_trainings_are_identical(name: str, other: str) -> None:
    """Only the network and the presets differ."""
    ours, theirs = registry.load_settings(name), registry.load_settings(other)
    own = {key: field for key, field in ours.model_fields.items() if key != "architecture"}
    for key, field in own.items():
        assert repr(field) == repr(theirs.model_fields[key]), key
    assert set(ours.model_fields) == set(theirs.model_fields)
    recipe = registry.load_recipe(name)
    assert issubclass(recipe, registry.load_recipe(other))
    assert not [key for key, value in vars(recipe).items() if callable(value)]


def test_a_model_that_reads_the_weights_of_another_is_found() -> None:
    assert ("unetddpm", "unetddim") in WEIGHTS_OF


@pytest.mark.parametrize(("name", "other"), WEIGHTS_OF)
def test_models_that_share_weights_differ_only_in_their_sampler(name: str, other: str) -> None:
    """Training the model itself would give the same weights."""
    assert registry.load_model(other).weights_of is None  # in one direction only
    ours, theirs = registry.load_settings(name), registry.load_settings(other)
    assert ours.described() == theirs.described()
    assert ours.presets == theirs.presets
    recipes = [tiny_recipe(name), tiny_recipe(other)]
    shapes = [{key: v.shape for key, v in recipe.state_dict().items()} for recipe in recipes]
    assert shapes[0] == shapes[1]
    awaken(recipes[0])
    recipes[1].load_state_dict(recipes[0].state_dict())
    rgb = rgb_from_8bit(blobs(4, 32))
    losses: list[list[object]] = [[], []]
    for found, recipe in zip(losses, recipes, strict=True):
        for progress in (0.0, 0.999):
            for update in recipe.updates(Batch(rgb, progress), Randomness(0, 0, CPU)):
                found.append((update.optimizer, {k: v.item() for k, v in update.losses.items()}))
        validation = recipe.validate(recipe.model, Batch(rgb, 1.0), Randomness(0, 1, CPU))
        found.append({key: value.tolist() for key, value in validation.items()})
    assert losses[0] == losses[1]
