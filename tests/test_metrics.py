"""The metrics against scikit-image, the `lpips` package, Sharma's pairs; and what they refuse."""

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import lpips as package
import numpy as np
import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.metrics import ssim as kornia_ssim
from skimage import color as skimage_color
from skimage import data as skimage_data
from skimage import metrics as skimage_metrics
from torch import Tensor, nn

import metrics
from benchmark.color import join, rgb_from_8bit, rgb_to_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.errors import UserError

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=8)  # a picture has thousands of pixels, each an example of its own
SYMMETRIC = ("ssim", "psnr", "delta_e76", "delta_e2000", "lightness_error")

# Table 1 of Sharma, Wu and Dalal 2005: L*, a*, b* twice, ΔE00.
SHARMA = """
50.0000   2.6772 -79.7751 50.0000   0.0000 -82.7485  2.0425
50.0000   3.1571 -77.2803 50.0000   0.0000 -82.7485  2.8615
50.0000   2.8361 -74.0200 50.0000   0.0000 -82.7485  3.4412
50.0000  -1.3802 -84.2814 50.0000   0.0000 -82.7485  1.0000
50.0000  -1.1848 -84.8006 50.0000   0.0000 -82.7485  1.0000
50.0000  -0.9009 -85.5211 50.0000   0.0000 -82.7485  1.0000
50.0000   0.0000   0.0000 50.0000  -1.0000   2.0000  2.3669
50.0000  -1.0000   2.0000 50.0000   0.0000   0.0000  2.3669
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0009  7.1792
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0010  7.1792
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0011  7.2195
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0012  7.2195
50.0000  -0.0010   2.4900 50.0000   0.0009  -2.4900  4.8045
50.0000  -0.0010   2.4900 50.0000   0.0010  -2.4900  4.8045
50.0000  -0.0010   2.4900 50.0000   0.0011  -2.4900  4.7461
50.0000   2.5000   0.0000 50.0000   0.0000  -2.5000  4.3065
50.0000   2.5000   0.0000 73.0000  25.0000 -18.0000 27.1492
50.0000   2.5000   0.0000 61.0000  -5.0000  29.0000 22.8977
50.0000   2.5000   0.0000 56.0000 -27.0000  -3.0000 31.9030
50.0000   2.5000   0.0000 58.0000  24.0000  15.0000 19.4535
50.0000   2.5000   0.0000 50.0000   3.1736   0.5854  1.0000
50.0000   2.5000   0.0000 50.0000   3.2972   0.0000  1.0000
50.0000   2.5000   0.0000 50.0000   1.8634   0.5757  1.0000
50.0000   2.5000   0.0000 50.0000   3.2592   0.3350  1.0000
60.2574 -34.0099  36.2677 60.4626 -34.1751  39.4387  1.2644
63.0109 -31.0961  -5.8663 62.8187 -29.7946  -4.0864  1.2630
61.2901   3.7196  -5.3901 61.4292   2.2480  -4.9620  1.8731
35.0831 -44.1164   3.7933 35.0232 -40.0716   1.5901  1.8645
22.7233  20.0904 -46.6940 23.0331  14.9730 -42.5619  2.0373
36.4612  47.8580  18.3852 36.2715  50.5065  21.2231  1.4146
90.8027  -2.0831   1.4410 91.1528  -1.6435   0.0447  1.4441
90.9257  -0.5406  -0.9208 88.6381  -0.8985  -0.7239  1.5381
 6.7747  -0.2908  -2.4247  5.8714  -0.0985  -2.2286  0.6377
 2.0776   0.0795  -1.1350  0.9033  -0.0636  -0.5514  0.9082
"""


def random_pair(seed: int, n: int = 3, height: int = 24, width: int = 32) -> tuple[Tensor, Tensor]:
    """(prediction, truth), uint8: unlike in the first picture, alike in the last."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 256, (n, 3, height, width))
    spread = np.geomspace(100, 2, n)[:, None, None, None]
    noisy = np.clip(truth + rng.normal(size=truth.shape) * spread, 0, 255).round()
    return torch.from_numpy(noisy).byte(), torch.from_numpy(truth).byte()


def floats(seed: int, **shape: int) -> tuple[Tensor, Tensor]:
    prediction, truth = random_pair(seed, **shape)
    return rgb_from_8bit(prediction), rgb_from_8bit(truth)


def each(prediction: Tensor, truth: Tensor, reference: Callable[..., Any]) -> list[float]:
    """A reference that takes one pair of float64 pictures (H, W, 3), over a batch."""
    pairs = zip(
        prediction.double().permute(0, 2, 3, 1).numpy(),
        truth.double().permute(0, 2, 3, 1).numpy(),
        strict=True,
    )
    return [float(reference(first, second)) for first, second in pairs]


# ---- references ----------------------------------------------------------------------------------


def test_ssim_equals_scikit_image_with_wangs_settings() -> None:
    prediction, truth = floats(0, n=4)
    expected = each(
        prediction,
        truth,
        lambda p, t: skimage_metrics.structural_similarity(  # type: ignore[no-untyped-call]
            t,
            p,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
        ),
    )
    assert min(expected) < 0.7
    np.testing.assert_allclose(metrics.ssim(prediction, truth), expected, atol=1e-5)


def test_psnr_equals_scikit_image() -> None:
    prediction, truth = floats(1, n=4)
    expected = each(
        prediction,
        truth,
        lambda p, t: skimage_metrics.peak_signal_noise_ratio(  # type: ignore[no-untyped-call]
            t, p, data_range=1.0
        ),
    )
    np.testing.assert_allclose(metrics.psnr(prediction, truth), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.delta_e76, skimage_color.deltaE_cie76),
        (metrics.delta_e2000, skimage_color.deltaE_ciede2000),
    ],
)
def test_colour_differences_equal_scikit_image(
    ours: Callable[[Tensor, Tensor], Tensor], theirs: Callable[..., Any]
) -> None:
    prediction, truth = floats(2, n=4)

    def reference(first: Any, second: Any) -> float:
        return float(theirs(skimage_color.rgb2lab(second), skimage_color.rgb2lab(first)).mean())

    expected = each(prediction, truth, reference)
    np.testing.assert_allclose(ours(prediction, truth), expected, atol=1e-3)


def test_ciede2000_equals_sharmas_34_pairs() -> None:
    table = np.array([line.split() for line in SHARMA.split("\n") if line], dtype=np.float64)
    assert table.shape == (34, 7)
    # Float64: two of the hues differ by half a turn, where the last bit decides the sign.
    first, second = torch.from_numpy(table[:, :3]), torch.from_numpy(table[:, 3:6])
    for one, other in ((first, second), (second, first)):
        ours = metrics.ciede2000(one, other)
        np.testing.assert_allclose(ours, table[:, 6], atol=5.1e-5)


def test_colourfulness_equals_a_picture_reckoned_by_hand() -> None:
    # Half red, half green: R - G is ±255 (mean 0, deviation 255), (R + G) / 2 - B is 127.5
    # everywhere. With |R - G| it would be 85.5: the deviation of a constant is 0.
    rgb = torch.zeros(2, 3, 4, 4)
    rgb[0, 0, :2] = rgb[0, 1, 2:] = 1
    # Half red, half blue: R - G is 255 or 0, the other 127.5 or -255.
    rgb[1, 0, :2] = rgb[1, 2, 2:] = 1
    half_blue = math.hypot(127.5, 191.25) + 0.3 * math.hypot(127.5, 63.75)
    expected = [255 + 0.3 * 127.5, half_blue]
    np.testing.assert_allclose(metrics.colorfulness(rgb), expected, rtol=1e-6)


def test_lightness_error_is_the_mean_step_in_lightness() -> None:
    lightness = torch.linspace(20, 70, 16).view(1, 1, 4, 4)
    grey = torch.zeros(1, 2, 4, 4)
    value = metrics.lightness_error(join(lightness + 3, grey + 10), join(lightness, grey))
    assert float(value) == pytest.approx(3, abs=1e-3)


# ---- properties ----------------------------------------------------------------------------------


@few
@given(SEEDS)
def test_a_picture_equals_itself(seed: int) -> None:
    _, truth = floats(seed, n=1)
    assert float(metrics.ssim(truth, truth)) == pytest.approx(1, abs=1e-6)
    assert float(metrics.psnr(truth, truth)) == math.inf
    for key in ("delta_e76", "delta_e2000", "lightness_error"):
        assert float(compute(key)(truth, truth)) == 0


@few
@given(SEEDS)
def test_first_and_second_may_change_places(seed: int) -> None:
    first, second = floats(seed)
    for key in SYMMETRIC:
        torch.testing.assert_close(
            compute(key)(first, second), compute(key)(second, first), atol=1e-4, rtol=1e-5
        )


@few
@given(SEEDS, st.permutations(range(5)), st.integers(1, 5))
def test_a_score_depends_on_neither_batch_nor_order(
    seed: int, order: list[int], batch_size: int
) -> None:
    prediction, truth = random_pair(seed, n=5, height=16, width=16)
    whole = metrics.score(prediction, truth, None)
    shuffled = metrics.score(prediction[order], truth[order], None, batch_size)
    assert whole.keys() == shuffled.keys() == metrics.METRICS.keys() - {"lpips"}
    for key, values in whole.items():
        expected = [values[row] for row in order]
        np.testing.assert_allclose(shuffled[key], expected, rtol=1e-5, atol=1e-5)


@few
@given(st.floats(0, 2 * math.pi), st.floats(10, 22), st.sampled_from([-1, 1]))
def test_a_growing_hue_error_never_scores_better(hue: float, chroma: float, turn: int) -> None:
    generator = torch.Generator().manual_seed(0)
    lightness = 55 + 15 * torch.rand(1, 1, 16, 16, generator=generator)

    def picture(angle: float) -> Tensor:
        ab = torch.tensor([math.cos(angle), math.sin(angle)]).view(1, 2, 1, 1) * chroma
        return join(lightness, ab.expand(1, 2, 16, 16))

    # SSIM and PSNR look at RGB, where a turn of hue is no circle: they level off before 120°.
    for key, most in (("delta_e76", 120), ("delta_e2000", 120), ("psnr", 90), ("ssim", 75)):
        degrees = range(0, most + 1, 15)
        wrong = torch.cat([picture(hue + turn * math.radians(error)) for error in degrees])
        sign = 1 if metrics.METRICS[key].direction == "down" else -1
        values = sign * compute(key)(wrong, wrong[:1].expand_as(wrong))
        assert (values.diff() > 0).all(), (key, values)


@pytest.mark.parametrize("key", metrics.METRICS)
def test_every_metric_refuses_pictures_in_minus_one_to_one(key: str) -> None:
    prediction, truth = floats(3)
    with pytest.raises(ValueError, match="spans"):
        compute(key)(prediction * 2 - 1, truth)
    if key != "colorfulness":  # which looks at the prediction alone
        with pytest.raises(ValueError, match="spans"):
            compute(key)(prediction, truth * 2 - 1)


@pytest.mark.parametrize("key", metrics.METRICS)
def test_every_metric_refuses_what_is_no_pair_of_float_pictures(key: str) -> None:
    prediction, truth = floats(4)
    wrong = [(prediction[0], truth[0]), (prediction * 255, truth * 255), random_pair(4)]
    wrong += [(prediction * math.nan, truth), (prediction[:, :1], truth[:, :1])]
    if key != "colorfulness":
        wrong += [(prediction[:1], truth), (prediction[..., :-1], truth)]
    for first, second in wrong:
        with pytest.raises(ValueError, match=r"prediction|rgb has|rgb is|rgb spans"):
            compute(key)(first, second)


def compute(key: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The metric of this name; LPIPS with a network that must not be reached."""
    found = metrics.METRICS[key].compute
    if found is not None:
        return found
    return lambda prediction, truth: metrics.lpips(prediction, truth, nn.Identity())


def test_unequal_numbers_of_pictures_are_refused() -> None:
    prediction, truth = random_pair(5, n=3)
    for batch_size in (2, 3):
        with pytest.raises(ValueError, match=r"shape|zip"):
            metrics.score(prediction[:2], truth, None, batch_size)


# ---- the grey picture ----------------------------------------------------------------------------


def test_copying_the_grey_input_scores_what_it_should() -> None:
    names = ("astronaut", "chelsea", "coffee")
    photos = [getattr(skimage_data, name)() for name in names]
    truth8 = torch.stack([torch.from_numpy(p[20:276, 40:296].copy()) for p in photos])
    truth8 = truth8.permute(0, 3, 1, 2)
    truth = rgb_from_8bit(truth8)
    lightness = rgb_to_lightness(truth)
    grey8 = rgb_to_8bit(join(lightness, torch.zeros_like(truth[:, :2])))
    values = {key: np.array(v) for key, v in metrics.score(grey8, truth8, None).items()}
    assert (values["lightness_error"] < 0.12).all()
    assert (values["colorfulness"] < 0.1).all()
    assert values["ssim"].mean() > 0.85  # SSIM rewards grey: hence the fixed row in each table
    # Between a picture and its grey copy lies its chroma, and nothing else.
    chroma = rgb_to_lab(truth)[:, 1:].norm(dim=1).mean(dim=(1, 2))
    np.testing.assert_allclose(values["delta_e76"], chroma, rtol=0.01)
    # The fault for which other ranges are refused: the same pictures in [-1, 1] score far less.
    grey = rgb_from_8bit(grey8)
    mistaken = kornia_ssim(grey * 2 - 1, truth * 2 - 1, 11, max_val=1.0, padding="valid")
    assert (values["ssim"] - mistaken.mean(dim=(1, 2, 3)).numpy() > 0.1).all()


# ---- LPIPS ---------------------------------------------------------------------------------------


@pytest.fixture
def no_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with an empty cache, no network and no variable set."""

    def fail(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.delenv(metrics.LPIPS_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    metrics.lpips_network.cache_clear()
    yield
    metrics.lpips_network.cache_clear()


def random_alexnet(spread: dict[str, float] | None = None) -> dict[str, Tensor]:
    """AlexNet's convolution layers freshly initialised, or with other deviations by name."""
    state: dict[str, Tensor] = {}
    for name, (shape, _) in metrics.ALEXNET_LAYERS.items():
        out, into, *kernel = shape
        layer = nn.Conv2d(into, out, tuple(kernel))  # type: ignore[arg-type]
        state[name] = layer.weight.data
        state[name.replace("weight", "bias")] = layer.bias.data  # type: ignore[union-attr]
        if spread is not None:
            state[name] = torch.randn(shape) * spread[name]
    return state


@pytest.mark.usefixtures("no_backbone")
def test_without_a_backbone_there_is_no_lpips_and_never_a_number() -> None:
    with pytest.raises(metrics.NoBackbone, match=metrics.LPIPS_VARIABLE):
        metrics.lpips_network()
    values = metrics.score(*random_pair(6), None)
    assert "lpips" not in values
    assert values.keys() == metrics.METRICS.keys() - {"lpips"}


@pytest.mark.usefixtures("no_backbone")
def test_random_alexnet_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "random.pth"
    torch.save(random_alexnet(), path)
    with pytest.raises(UserError, match=r"random\.pth does not hold AlexNet"):
        metrics.lpips_network(str(path))
    monkeypatch.setenv(metrics.LPIPS_VARIABLE, str(path))
    with pytest.raises(UserError, match=r"random\.pth does not hold AlexNet"):
        metrics.lpips_network()


@pytest.mark.usefixtures("no_backbone")
def test_a_file_without_biases_is_refused(tmp_path: Path) -> None:
    state = random_alexnet({name: std for name, (_, std) in metrics.ALEXNET_LAYERS.items()})
    weights = {name: value for name, value in state.items() if name.endswith("weight")}
    torch.save(weights, tmp_path / "half.pth")
    with pytest.raises(UserError, match=r"half\.pth does not hold AlexNet"):
        metrics.lpips_network(str(tmp_path / "half.pth"))


@pytest.mark.usefixtures("no_backbone")
@pytest.mark.parametrize("content", [b"", b"these are not weights", b"PK\x03\x04 nor is this"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth does not hold AlexNet") as caught:
        metrics.lpips_network(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_backbone")
def test_other_tensors_and_missing_files_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    for name in ("other.pth", "list.pth"):
        with pytest.raises(UserError, match=name):
            metrics.lpips_network(str(tmp_path / name))
    with pytest.raises(UserError, match="there is no file"):
        metrics.lpips_network(str(tmp_path / "missing.pth"))


@pytest.mark.usefixtures("no_backbone")
def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return sys.exit, (1,)

    torch.save({"features.0.weight": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(UserError, match=r"bomb\.pth"):
        metrics.lpips_network(str(tmp_path / "bomb.pth"))


def test_lpips_equals_the_package_with_the_same_weights(
    alexnet_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package builds its backbone from torchvision, which would download: it is handed
    # torchvision's own AlexNet with the file's layers instead (on "meta" until it is filled).
    with torch.device("meta"):
        backbone = torchvision.models.AlexNet()
    state = torch.load(alexnet_weights, weights_only=True)
    backbone.load_state_dict(state, strict=False, assign=True)
    stand_in = SimpleNamespace(alexnet=lambda pretrained: backbone)
    monkeypatch.setattr(package.pretrained_networks, "tv", stand_in)
    reference = package.LPIPS(net="alex", verbose=False)

    network = metrics.lpips_network(str(alexnet_weights))
    prediction, truth = floats(7, n=4, height=64, width=48)
    with torch.no_grad():
        expected = reference(prediction, truth, normalize=True).flatten()
    assert float(expected.max()) > 0.05
    ours = metrics.lpips(prediction, truth, network)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    whole = metrics.score(rgb_to_8bit(prediction), rgb_to_8bit(truth), network, batch_size=3)
    np.testing.assert_allclose(whole["lpips"], expected, atol=1e-5)
    assert metrics.lpips(truth, truth, network).abs().max() == 0
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


# ---- the table -----------------------------------------------------------------------------------


def test_the_table_describes_every_metric() -> None:
    assert set(metrics.describe()) == set(metrics.METRICS)
    for key, metric in metrics.METRICS.items():
        assert metric.key == key
        assert metric.label
        assert metric.parameters
        assert metric.source
        assert metric.label in metrics.describe()[key]
    assert [key for key, metric in metrics.METRICS.items() if metric.compute is None] == ["lpips"]
