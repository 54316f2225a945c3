"""Normalization that is folded into convolutions changes nothing that a network computes."""

import copy

import pytest
import timm
import torch
from torch import Tensor, nn

from models.common.folding import Folded, fold


def pyramid(name: str) -> nn.Module:
    """A backbone of timm in eval mode whose statistics are those of no training."""
    network: nn.Module = timm.create_model(name, features_only=True).eval()
    torch.manual_seed(1)
    for norm in normalizations(network):
        nn.init.normal_(norm.running_mean, 0, 0.1)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return network


def normalizations(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def assert_same(maps: list[Tensor], expected: list[Tensor]) -> None:
    for x, y in zip(maps, expected, strict=True):
        torch.testing.assert_close(x, y, atol=1e-4 * float(y.abs().max()), rtol=0)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
@torch.no_grad()
def test_a_folded_backbone_has_the_same_maps_and_no_normalization(name: str) -> None:
    network = pyramid(name)
    folded = fold(network)
    assert normalizations(network)
    assert not normalizations(folded)
    images = torch.rand(2, 3, 32, 96)
    assert_same(folded(images), network(images))


@torch.no_grad()
def test_the_copy_follows_every_change_of_the_weights() -> None:
    network = pyramid("resnet18")
    folded, images = Folded(network), torch.rand(1, 3, 32, 32)
    assert_same(folded.network()(images), network(images))
    network.load_state_dict(pyramid("resnet18").state_dict())
    nn.init.constant_(network.get_submodule("bn1").bias, 3.0)
    assert_same(folded.network()(images), network(images))
    network.double()
    assert_same(folded.network()(images.double()), network(images.double()))


def test_a_copy_of_the_owner_folds_its_own_network() -> None:
    network = pyramid("resnet18")
    owner = nn.Module()
    owner.network, owner.folded = network, Folded(network)
    other = copy.deepcopy(owner)
    nn.init.constant_(other.network.bn1.bias, 3.0)
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert_same(owner.folded.network()(images), network(images))
        assert_same(other.folded.network()(images), other.network(images))


class NormalizedFirst(nn.Module):
    """Registers its layers in another order than it computes them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        nn.init.uniform_(self.norm.running_mean, 1, 2)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.conv(self.norm(images))]


@torch.no_grad()
def test_a_network_that_computes_in_another_order_stays_as_it_is() -> None:
    network = NormalizedFirst().eval()
    images = torch.rand(1, 3, 8, 8)
    assert normalizations(fold(network))
    assert_same(fold(network)(images), network(images))
