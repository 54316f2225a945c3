"""The networks of outsiders: names and shapes of the published weights, and what goes in and out.

No published weights are needed: their sizes are known, and values are random.
"""

from types import ModuleType

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.models.convnext import checkpoint_filter_fn
from torch import nn

from benchmark.color import rgb_to_lightness
from benchmark.registry import load_outsider, outsider_entries
from outsiders import ddcolor, deoldify, zhang16, zhang17
from outsiders.common.layers import SelfAttention, SpectralConv, Upsample, WeightNormConv
from tests.outsider_support import random_tensors

MIB = 2**20
SIZES = {
    ("zhang16", "release"): (128_976_165, 20_000),
    ("zhang17", "release"): (130.5 * MIB, 0.1 * MIB),  # published to 0.1 MiB
    ("deoldify", "artistic"): (255_144_681, 100_000),  # an optimizer's state without moments too
    ("deoldify", "stable"): (874_066_230, 200_000),
    ("ddcolor", "tiny"): (220e6, 0.6e6),  # published to 1 MB
    ("ddcolor", "large"): (912e6, 0.6e6),
}
"""The size of each published file in bytes, as the sources in docs/outsiders.md name it, and the
most that names, shapes and rounding account for."""


def network_of(name: str, variant: str) -> nn.Module:
    network: nn.Module = load_outsider(name)(variant).network
    return network


@pytest.mark.parametrize(("name", "variant"), SIZES)
def test_the_tensors_add_up_to_the_published_file(name: str, variant: str) -> None:
    """A file holds its tensors and little else: a forgotten or superfluous layer would be seen."""
    network = network_of(name, variant)
    tensors = network.state_dict().values()
    held = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    size, most = SIZES[name, variant]
    assert abs(size - held) < most
    facts = load_outsider(name).variants[variant].facts
    assert facts.parameters == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "variant"), SIZES)
def test_a_network_colors_at_the_size_of_its_input(name: str, variant: str) -> None:
    channels = 1 if name.startswith("zhang") else 3
    out = network_of(name, variant)(torch.empty(2, channels, 64, 96, device="meta"))
    assert out.shape == (2, 3 if name == "deoldify" else 2, 64, 96)


def test_names_and_shapes_are_those_of_the_published_definitions() -> None:
    shapes = {
        ("zhang16", "release"): {
            "model1.0.weight": (64, 1, 3, 3),
            "model3.6.running_mean": (256,),
            "model8.0.weight": (512, 256, 4, 4),
            "model8.6.weight": (313, 256, 1, 1),
            "model_out.weight": (2, 313, 1, 1),
        },
        ("zhang17", "release"): {
            "model1.0.weight": (64, 4, 3, 3),
            "model8up.0.weight": (512, 256, 4, 4),
            "model3short8.0.bias": (256,),
            "model8.5.weight": (256,),
            "model10.1.weight": (128, 128, 3, 3),
            "model_class.0.weight": (529, 256, 1, 1),
            "model_out.0.bias": (2,),
        },
        ("ddcolor", "tiny"): {
            "encoder.arch.downsample_layers.0.1.weight": (96,),
            "encoder.arch.stages.2.8.gamma": (384,),
            "encoder.arch.norm3.bias": (768,),
            "decoder.layers.0.shuf.conv.0.weight_orig": (2048, 768, 1, 1),
            "decoder.last_shuf.conv.0.bias": (4096,),
            "decoder.color_decoder.query_feat.weight": (100, 256),
            "decoder.color_decoder.transformer_cross_attention_layers.8"
            ".multihead_attn.in_proj_weight": (768, 256),
            "decoder.color_decoder.transformer_self_attention_layers.0.self_attn.out_proj.bias": (
                256,
            ),
            "refine_net.0.0.weight_u": (2,),
            "mean": (1, 3, 1, 1),
        },
        ("deoldify", "artistic"): {
            "layers.0.4.0.conv1.weight": (64, 64, 3, 3),
            "layers.3.0.0.weight_orig": (1024, 512, 3, 3),
            "layers.5.conv2.3.query.weight_orig": (96, 768, 1),
            "layers.5.conv2.3.gamma": (1,),
            "layers.7.conv1.0.weight_v": (400 * 9,),
            "layers.8.conv.0.weight_g": (1200, 1, 1, 1),
            "layers.10.layers.1.0.bias": (303,),
            "layers.11.0.weight_orig": (3, 303, 1, 1),
        },
    }
    for (name, variant), expected in shapes.items():
        state = network_of(name, variant).state_dict()
        assert {key: tuple(state[key].shape) for key in expected} == expected


def test_loading_is_strict() -> None:
    outsider = load_outsider("zhang16")("release")
    tensors = dict(outsider.network.state_dict())
    for wrong in (
        {key: value for key, value in tensors.items() if key != "model_out.weight"},
        {**tensors, "model9.weight": torch.zeros(1)},
        {**tensors, "model_out.weight": torch.zeros(2, 312, 1, 1)},
    ):
        with pytest.raises(RuntimeError, match=r"model_out|model9"):
            outsider.load(wrong)


def test_the_classifier_of_ddcolor_s_encoder_is_left_out() -> None:
    outsider = load_outsider("ddcolor")("tiny")
    tensors = dict(outsider.network.state_dict())
    classifier = {"encoder.arch.norm.weight": 1, "encoder.arch.head_cls.bias": 2}
    assert outsider.tensors_of({"params": {**tensors, **classifier}}).keys() == tensors.keys()
    assert outsider.tensors_of(tensors).keys() == tensors.keys()


@pytest.mark.parametrize(
    ("module", "variant", "side"),
    [
        (zhang16, "release", 64),
        (zhang17, "release", 64),
        (ddcolor, "tiny", 64),
        (deoldify, "artistic", 48),  # of which the encoder rounds halves up
    ],
)
def test_an_outsider_colors_any_size_and_keeps_the_lightness(
    module: ModuleType, variant: str, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SIDE", side)
    outsider = module.Model(variant)
    outsider.load(random_tensors(outsider.network))
    outsider.eval()
    lightness = torch.linspace(5, 95, 2 * 20 * 27).view(2, 1, 20, 27)
    rgb = outsider.colorize(lightness, seeds=[1, 2])
    assert rgb.shape == (2, 3, 20, 27)
    assert 0 <= float(rgb.min()) < float(rgb.max()) <= 1
    assert (rgb_to_lightness(rgb) - lightness).abs().max() < 0.2
    assert not any(parameter.requires_grad for parameter in outsider.parameters())
    alone = outsider.colorize(lightness[1:], seeds=[2])
    torch.testing.assert_close(alone, rgb[1:], atol=1e-3, rtol=0)


# ---- layers, against the originals ---------------------------------------------------------------


def test_normalized_convolutions_are_those_of_torch() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 5, 7)
    spectral = nn.utils.spectral_norm(nn.Conv2d(8, 4, 3, padding=1)).eval()
    ours = SpectralConv(8, 4, 3, bias=True)
    ours.load_state_dict(spectral.state_dict())
    torch.testing.assert_close(ours(x), spectral(x))
    with pytest.warns(FutureWarning):
        weighted = nn.utils.weight_norm(nn.Conv2d(8, 4, 1))
    other = WeightNormConv(8, 4)
    other.load_state_dict(weighted.state_dict())
    torch.testing.assert_close(other(x), weighted(x))


def test_self_attention_lets_each_pixel_take_from_all() -> None:
    attention = SelfAttention(8)
    attention.load_state_dict({**random_tensors(attention), "gamma": torch.tensor([2.0])})
    x = torch.randn(1, 8, 3, 4)
    query, key, value = (
        getattr(attention, name)(x.flatten(2))[0] for name in ("query", "key", "value")
    )
    expected = torch.empty(8, 12)
    for pixel in range(12):
        shares = (query.T @ key[:, pixel]).softmax(dim=0)
        expected[:, pixel] = x.flatten(2)[0, :, pixel] + 2 * (value @ shares)
    torch.testing.assert_close(attention(x).flatten(2)[0], expected)


def test_upsampling_by_four_shuffles_and_takes_means() -> None:
    upsample = Upsample(nn.Conv2d(3, 32, 1), 4)
    x = torch.randn(1, 3, 2, 2)
    shuffled = nn.PixelShuffle(4)(upsample.conv(x).relu())
    result = upsample(x)
    assert result.shape == (1, 2, 8, 8)
    torch.testing.assert_close(result[..., 3, 5], shuffled[..., 2:4, 4:6].mean(dim=(2, 3)))
    torch.testing.assert_close(result[..., 0, 0], shuffled[..., 0, 0])


def test_the_encoder_of_ddcolor_is_timm_s_convnext() -> None:
    depths, widths = (1, 2, 1, 1), (8, 12, 16, 20)
    ours = ddcolor.ConvNeXt(depths, widths)
    tensors = random_tensors(ours)
    ours.load_state_dict(tensors)
    reference = timm.models.convnext.ConvNeXt(depths=depths, dims=widths, num_classes=0).eval()
    renamed = {key: value for key, value in tensors.items() if not key.startswith("norm")}
    renamed |= {"norm.weight": torch.ones(20), "norm.bias": torch.zeros(20)}  # its classifier's
    reference.load_state_dict(checkpoint_filter_fn(renamed, reference))
    x = torch.randn(1, 3, 64, 32)
    found = ours(x)
    assert [tuple(one.shape[1:]) for one in found] == [
        (8, 16, 8), (12, 8, 4), (16, 4, 2), (20, 2, 1)
    ]  # fmt: skip
    features = reference.forward_intermediates(x, intermediates_only=True)
    for number, (one, feature) in enumerate(zip(found, features, strict=True)):
        norm = (tensors[f"norm{number}.weight"], tensors[f"norm{number}.bias"])
        channels_last = feature.permute(0, 2, 3, 1)
        expected = F.layer_norm(channels_last, channels_last.shape[-1:], *norm, eps=1e-6)
        torch.testing.assert_close(one, expected.permute(0, 3, 1, 2), atol=1e-4, rtol=1e-4)


def test_positions_are_encoded_row_by_row() -> None:
    encoded = ddcolor.position_encoding(torch.zeros(1, 4, 2, 3)).view(2, 3, 256)
    y, x = torch.pi, 4 * torch.pi / 3  # of row 1 of 2 and column 2 of 3, counted from 1
    frequency = 10000 ** (-2 / 128)
    expected = torch.tensor([y, y * frequency, x, x * frequency])
    found = encoded[0, 1]
    torch.testing.assert_close(found[[0, 2, 128, 130]], expected.sin(), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[[1, 3, 129, 131]], expected.cos(), atol=1e-5, rtol=0)


def test_every_outsider_can_be_used() -> None:
    entries = outsider_entries()
    assert {entry.name for entry in entries} >= {
        "zhang16", "zhang17", "ddcolor", "deoldify", "welsh"
    }  # fmt: skip
    assert not [entry for entry in entries if entry.broken or not entry.summary]
    for entry in entries:
        for variant in load_outsider(entry.name).variants.values():
            assert variant.file is None or len(variant.file.sha256) == 64
