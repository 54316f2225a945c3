"""The diffusion models' settings and sampling: what is refused, what depends on what."""

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import registry
from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.colorizer import Statistics
from benchmark.errors import UserError
from benchmark.randomness import Noise, Randomness
from benchmark.recipe import Batch
from benchmark.settings import resolve
from models.unetddim.model import (
    GUIDANCE,
    HONEST,
    REFINING_SIGMA_MIN,
    REFINING_TEMPERATURE,
    TEMPERATURE,
    Model,
    Sampling,
    Shown,
    denoising_losses,
)
from models.common.diffusion import x0_of
from tests.support import awaken, blobs, lightness_like, tiny_model, tiny_recipe

CPU = torch.device("cpu")
SMALL = {"widths": [8, 8, 8], "blocks": 1}
CLASSIC = {
    "fold": 1,
    "shift": 1,
    "zero_terminal": False,
    "prediction": "epsilon",
    "condition": "concat",
}


def small_model(**typed: Any) -> Model:
    """A tiny unetddim, its layers awake."""
    model = tiny_model("unetddim", **{**SMALL, **typed})
    awaken(model)
    assert isinstance(model, Model)
    return model


def ab_of(model: Model, lightness: Tensor, seeds: list[int], **sampling: Any) -> Tensor:
    """What it predicts before color is joined to L: ab, or sRGB."""
    chosen = model.resolve_sampling(model.sampling_class(**{"steps": 5, **sampling}))
    noise = Noise(seeds, CPU)
    return model.predict(lightness, noise=noise, sampling=chosen, on_step=None).detach()


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        (
            {"schedule": "linear", "timesteps": 350, "zero_terminal": False, "shift": 1},
            "terminal=true",
        ),
        ({"prediction": "epsilon"}, "zero_terminal=false"),
        ({"schedule": "sigmoid", "offset": 0.008}, "offset"),
        ({"attention": [3]}, "levels 0 to 2"),
        ({"attention": [-1]}, "attention"),
        ({"dropout": 0.6}, "dropout"),
    ],
)
def test_impossible_settings_are_refused_with_the_remedy(
    typed: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(UserError, match=remedy):
        resolve(registry.load_settings("unetddpm"), "unetddpm", "standard", typed)
    with pytest.raises(ValueError, match=remedy):  # of the network itself, too
        registry.load_model("unetddpm").build(typed)


def test_a_short_schedule_is_allowed_explicitly_or_repaired() -> None:
    short = {"schedule": "linear", "timesteps": 350, "shift": 1}
    allowed = small_model(**short, zero_terminal=False, allow_signal=True)
    assert float(allowed.schedule.alpha[-1]) == pytest.approx(0.17, abs=0.01)
    assert float(small_model(**short).schedule.alpha[-1]) == 0


def test_a_sampling_that_the_weights_do_not_allow_is_refused() -> None:
    with pytest.raises(ValueError, match="eta is of the sampler ddim"):
        Sampling(sampler="dpmpp", eta=0.5)
    lightness = lightness_like(blobs(1, 32))
    with pytest.raises(UserError, match="condition_dropout"):
        small_model(condition_dropout=0).resolve_sampling(Sampling(guidance=2))
    guidable = small_model(condition_dropout=0.1)
    guidable.colorize(lightness, seeds=[1], sampling=Sampling(steps=2, guidance=2))
    with pytest.raises(UserError, match="condition=regression"):
        small_model(condition="concat").resolve_sampling(Sampling(vividness=2))


@pytest.mark.parametrize("color_space", ["lab", "rgb"])
def test_vividness_is_usual_with_weights_that_refine_ab(color_space: str) -> None:
    model = small_model(color_space=color_space, condition_dropout=0.1)
    made_up = model.vividness_for(REFINING_TEMPERATURE)
    calm = {"temperature": REFINING_TEMPERATURE, "sigma_min": REFINING_SIGMA_MIN}
    usual = Sampling(vividness=made_up, **calm)
    assert model.resolve_sampling(Sampling()) == (usual if color_space == "lab" else Sampling())
    told = Sampling(temperature=1, sigma_min=0) if color_space == "lab" else Sampling()
    for chosen in (Sampling(**HONEST), Sampling(temperature=1, sigma_min=0)):
        assert model.resolve_sampling(chosen) == told
    assert model.resolve_sampling(Sampling(guidance=2)).guidance == 2


@pytest.mark.parametrize(
    "typed", [{}, {"condition": "concat", "condition_dropout": 0.1}, {"condition_dropout": 0}]
)
def test_weights_are_judged_by_honest_draws(typed: dict[str, Any]) -> None:
    """Else those of the first epoch were the best: speckle is a rich palette, and was hidden."""
    model, lightness = small_model(**typed), lightness_like(blobs(1, 32))
    honest = {"steps": 10, **HONEST}
    for_validation = Sampling(temperature=0.5).for_validation()
    drawn = [
        model.colorize(lightness, seeds=[1], sampling=sampling)
        for sampling in (for_validation, Sampling(**honest))
    ]
    assert torch.equal(*drawn)
    usual = model.colorize(lightness, seeds=[1], sampling=Sampling(steps=10))
    assert not torch.allclose(usual, drawn[0], atol=1e-3)


def test_vividness_makes_up_for_the_variance_that_a_low_temperature_takes() -> None:
    model = small_model()
    generator = torch.Generator().manual_seed(0)
    mean, rest = torch.randn(2, 8, 2, 64, 64, generator=generator) * torch.tensor([0.6, 0.8]).view(
        2, 1, 1, 1, 1
    )
    for _ in range(1000):
        model.measure(mean, mean + rest)
    assert float(model.explained) == pytest.approx(0.36, abs=0.01)
    assert model.vividness_for(1.0) == model.vividness_for(1.5) == 1
    calm = 0.8
    whole = model.vividness_for(calm) ** 2 * 0.36 + calm**2 * 0.64
    assert whole == pytest.approx(1, abs=0.02)


def test_guidance_is_usual_with_weights_that_know_it() -> None:
    knows, knows_not = (
        small_model(condition="concat", condition_dropout=share) for share in (0.1, 0)
    )
    assert knows.resolve_sampling(Sampling()) == Sampling(
        guidance=GUIDANCE, temperature=TEMPERATURE
    )
    honest = Sampling(guidance=1, temperature=1)
    assert knows.resolve_sampling(honest) == honest
    for chosen in (Sampling(), honest):
        assert knows_not.resolve_sampling(chosen) == Sampling()


def test_ab_may_be_scaled_as_in_much_code() -> None:
    model = small_model(ab_scale=110)
    model.calibrate(Statistics((2.0, 8.0), (12.0, 18.0), 4.0))
    ab = torch.tensor([55.0, -110.0]).view(1, 2, 1, 1)
    assert model.standardize(ab).flatten().tolist() == [0.5, -1.0]
    assert float(model.color_limit) == 1.0


def test_no_more_steps_are_recorded_than_there_are() -> None:
    assert small_model(timesteps=20).resolve_sampling(Sampling(steps=50)).steps == 20
    assert small_model(timesteps=20).resolve_sampling(Sampling(steps=5)).steps == 5


@pytest.mark.parametrize(
    ("name", "chosen", "label"),
    [
        ("unetddim", {}, "steps50-eta0.8"),
        ("unetddpm", {}, "steps1000"),
        ("unetddim", {"steps": 20, "sampler": "dpmpp"}, "steps20-samplerdpmpp"),
        ("unetddpm", {"sampler": "ddim", "eta": 0.0}, "steps1000-samplerddim-eta0"),
        ("unetddim", {"guidance": 1.5}, "steps50-eta0.8-guidance1.5"),
        ("unetddim", {"guidance": 1.0}, "steps50-eta0.8-guidance1"),
    ],
)
def test_a_record_tells_what_is_not_usual_and_no_less(
    name: str, chosen: dict[str, Any], label: str
) -> None:
    kind = registry.load_model(name).sampling_class
    sampling = kind(**chosen)
    assert sampling.label() == label
    assert kind(**sampling.model_dump()) == sampling


# ---- what an image depends on -------------------------------------------------------------------


def test_noise_is_bit_equal_whatever_the_batch() -> None:
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
def test_a_image_is_the_same_in_any_batch(condition: str, chosen: dict[str, Any]) -> None:
    """To one gray level: the layers' sums may differ in their last bits. Repeated, to the bit."""
    model = small_model(condition_dropout=0.1, condition=condition)
    lightness, sampling = lightness_like(blobs(3, 32)), Sampling(steps=10, **chosen)
    together = model.colorize(lightness, seeds=[5, 6, 7], sampling=sampling)
    again = model.colorize(lightness, seeds=[5, 6, 7], sampling=sampling)
    alone = model.colorize(lightness[1:2], seeds=[6], sampling=sampling)
    assert torch.equal(together, again)
    assert (together[1] - alone[0]).abs().max() <= 1 / 255


def test_every_choice_gives_another_image() -> None:
    model = small_model(condition_dropout=0.1)
    model.color_limit.fill_(0.5)  # low, so that there is something to clip
    choices: list[dict[str, Any]] = [
        {},
        {"eta": 0.0},
        {"sampler": "ddpm"},
        {"sampler": "dpmpp"},
        {"guidance": 1.5},
        {"vividness": 1.0},
        {"spacing": "leading"},
        {"threshold": "dynamic"},
        {"temperature": 0.7},
        {"sigma_min": 0.0},
        {"sigma_min": 3.0},
        {"steps": 4},
    ]
    lightness = lightness_like(blobs(1, 32))
    colors = [ab_of(model, lightness, [1], **chosen) for chosen in choices]
    for (first, one), (second, other) in combinations(zip(choices, colors, strict=True), 2):
        assert (one - other).abs().max() > 1e-3, (first, second)


@pytest.mark.parametrize("condition", ["concat", "encoder", "regression"])
def test_guidance_0_does_not_see_the_image_and_1_does_as_without(condition: str) -> None:
    """At full size, where nothing is sharpened along L."""
    model = small_model(condition_dropout=0.1, condition=condition, fold=1)
    one, other = lightness_like(blobs(1, 32)), lightness_like(blobs(1, 32, seed=1))
    colors = {
        guidance: [
            ab_of(model, lightness, [1], **{**HONEST, "guidance": guidance})
            for lightness in (one, other)
        ]
        for guidance in (0.0, 1.0, 3.0)
    }
    assert torch.equal(*colors[0.0])
    assert not torch.allclose(*colors[1.0])
    apart = [float((a - b).abs().mean()) for a, b in (colors[1.0], colors[3.0])]
    assert apart[1] > apart[0]


@pytest.mark.parametrize("condition", ["encoder", "regression"])
def test_what_is_shown_besides_l_is_of_l(condition: str) -> None:
    """An encoder's maps or a regression's features alone, all else being hidden from the trunk."""
    model = small_model(condition=condition, fold=1)
    x, t = torch.randn(1, 2, 32, 32), torch.tensor([500])
    shown = [model.show(lightness_like(blobs(1, 32, seed))) for seed in (0, 1)]
    hidden = [one.where(torch.zeros(1, 1, 1, 1)) for one in shown]
    beside = [
        nothing._replace(maps=one.maps, features=one.features)
        for nothing, one in zip(hidden, shown, strict=True)
    ]
    assert not torch.allclose(*(model(x, t, one) for one in beside))
    assert torch.equal(*(model(x, t, one) for one in hidden))


@pytest.mark.parametrize("prediction", ["v", "x0", "epsilon"])
def test_a_mean_is_refined_by_denoising_what_it_leaves(
    prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x_0 found beside a mean is the mean and the x_0 found in x_t without its share of it."""
    published = {"zero_terminal": False}
    model = small_model(prediction=prediction, fold=1, **published)
    trunk = model.trunk.forward
    level = model.schedule.at(torch.tensor([300]))

    def blind(seen: Tensor, *rest: Any) -> Any:  # to all but noisy color
        return trunk(torch.cat([seen[:, :2], torch.zeros_like(seen[:, 2:])], 1), *rest)

    def found(x: Tensor, shown: Shown) -> Tensor:
        answer = model(x, torch.tensor([300]), shown)
        return x0_of(model.prediction, answer, x, *level)

    monkeypatch.setattr(model.trunk, "forward", blind)
    x, mean = torch.randn(2, 1, 2, 32, 32).unbind()
    shown = model.show(lightness_like(blobs(1, 32)))._replace(mean=mean)
    without = shown._replace(mean=torch.zeros_like(mean))
    torch.testing.assert_close(
        found(x, shown), mean + found(x - level[0] * mean, without), rtol=1e-4, atol=1e-4
    )


def test_the_regression_may_be_wider_and_deeper_than_the_denoiser() -> None:
    model = small_model(regression_widths=[16, 24, 8, 8])
    assert model.size_divisor == 32
    assert model.show(lightness_like(blobs(1, 64))).features.shape[1] == 16
    rgb = model.colorize(
        lightness_like(blobs(1, 64))[..., :40], seeds=[1], sampling=Sampling(steps=2)
    )
    assert rgb.shape == (1, 3, 64, 40)
    assert small_model().regression.enter.out_channels == SMALL["widths"][0]


@pytest.mark.parametrize("training", [True, False])
def test_draws_are_as_many_images_of_one_draw(
    training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sees its own image, at its own level and in its own noise; L is worked out once."""
    recipe = tiny_recipe("unetddpm", **SMALL, condition_dropout=0, draws=3)
    awaken(recipe)
    model, calls = recipe.model.train(training), []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda *given: calls.append((given, forward(*given))) or calls[-1][1]
    )
    denoising_losses(
        model, Batch(rgb_from_8bit(blobs(4, 32))), Randomness(0, 0, CPU), recipe.settings
    )
    (((x, t, _), answers),) = calls
    assert x.shape[0] == len(t.unique()) == 12
    shown = model.show(Batch(rgb_from_8bit(blobs(4, 32))).lightness)
    for row in range(12):
        alone = Shown(*(one[[row // 3]] if torch.is_tensor(one) else one for one in shown))
        torch.testing.assert_close(
            forward(x[[row]], t[[row]], alone), answers[[row]], rtol=1e-3, atol=1e-4
        )
    by_image = t.view(4, 3)  # low, middle and high noise of each
    assert (by_image.diff(dim=1) > 1000 / 6).all()


def test_temperature_is_how_far_a_draw_is_from_the_mean_that_it_refines() -> None:
    model, lightness = small_model(), lightness_like(blobs(1, 32))
    half, whole, more = (
        ab_of(model, lightness, [1], temperature=temperature, vividness=1.0)
        for temperature in (0.5, 1.0, 1.5)
    )
    torch.testing.assert_close(whole - half, more - whole, rtol=0, atol=1e-3)
    shown = model.show(lightness)
    mean = model.unstandardize(model.sharpen(shown.mean, shown))
    torch.testing.assert_close(whole - 2 * (whole - half), mean, rtol=0, atol=1e-3)


def test_vividness_is_that_of_the_mean_and_not_of_what_is_drawn() -> None:
    """Each tenth of it adds a tenth of the mean, whatever the seed."""
    model = small_model()
    lightness = lightness_like(blobs(1, 32))

    def added(seed: int, *vividness: float) -> Tensor:
        one, other = (ab_of(model, lightness, [seed], vividness=value) for value in vividness)
        return other - one

    tenth = added(1, 1.0, 1.1)
    torch.testing.assert_close(added(2, 1.0, 1.1), tenth, rtol=0, atol=1e-4)
    torch.testing.assert_close(added(1, 0.0, 1.0), 10 * tenth, rtol=0, atol=1e-3)
    mean = model.unstandardize(model.show(lightness).mean)
    torch.testing.assert_close(
        10 * tenth.mean(), mean.mean() - float(model.color_mean.mean()), rtol=0, atol=0.5
    )


def test_samplers_with_an_oracle_for_a_network_find_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through the whole model: standardizing, the prediction it was built for, the clip."""
    rgb8 = blobs(2, 32)
    ab = rgb_to_lab(rgb_from_8bit(rgb8))[:, 1:]
    for prediction in ("v", "epsilon", "x0"):
        model = small_model(**{**CLASSIC, "prediction": prediction})
        truth = model.standardize(ab)
        assert truth.abs().max() < model.color_limit

        def oracle(x: Tensor, t: Tensor, condition: object, m: Any = model, x0: Any = truth) -> Any:
            alpha, sigma = m.schedule.at(t)
            noise = (x - alpha * x0) / sigma
            return {"v": alpha * noise - sigma * x0, "epsilon": noise, "x0": x0}[m.prediction]

        monkeypatch.setattr(model, "forward", oracle)
        for sampler in ("ddpm", "ddim", "dpmpp"):
            found = ab_of(model, lightness_like(rgb8), [1, 2], sampler=sampler)
            torch.testing.assert_close(found, ab, rtol=0, atol=0.05)


# ---- what is built and learned -------------------------------------------------------------------


def test_the_classic_network_has_four_channels_in_and_three_out() -> None:
    model = small_model(color_space="rgb", **CLASSIC)
    assert model.trunk.enter.in_channels == 4
    assert model.velocity.out_channels == 3
    assert not {"edges", "upsample"} & {name.split(".")[0] for name in model.state_dict()}
    coarse = torch.randn(1, 3, 32, 32)
    assert model.sharpen(coarse, model.show(torch.zeros(1, 1, 32, 32))) is coarse
    assert ab_of(model, lightness_like(blobs(1, 32)), [1]).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    "preset", [name for name in registry.load_settings("unetddpm").presets if "-" in name]
)
def test_presets_of_recipes_learn_and_sample(preset: str) -> None:
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
    """Of the first step of a tiny training, by name."""
    recipe = tiny_recipe("unetddpm", **{**SMALL, **typed})
    (update,) = recipe.updates(Batch(rgb_from_8bit(blobs(8, 32))), Randomness(0, 0, CPU))
    return {name: float(value.detach()) for name, value in update.losses.items()}


def test_weights_of_the_loss_and_predictions_are_settings() -> None:
    """A network that still answers 0 errs by what it should answer."""
    published = {"zero_terminal": False}
    plain = losses_of(**published)
    assert plain["velocity"] > losses_of(**published, weighting="min-snr")["velocity"]
    assert losses_of(**published, prediction="epsilon")["noise"] == pytest.approx(1, abs=0.1)
    floor = {"weighting": "min-snr", "weight_floor": 1}
    assert losses_of(**published, **floor)["velocity"] == pytest.approx(plain["velocity"])


@pytest.mark.parametrize("training", [True, False])
def test_l_is_hidden_in_training_alone_as_often_as_set(
    training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe("unetddpm", **SMALL, condition_dropout=0.25)
    awaken(recipe)
    model = recipe.model.train(training)
    seen: list[Shown] = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda x, t, s: seen.append(s) or forward(x, t, s))
    batch = Batch(rgb_from_8bit(blobs(400, 32)))
    denoising_losses(model, batch, Randomness(0, 0, CPU), recipe.settings)
    (shown,) = seen
    hidden = [(one.flatten(1) == 0).all(1) for one in (shown.folded, shown.mean, shown.features)]
    assert hidden[0].float().mean() == pytest.approx(0.25 if training else 0, abs=0.06)
    assert torch.equal(hidden[0], hidden[1])
    assert torch.equal(hidden[0], hidden[2])
