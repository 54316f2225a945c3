"""The diffusion network: refused architectures, inputs and outputs, and its predictions."""

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import registry
from benchmark.color import rgb_from_8bit, rgb_to_lab
from benchmark.colorizer import Statistics
from benchmark.errors import UserError
from benchmark.settings import resolve
from models.common.condition import Condition
from models.common.diffusion import x0_of
from models.unetddim.model import Sampling
from tests.models.unetddim.support import CLASSIC, SMALL, predict_ab, small_model
from tests.support import blobs, lightness_like

# ---- refused and repaired architectures ----------------------------------------------------------


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
    with pytest.raises(ValueError, match=remedy):  # by the constructor of the network as well
        registry.load_model("unetddpm").build(typed)


def test_a_short_schedule_is_rescaled_to_zero_snr_unless_signal_is_allowed() -> None:
    short = {"schedule": "linear", "timesteps": 350, "shift": 1}
    allowed = small_model(**short, zero_terminal=False, allow_signal=True)
    assert float(allowed.schedule.alpha[-1]) == pytest.approx(0.17, abs=0.01)
    assert float(small_model(**short).schedule.alpha[-1]) == 0


# ---- inputs and outputs --------------------------------------------------------------------------


def test_the_classic_network_has_four_channels_in_and_three_out() -> None:
    model = small_model(color_space="rgb", **CLASSIC)
    assert model.unet.conv_in.in_channels == 4
    assert model.out.out_channels == 3
    assert not {"edge_features", "upsampler"} & {name.split(".")[0] for name in model.state_dict()}
    coarse = torch.randn(1, 3, 32, 32)
    assert model.upsample(coarse, model.encode_condition(torch.zeros(1, 1, 32, 32))) is coarse
    assert predict_ab(model, lightness_like(blobs(1, 32)), [1]).shape == (1, 3, 32, 32)


def test_the_regression_may_be_wider_and_deeper_than_the_denoiser() -> None:
    model = small_model(regression_widths=[16, 24, 8, 8])
    assert model.size_divisor == 32
    assert model.encode_condition(lightness_like(blobs(1, 64))).features.shape[1] == 16
    rgb = model.colorize(
        lightness_like(blobs(1, 64))[..., :40], seeds=[1], sampling=Sampling(steps=2)
    )
    assert rgb.shape == (1, 3, 64, 40)
    assert small_model().regression.conv_in.out_channels == SMALL["widths"][0]


def test_ab_may_be_divided_by_110() -> None:
    model = small_model(ab_scale=110)
    model.calibrate(Statistics((2.0, 8.0), (12.0, 18.0), 4.0))
    ab = torch.tensor([55.0, -110.0]).view(1, 2, 1, 1)
    assert model.standardize(ab).flatten().tolist() == [0.5, -1.0]
    assert float(model.color_limit) == 1.0


@pytest.mark.parametrize("condition", ["encoder", "regression"])
def test_features_of_the_condition_depend_on_l_and_change_the_output(condition: str) -> None:
    """The maps of an encoder or the features of a regression are used while the rest is masked."""
    model = small_model(condition=condition, patch_size=1)
    x, t = torch.randn(1, 2, 32, 32), torch.tensor([500])
    conditions = [model.encode_condition(lightness_like(blobs(1, 32, seed))) for seed in (0, 1)]
    hidden = [one.masked(torch.zeros(1, 1, 1, 1)) for one in conditions]
    only_features = [
        masked._replace(maps=one.maps, features=one.features)
        for masked, one in zip(hidden, conditions, strict=True)
    ]
    assert not torch.allclose(*(model(x, t, one) for one in only_features))
    assert torch.equal(*(model(x, t, one) for one in hidden))


@pytest.mark.parametrize("prediction", ["v", "x0", "epsilon"])
def test_a_mean_is_refined_by_denoising_the_residual(
    prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a mean, the estimate of x_0 is the mean plus the estimate for x_t - α · mean."""
    published = {"zero_terminal": False}
    model = small_model(prediction=prediction, patch_size=1, **published)
    forward = model.unet.forward
    level = model.schedule.at(torch.tensor([300]))

    def color_only(inputs: Tensor, *rest: Any) -> Any:
        return forward(torch.cat([inputs[:, :2], torch.zeros_like(inputs[:, 2:])], 1), *rest)

    def estimate(x: Tensor, condition: Condition) -> Tensor:
        output = model(x, torch.tensor([300]), condition)
        return x0_of(model.prediction, output, x, *level)

    monkeypatch.setattr(model.unet, "forward", color_only)
    x, mean = torch.randn(2, 1, 2, 32, 32).unbind()
    condition = model.encode_condition(lightness_like(blobs(1, 32)))._replace(mean=mean)
    without = condition._replace(mean=torch.zeros_like(mean))
    torch.testing.assert_close(
        estimate(x, condition), mean + estimate(x - level[0] * mean, without), rtol=1e-4, atol=1e-4
    )


def test_samplers_with_an_oracle_as_network_reach_the_true_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tests the whole model: standardization, every prediction target and the threshold."""
    rgb8 = blobs(2, 32)
    ab = rgb_to_lab(rgb_from_8bit(rgb8))[:, 1:]
    for prediction in ("v", "epsilon", "x0"):
        model = small_model(**{**CLASSIC, "prediction": prediction})
        truth = model.standardize(ab)
        assert truth.abs().max() < model.color_limit

        def oracle(
            x: Tensor, t: Tensor, condition: object, _: None, m: Any = model, x0: Any = truth
        ) -> Any:
            alpha, sigma = m.schedule.at(t)
            noise = (x - alpha * x0) / sigma
            return {"v": alpha * noise - sigma * x0, "epsilon": noise, "x0": x0}[m.prediction]

        monkeypatch.setattr(model, "forward", oracle)
        for sampler in ("ddpm", "ddim", "dpmpp"):
            found = predict_ab(model, lightness_like(rgb8), [1, 2], sampler=sampler)
            torch.testing.assert_close(found, ab, rtol=0, atol=0.05)
