"""Options of sampling: which are refused, their defaults, and what each one changes."""

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import registry
from benchmark.errors import UserError
from benchmark.randomness import Noise
from models.unetddim.model import ETA, Sampling
from tests.models.unetddim.support import CPU, predict_ab, small_model
from tests.support import blobs, lightness_like

# ---- refused samplings and defaults --------------------------------------------------------------


def test_options_that_the_weights_do_not_support_are_refused() -> None:
    with pytest.raises(ValueError, match="eta belongs to the sampler ddim"):
        Sampling(sampler="dpmpp", eta=0.5)
    lightness = lightness_like(blobs(1, 32))
    with pytest.raises(UserError, match="condition_dropout"):
        small_model(condition_dropout=0).resolve_sampling(Sampling(guidance=2))
    guided = small_model(condition_dropout=0.1)
    guided.colorize(lightness, seeds=[1], sampling=Sampling(steps=2, guidance=2))
    with pytest.raises(UserError, match="condition=regression"):
        small_model(condition="concat").resolve_sampling(Sampling(mean_gain=2))


HONEST = {"guidance": 1.0, "temperature": 1.0, "mean_gain": 1.0, "sigma_min": 0.0}
"""The sampling that follows the learned distribution."""


@pytest.mark.parametrize("color_space", ["lab", "rgb"])
@pytest.mark.parametrize("condition", ["regression", "concat", "encoder"])
@pytest.mark.parametrize("condition_dropout", [0.0, 0.1])
def test_every_kind_of_weights_is_sampled_by_honest_draws(
    color_space: str, condition: str, condition_dropout: float
) -> None:
    model = small_model(
        color_space=color_space, condition=condition, condition_dropout=condition_dropout
    )
    default = model.resolve_sampling(Sampling())
    assert default == Sampling(**HONEST, eta=ETA["ddim"])
    assert default.preview() == default.model_copy(update={"steps": 10})


def test_the_automatic_mean_gain_follows_from_the_temperature() -> None:
    model = small_model()
    automatic = model.resolve_sampling(Sampling(temperature=0.8, mean_gain="auto"))
    assert automatic.mean_gain == model.mean_gain_for(0.8) > 1
    assert model.resolve_sampling(Sampling(mean_gain="auto")).mean_gain == 1


def test_no_more_steps_are_recorded_than_the_schedule_has() -> None:
    assert small_model(timesteps=20).resolve_sampling(Sampling(steps=50)).steps == 20
    assert small_model(timesteps=20).resolve_sampling(Sampling(steps=5)).steps == 5


@pytest.mark.parametrize(
    ("name", "chosen", "changes"),
    [
        ("unetddim", {}, {}),
        ("unetddpm", {}, {}),
        ("unetddim", {"steps": 50, "eta": 0.8, "guidance": 1.0}, {}),
        ("unetddim", {"sampler": "dpmpp"}, {"sampler": "dpmpp", "eta": 0.0}),
        ("unetddpm", {"sampler": "ddim"}, {"sampler": "ddim", "eta": 0.8}),
        ("unetddpm", {"sampler": "ddim", "eta": 0.0}, {"sampler": "ddim", "eta": 0.0}),
        ("unetddim", {"guidance": 1.5}, {"guidance": 1.5}),
        ("unetddim", {"temperature": 1.0, "mean_gain": "auto"}, {}),
        ("unetddim", {"temperature": 0.8}, {"temperature": 0.8}),
    ],
)
def test_a_record_has_every_value_and_names_what_is_not_a_default(
    name: str, chosen: dict[str, Any], changes: dict[str, Any]
) -> None:
    model = registry.load_model(name).build({"widths": [8], "blocks": 1})
    kind = model.sampling_class
    sampling = model.resolve_sampling(kind(**chosen))
    record = sampling.model_dump(mode="json")
    assert None not in record.values()
    assert set(record) == set(kind.model_fields)
    assert {key: record[key] for key in model.sampling_changes(sampling)} == changes
    assert kind(**record) == sampling  # the record restores the same sampling
    assert model.resolve_sampling(sampling) == sampling


@pytest.mark.parametrize("sampler", ["ddpm", "dpmpp"])
def test_eta_of_other_samplers_is_fixed(sampler: Any) -> None:
    model = small_model()
    assert model.resolve_sampling(Sampling(sampler=sampler)).eta == ETA[sampler]
    with pytest.raises(ValueError, match="eta belongs to the sampler ddim"):
        Sampling(sampler=sampler, eta=ETA["ddim"])


# ---- what each option changes --------------------------------------------------------------------


def test_noise_is_identical_to_the_bit_in_any_batch() -> None:
    together, alone = Noise([5, 6, 7], CPU), Noise([6], CPU)
    for _ in range(3):
        assert torch.equal(together(2, 8, 8)[1], alone(2, 8, 8)[0])


@pytest.mark.parametrize(
    "chosen",
    [
        {"sampler": "ddpm"},
        {"sampler": "ddim", "eta": 0.0},
        {"sampler": "ddim", "eta": 0.8, "threshold": "dynamic"},
        {"sampler": "dpmpp", "guidance": 2.0},
        {"sampler": "ddpm", "spacing": "leading"},
    ],
    ids=lambda chosen: " ".join(map(str, chosen.values())),
)
@pytest.mark.parametrize("condition", ["encoder", "regression"])
def test_an_image_is_the_same_in_any_batch(condition: str, chosen: dict[str, Any]) -> None:
    """Repetitions are identical; in another batch, sums may differ in their last bits."""
    model = small_model(condition_dropout=0.1, condition=condition)
    lightness, sampling = lightness_like(blobs(3, 32)), Sampling(steps=10, **chosen)
    together = model.colorize(lightness, seeds=[5, 6, 7], sampling=sampling)
    again = model.colorize(lightness, seeds=[5, 6, 7], sampling=sampling)
    alone = model.colorize(lightness[1:2], seeds=[6], sampling=sampling)
    assert torch.equal(together, again)
    assert (together[1] - alone[0]).abs().max() <= 1 / 255


def test_every_option_gives_another_image() -> None:
    model = small_model(condition_dropout=0.1)
    model.color_limit.fill_(0.5)  # so low that values are clipped
    choices: list[dict[str, Any]] = [
        {},
        {"eta": 0.0},
        {"sampler": "ddpm"},
        {"sampler": "dpmpp"},
        {"guidance": 1.5},
        {"mean_gain": 1.2},
        {"spacing": "leading"},
        {"threshold": "dynamic"},
        {"temperature": 0.7},
        {"sigma_min": 1.0},
        {"sigma_min": 3.0},
        {"steps": 4},
    ]
    lightness = lightness_like(blobs(1, 32))
    colors = [predict_ab(model, lightness, [1], **chosen) for chosen in choices]
    for (first, one), (second, other) in combinations(zip(choices, colors, strict=True), 2):
        assert (one - other).abs().max() > 1e-3, (first, second)


@pytest.mark.parametrize("condition", ["concat", "encoder", "regression"])
def test_guidance_0_ignores_the_image_and_higher_guidance_follows_it_more(condition: str) -> None:
    """With patch_size=1, since upsampling to full size would use L."""
    model = small_model(condition_dropout=0.1, condition=condition, patch_size=1)
    one, other = lightness_like(blobs(1, 32)), lightness_like(blobs(1, 32, seed=1))
    colors = {
        guidance: [
            predict_ab(model, lightness, [1], guidance=guidance) for lightness in (one, other)
        ]
        for guidance in (0.0, 1.0, 3.0)
    }
    assert torch.equal(*colors[0.0])
    assert not torch.allclose(*colors[1.0])
    distance = [float((a - b).abs().mean()) for a, b in (colors[1.0], colors[3.0])]
    assert distance[1] > distance[0]


def test_temperature_scales_the_difference_from_the_mean_that_is_refined() -> None:
    model, lightness = small_model(), lightness_like(blobs(1, 32))
    half, whole, more = (
        predict_ab(model, lightness, [1], temperature=temperature, mean_gain=1.0)
        for temperature in (0.5, 1.0, 1.5)
    )
    torch.testing.assert_close(whole - half, more - whole, rtol=0, atol=1e-3)
    condition = model.encode_condition(lightness)
    mean = model.unstandardize(model.upsample(condition.mean, condition))
    torch.testing.assert_close(whole - 2 * (whole - half), mean, rtol=0, atol=1e-3)


def test_mean_gain_restores_the_variance_that_a_low_temperature_removes() -> None:
    model = small_model()
    generator = torch.Generator().manual_seed(0)
    mean, residual = torch.randn(2, 8, 2, 64, 64, generator=generator) * torch.tensor(
        [0.6, 0.8]
    ).view(2, 1, 1, 1, 1)
    for _ in range(1000):
        model.update_explained_variance(mean, mean + residual)
    assert float(model.explained_variance) == pytest.approx(0.36, abs=0.01)
    assert model.mean_gain_for(1.0) == model.mean_gain_for(1.5) == 1
    temperature = 0.8
    variance = model.mean_gain_for(temperature) ** 2 * 0.36 + temperature**2 * 0.64
    assert variance == pytest.approx(1, abs=0.02)


def test_mean_gain_multiplies_the_mean_only() -> None:
    """Every increase by 0.1 adds a tenth of the mean for every seed."""
    model = small_model()
    lightness = lightness_like(blobs(1, 32))

    def added(seed: int, *mean_gain: float) -> Tensor:
        one, other = (predict_ab(model, lightness, [seed], mean_gain=value) for value in mean_gain)
        return other - one

    tenth = added(1, 1.0, 1.1)
    torch.testing.assert_close(added(2, 1.0, 1.1), tenth, rtol=0, atol=1e-4)
    torch.testing.assert_close(added(1, 0.0, 1.0), 10 * tenth, rtol=0, atol=1e-3)
    mean = model.unstandardize(model.encode_condition(lightness).mean)
    torch.testing.assert_close(
        10 * tenth.mean(), mean.mean() - float(model.color_mean.mean()), rtol=0, atol=0.5
    )
