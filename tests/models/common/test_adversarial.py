"""Adversarial training: the discriminator, its losses and inputs, and the two phases."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark import registry
from benchmark.color import rgb_from_8bit
from benchmark.errors import UserError
from benchmark.randomness import Randomness
from benchmark.recipe import Batch
from models.common.adversarial import (
    Augmentation,
    Discriminator,
    augmentation,
    discriminator_loss,
    feature_matching,
    generator_loss,
)
from models.gan.train import Settings
from tests.support import blobs, tiny_recipe

CPU = torch.device("cpu")
NAMES = [entry.name for entry in registry.entries() if not entry.broken]
GANS = [name for name in NAMES if issubclass(registry.load_settings(name), Settings)]


# ---- the discriminator ---------------------------------------------------------------------------


def test_the_discriminator_gives_a_map_that_is_equivariant_to_shifts() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(2, 1, [8, 16]).eval()  # two strides of 2, so 4 in total
    canvas = torch.randn(2, 3, 48, 64)
    logits, features = discriminator(canvas[:, :, :40, :40])
    moved, _ = discriminator(canvas[:, :, 4:44, 8:48])
    assert logits.shape == (2, 1, 10, 10)
    assert [f.shape for f in features] == [(2, 8, 20, 20), (2, 16, 10, 10)]
    assert discriminator(canvas)[0].shape == (2, 1, 12, 16)
    # Zero padding reaches two positions from the edges; the rest moves one down and two right.
    torch.testing.assert_close(moved[:, :, 2:7, 2:6], logits[:, :, 3:8, 4:8])


def test_the_discriminator_input_has_full_lightness_and_the_mean_colors_of_patches() -> None:
    discriminator = Discriminator(2, 4, [8, 16])
    lightness, color = torch.randn(2, 1, 16, 24), torch.randn(2, 2, 16, 24)
    inputs = discriminator.discriminator_input(lightness, color)
    assert inputs.shape == (2, 18, 4, 6)
    torch.testing.assert_close(F.pixel_shuffle(inputs[:, :16], 4), lightness)
    # Color texture within a patch does not change the input, so it does not help the generator.
    flat = F.interpolate(F.avg_pool2d(color, 4), scale_factor=4.0)
    torch.testing.assert_close(discriminator.discriminator_input(lightness, flat), inputs)


def test_a_discriminator_too_deep_for_the_images_is_refused() -> None:
    with pytest.raises(UserError, match="need a size of 128"):
        tiny_recipe(GANS[0], size=64, discriminator_widths=[8] * 5)


def test_the_weights_of_the_discriminator_have_spectral_norm_1() -> None:
    """The largest singular value of a layer becomes 1 for any weights."""
    torch.manual_seed(1)
    discriminator = Discriminator(2, 1, [16, 32, 64])
    for parameter in discriminator.parameters():
        torch.nn.init.normal_(parameter, std=3.0)
    with torch.no_grad():
        for _ in range(100):
            discriminator(torch.randn(1, 3, 8, 8))
    layers = [layer for layer in discriminator.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert len(layers) == 4
    for layer in layers:
        stretch = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        assert stretch.item() == pytest.approx(1, abs=0.01)


# ---- losses --------------------------------------------------------------------------------------


def test_hinge_losses_equal_values_computed_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, -0.5, 1.0, 0.0])
    # max(0, 1 - real) is 0, 0.5, 2; max(0, 1 + fake) is 0, 0.5, 2, 1.
    assert discriminator_loss(real, fake, "hinge").item() == pytest.approx(2.5 / 3 + 3.5 / 4)
    assert generator_loss(fake, "hinge").item() == pytest.approx(2.5 / 4)


def test_bce_losses_are_cross_entropies() -> None:
    real, fake = 5 * torch.randn(4, 1, 3, 3), 5 * torch.randn(4, 1, 5, 5)
    entropy = F.binary_cross_entropy_with_logits
    both = entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))
    torch.testing.assert_close(discriminator_loss(real, fake, "bce"), both)
    torch.testing.assert_close(generator_loss(fake, "bce"), entropy(fake, torch.ones_like(fake)))


def test_feature_matching_has_gradients_for_generated_features_only() -> None:
    real = [torch.randn(2, 4, 8, 8, requires_grad=True), torch.randn(2, 8, 4, 4)]
    assert feature_matching(real, real) == 0
    fake = [(r + 1).detach().requires_grad_() for r in real]
    fake[1] = fake[1] + 2
    loss = feature_matching(real, fake)
    assert loss.item() == pytest.approx((1 + 3) / 2)  # every layer has the same weight
    loss.backward()
    assert real[0].grad is None
    assert fake[0].grad is not None


# ---- augmentation --------------------------------------------------------------------------------


def numbered(count: int, channels: int, height: int, width: int) -> Tensor:
    """Return images in which all values differ and none is 0."""
    total = count * channels * height * width
    return torch.arange(1, total + 1, dtype=torch.float64).view(count, channels, height, width)


def shifts_of(augment: Augmentation, count: int, height: int, width: int) -> Tensor:
    """Return how far each image was moved down and right in pixels, (count, 2)."""
    augmented = augment(numbered(count, 1, height, width)).flatten(1)
    position = augmented.argmax(1)
    source = augmented.amax(1).long() - 1 - height * width * torch.arange(count)
    return torch.stack([position // width - source // width, position % width - source % width], 1)


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (17, 6)])
def test_an_augmented_image_is_shifted_and_has_a_rectangle_cut_out(size: tuple[int, int]) -> None:
    """Every other value is that of its original position, in the same way in all channels."""
    count, channels, (height, width) = 50, 3, size
    augment = augmentation(Randomness(0, 0, CPU), count, *size)
    augmented = augment(numbered(count, channels, *size))
    assert augmented.shape == (count, channels, *size)

    shifts = shifts_of(augment, count, *size)
    assert (shifts.abs() <= torch.tensor([height // 8, width // 8])).all()
    rows = torch.arange(height)[None, :, None] - shifts[:, :1, None]
    columns = torch.arange(width)[None, None, :] - shifts[:, 1:, None]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    image = torch.arange(count)[:, None, None, None]
    channel = torch.arange(channels)[:, None, None]
    moved = ((image * channels + channel) * height + rows[:, None]) * width + columns[:, None] + 1
    torch.testing.assert_close(augmented, moved.double() * (augmented > 0), rtol=0, atol=0)

    hidden = inside & (augmented[:, 0] == 0)
    assert ((augmented == 0) == (hidden | ~inside)[:, None]).all()
    high, wide = hidden.any(2), hidden.any(1)
    assert torch.equal(hidden, inside & high[:, :, None] & wide[:, None, :])  # a rectangle
    assert high.sum(1).max() == height // 2
    assert wide.sum(1).max() == width // 2


def test_one_draw_of_the_augmentation_is_the_same_linear_map_for_any_tensor() -> None:
    """Real and generated images get the same augmentation, and gradients pass through it."""
    augment = augmentation(Randomness(3, 1, CPU), 6, 16, 24)
    a, b = torch.randn(6, 3, 16, 24), torch.randn(6, 3, 16, 24, requires_grad=True)
    torch.testing.assert_close(augment(a) + 2 * augment(b), augment(a + 2 * b))
    augmented = augment(b)
    augmented.sum().backward()
    assert b.grad is not None
    assert set(b.grad.unique().tolist()) == {0.0, 1.0}
    assert b.grad.sum() == (augmented != 0).sum()


def test_shifts_are_uniformly_distributed() -> None:
    count = 4000
    shifts = shifts_of(augmentation(Randomness(0, 0, CPU), count, 16, 24), count, 16, 24)
    for axis, reach in enumerate((2, 3)):
        values, counts = shifts[:, axis].unique(return_counts=True)
        assert values.tolist() == list(range(-reach, reach + 1))
        assert counts.min() > 0.85 * count / len(values)
        assert shifts[:, axis].double().mean().abs() < 0.1


# ---- the two phases ------------------------------------------------------------------------------


@pytest.fixture(params=GANS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_models_with_a_discriminator_are_found() -> None:
    assert GANS


def test_the_generator_is_trained_alone_first_and_then_after_the_discriminator(name: str) -> None:
    recipe = tiny_recipe(name, generator_only=0.5)
    optimizers = recipe.optimizers()
    batch = rgb_from_8bit(blobs(2, 32))
    networks = {
        frozenset(map(id, network.parameters())): network
        for network in (recipe.model, recipe.discriminator)
    }

    def updated(progress: float) -> list[torch.nn.Module]:
        """Return the network whose parameters each update trains; it trains all of them."""
        found = []
        for update in recipe.updates(Batch(batch, progress), Randomness(0, 0, CPU)):
            groups = optimizers[update.optimizer].param_groups
            found.append(networks[frozenset(id(p) for group in groups for p in group["params"])])
        return found

    assert updated(0.0) == updated(0.499) == [recipe.model]
    assert updated(0.5) == updated(0.999) == [recipe.discriminator, recipe.model]


@pytest.mark.parametrize("adversarial", ["hinge", "bce"])
def test_the_discriminators_loss_does_not_reach_the_generator(name: str, adversarial: str) -> None:
    recipe = tiny_recipe(name, adversarial=adversarial)
    updates = recipe.updates(Batch(rgb_from_8bit(blobs(2, 32)), 0.999), Randomness(0, 0, CPU))
    first = next(updates)
    torch.stack(list(first.losses.values())).sum().backward()  # without `inputs`, unlike the loop
    assert all(p.grad is None for p in recipe.model.parameters())
    assert all(p.grad is not None and p.grad.any() for p in recipe.discriminator.parameters())
    generator = list(recipe.model.parameters())
    second = next(updates).losses
    assert set(second) == {"color", "adversarial", "features"}
    for loss in second.values():  # each loss reaches the generator
        gradients = torch.autograd.grad(loss, generator, retain_graph=True, allow_unused=True)
        assert any(g is not None and g.any() for g in gradients)


@pytest.mark.parametrize("color_space", ["lab", "rgb"])
def test_the_best_weights_have_the_lowest_sum_of_color_loss_and_divergence(
    name: str, color_space: str
) -> None:
    recipe = tiny_recipe(name, color_space=color_space)
    model, rng = recipe.model, Randomness(0, 0, CPU)
    batch = Batch(rgb_from_8bit(blobs(4, 32)), 1.0)
    with torch.no_grad():
        losses = recipe.validate(model, batch, rng)
        assert next(iter(losses.values())).item() == pytest.approx(
            losses["color"].item() + losses["divergence"].item()
        )
        assert losses["color"] > 0
        assert losses["divergence"] > 0
        model.forward = lambda lightness: model.target(batch.rgb)  # predicts the truth
        perfect = recipe.validate(model, batch, rng)
    # In sRGB the truth is converted twice, which can move it across the edge of a bin.
    assert all(value < 1e-3 for value in perfect.values())
