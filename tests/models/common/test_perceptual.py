"""The perceptual loss of the regressions, GANs and VAEs."""

import pytest
import torch

from benchmark.colorizer import Colorizer
from benchmark.errors import UserError
from benchmark.recipe import Batch
from benchmark.registry import load_settings
from benchmark.settings import resolve
from benchmark.training.pretrained import load_pretrained
from models.common.perceptual import perceptual_losses
from models.unet.model import Model
from tests.support import blobs

ENCODER = "efficientnet_lite0"


@pytest.fixture(scope="module", params=["lab", "rgb"])
def network(request: pytest.FixtureRequest) -> Colorizer:
    """A small U-Net with the genuine encoder."""
    found = Model.build({"widths": [8, 16], "encoder": ENCODER, "color_space": request.param})
    load_pretrained(found, None)
    return found.eval()


@pytest.fixture(scope="module")
def batch() -> Batch:
    return Batch(blobs(2, 64).float() / 255)


def loss(network: Colorizer, batch: Batch, output: torch.Tensor) -> torch.Tensor:
    return perceptual_losses(network, output, batch, 1.0)["perceptual"]


def test_the_truth_has_no_loss_and_worse_color_has_more(network: Colorizer, batch: Batch) -> None:
    truth = network.target(batch.rgb)
    assert float(loss(network, batch, truth)) < 1e-4
    distances = [float(loss(network, batch, truth + 0.1 * k)) for k in (1, 2, 4)]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_its_gradient_leads_to_the_truth_and_changes_no_weight(
    network: Colorizer, batch: Batch
) -> None:
    truth = network.target(batch.rgb)
    start = 0.5 * truth
    output = start.clone().requires_grad_()
    loss(network, batch, output).backward()
    assert output.grad is not None
    assert float((output.grad * (start - truth)).sum()) > 0
    assert all(p.grad is None for p in network.parameters())


def test_a_weight_of_0_adds_no_loss(network: Colorizer, batch: Batch) -> None:
    assert perceptual_losses(network, network.target(batch.rgb), batch, 0.0) == {}


@pytest.mark.parametrize("model", ["unet", "gan", "basicvae"])
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "needs a pretrained encoder"),
        ({"encoder": ENCODER, "encoder_rate": 0.1}, "stays as it is"),
    ],
)
def test_it_needs_an_encoder_that_does_not_learn(
    model: str, values: dict[str, object], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        resolve(load_settings(model), model, "quick", {"perceptual_weight": 0.1, **values})
