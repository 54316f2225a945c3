"""The latent: compared with torch's distributions, its training, and its collapse.

The contract of every model is tested in test_contract.py.
"""

import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal

from benchmark import registry
from benchmark.color import rgb_from_8bit
from benchmark.randomness import Noise, Randomness
from benchmark.recipe import Batch
from benchmark.results.history import read_history
from models.basicvae.train import Settings
from models.common.latent import (
    Gaussian,
    GaussianHead,
    Posterior,
    Regions,
    free_bits,
    kl_divergence,
    pool,
    posterior_collapse,
    region_dim_of,
    spread,
    whole_image,
)
from tests.support import awaken, blobs, make_loop, tiny_model, tiny_recipe, training_data

CPU = torch.device("cpu")
NAMES = [entry.name for entry in registry.entries() if not entry.broken]
VARIATIONAL = [name for name in NAMES if issubclass(registry.load_settings(name), Settings)]


def random_gaussian(*shape: int) -> Gaussian:
    return Gaussian(2 * torch.randn(shape), 2 * torch.randn(shape))


def normal_of(gaussian: Gaussian) -> Normal:
    return Normal(gaussian.mean, (gaussian.log_variance / 2).exp())


def test_the_kl_divergence_is_that_of_normal_distributions() -> None:
    torch.manual_seed(0)
    q, p = random_gaussian(64, 8), random_gaussian(64, 8)
    expected = torch.distributions.kl_divergence(normal_of(q), normal_of(p))
    torch.testing.assert_close(kl_divergence(q, p), expected, rtol=1e-4, atol=1e-4)
    assert kl_divergence(q, q).abs().max() < 1e-5
    standard = Gaussian.standard(64, 8, CPU)
    expected = torch.distributions.kl_divergence(normal_of(q), Normal(0, 1))
    torch.testing.assert_close(kl_divergence(q, standard), expected, rtol=1e-4, atol=1e-4)


def test_samples_have_the_mean_and_the_deviation() -> None:
    noise = torch.randn(1000, 5, dtype=torch.float64)
    noise = (noise - noise.mean(0)) / noise.std(0)
    q = random_gaussian(1, 5)
    samples, normal = q.sample(noise), normal_of(q)
    torch.testing.assert_close(samples.mean(0, keepdim=True), normal.mean.double())
    torch.testing.assert_close(samples.std(0, keepdim=True), normal.stddev.double())


def test_free_bits_of_information_are_not_penalized() -> None:
    """The free nats are those of the sum over dimensions, averaged over the batch."""
    kl = torch.tensor([[0.9, 0.0, 0.3], [0.3, 0.1, 0.0]], requires_grad=True)  # sums 1.2 and 0.4
    for nats, expected, slope in ((0.0, 0.8, 0.5), (0.7, 0.8, 0.5), (1.0, 1.0, 0.0)):
        loss = free_bits(kl, nats)
        assert loss.item() == pytest.approx(expected)
        (gradient,) = torch.autograd.grad(loss, kl)
        assert torch.equal(gradient, torch.full((2, 3), slope))


@pytest.mark.parametrize("size", [(4, 4), (12, 28), (40, 8)])
def test_the_posterior_takes_any_size_and_ignores_the_rest_of_the_batch(
    size: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    posterior = Posterior(2, 2, [8, 16], 1, 5)  # patches of 2×2 and two levels: multiples of 4
    awaken(posterior)
    lightness, color = torch.randn(3, 1, *size), torch.randn(3, 2, *size)
    shares = torch.randn(3, 7, size[0] // 4, size[1] // 4).softmax(1)
    q = posterior(lightness, color, shares)
    assert q.mean.shape == q.log_variance.shape == (3, 7 * 5)
    alone = posterior(lightness[1:2], color[1:2], shares[1:2])
    torch.testing.assert_close(alone.mean, q.mean[1:2])
    torch.testing.assert_close(alone.log_variance, q.log_variance[1:2])
    assert not torch.allclose(posterior(lightness, -color, shares).mean, q.mean)


def test_a_region_has_the_features_of_its_pixels_and_gives_them_its_latent() -> None:
    """With hard regions: pooling is the mean over each, spreading is a lookup."""
    torch.manual_seed(0)
    numbers = torch.randint(0, 3, (2, 6, 5))
    shares = F.one_hot(numbers, 4).permute(0, 3, 1, 2).float()  # the fourth has no pixels
    features = torch.randn(2, 8, 6, 5)
    pooled = pool(features, shares)
    for image, region in product(range(2), range(3)):
        expected = features[image][:, numbers[image] == region].mean(1)
        torch.testing.assert_close(pooled[image, region], expected, rtol=2e-3, atol=1e-4)
    assert pooled[:, 3].abs().max() == 0
    latent = torch.randn(2, 4 * 3)
    at_position = spread(latent, shares)
    for image, y, x in product(range(2), range(6), range(5)):
        region = int(numbers[image, y, x])
        expected = latent[image, 3 * region : 3 * region + 3]
        torch.testing.assert_close(at_position[image, :, y, x], expected)
    whole = pool(features, whole_image(features))[:, 0]
    torch.testing.assert_close(whole, features.mean(dim=(2, 3)), rtol=2e-3, atol=1e-4)


def test_equal_objects_at_two_places_are_told_apart() -> None:
    torch.manual_seed(0)
    regions = Regions([8, 16], 5)
    levels = [torch.zeros(1, 8, 4, 6), torch.zeros(1, 16, 2, 3)]
    shares, features = regions(levels)
    assert shares.shape == (1, 5, 4, 6)
    assert features.shape == (1, regions.width, 4, 6)
    torch.testing.assert_close(shares.sum(1), torch.ones(1, 4, 6))
    assert (shares[..., 1:-1, 1] - shares[..., 1:-1, -2]).abs().max() > 1e-3


def test_regions_share_the_dimensions_of_the_latent_equally() -> None:
    assert region_dim_of(256, 16) == 16
    with pytest.raises(ValueError, match="256 is not a multiple of the 15 regions"):
        region_dim_of(256, 15)


def test_a_gaussian_head_starts_near_the_standard_normal_and_stays_finite() -> None:
    torch.manual_seed(0)
    head, features = GaussianHead(64, 16), torch.randn(8, 3, 64)
    standard = Gaussian.standard(8, 3 * 16, CPU)
    assert kl_divergence(head(features), standard).max() < 0.1
    wild = kl_divergence(head(1e4 * features), head(-1e4 * features))
    assert torch.isfinite(wild).all()


def test_a_collapsed_posterior_is_reported_with_the_remedy() -> None:
    assert posterior_collapse([0.11] * 4 + [0.0] * 60) is None
    assert posterior_collapse([1.0, 1.0]) is None  # both of the two dimensions are used
    text = posterior_collapse([5.0] * 3 + [0.1] * 61)
    assert text is not None
    assert "3 of 64" in text
    for setting in ("kl_weight", "free_bits", "kl_warmup"):
        assert setting in text


# ---- the models ----------------------------------------------------------------------------------


@pytest.fixture(params=VARIATIONAL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_models_with_a_latent_are_found() -> None:
    assert VARIATIONAL


@pytest.mark.parametrize("color_space", ["lab", "rgb"])
def test_a_learned_prior_is_trained_with_the_model(name: str, color_space: str) -> None:
    recipe = tiny_recipe(name, prior="learned", free_bits=0, color_space=color_space)
    plain = tiny_recipe(name, prior="standard", color_space=color_space)
    prior_parameters = (
        dict(recipe.named_parameters()).keys() - dict(plain.named_parameters()).keys()
    )
    assert prior_parameters
    awaken(recipe)
    batch = Batch(rgb_from_8bit(blobs(8, 32)), 1.0)
    for update in recipe.updates(batch, Randomness(0, 0, CPU)):
        torch.stack(list(update.losses.values())).sum().backward()
    for key, parameter in recipe.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.any(), key


def test_the_kl_loss_rises_to_its_weight(name: str) -> None:
    recipe = tiny_recipe(name, kl_warmup=0.5, kl_weight=2.0, free_bits=0)
    rgb = rgb_from_8bit(blobs(2, 32))

    def kl_loss(progress: float) -> Tensor:
        (update,) = recipe.updates(Batch(rgb, progress), Randomness(0, 0, CPU))
        return update.losses["kl"].detach()

    full = recipe.validate(recipe.model, Batch(rgb, 1.0), Randomness(0, 0, CPU))
    torch.testing.assert_close(full["kl_per_dimension"].sum() * 2.0, full["kl"])
    torch.testing.assert_close(full["color"] + full["kl"], next(iter(full.values())))
    for progress, share in ((0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (1.0, 1.0)):
        torch.testing.assert_close(kl_loss(progress), share * full["kl"].detach())


def test_a_collapsed_latent_is_reported_to_the_user(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    high = {"kl_weight": 100, "free_bits": 0, "kl_warmup": 0}
    loop = make_loop(tmp_path, name, training_data(blobs(8, 32)), epochs=2, **high)
    loop.run("disabled")
    rows = read_history(loop.folder.history)
    assert len(rows) == 2
    for row in rows:
        nats = row["val/kl_per_dimension"]
        assert len(nats) == loop.model.architecture["latent_dim"]
        assert all(isinstance(value, float) and value >= 0 for value in nats)
        assert math.fsum(nats) * 100 == pytest.approx(row["val/kl"], rel=1e-4)
    messages = capsys.readouterr().err
    assert messages.count(f"Warning: {name}: the latent has collapsed") == 2


@pytest.mark.parametrize("color_space", ["lab", "rgb"])
def test_samples_are_drawn_from_the_learned_prior(name: str, color_space: str) -> None:
    """If the prior has almost no variance, every seed gives the decoded mean of the prior."""
    model: Any = tiny_model(name, color_space=color_space)
    awaken(model)
    head = model.prior.head.linear
    lightness = 100 * torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        head.weight.zero_()
        head.bias[: model.region_dim].normal_(0, 3)
        head.bias[model.region_dim :] = -10
        regions = model.latent_dim // model.region_dim
        mean = head.bias[: model.region_dim].repeat(2, regions)
        encoded = model.encode(lightness)
        expected, opposite = (model.unstandardize(model.decode(encoded, m)) for m in (mean, -mean))
        drawn = model.predict(lightness, noise=Noise([1, 2], CPU), sampling=None, on_step=None)
    assert (drawn - expected).abs().mean() < 0.1 * (opposite - expected).abs().mean()
