"""The losses of standardized color."""

import pytest
import torch

from benchmark.errors import UserError
from benchmark.registry import load_settings
from benchmark.settings import resolve
from models.common.losses import huber, weighted_huber


def test_without_a_weight_of_chroma_the_loss_is_that_of_huber() -> None:
    x, y = torch.randn(2, 3, 2, 4, 4).unbind(0)
    assert torch.equal(weighted_huber(x, y, 0.0), huber(x, y))


def test_a_pixel_counts_by_the_chroma_of_the_truth() -> None:
    """The gradients of two pixels with equal errors have the ratio of their weights."""
    target = torch.zeros(1, 2, 1, 2)
    target[0, :, 0, 1] = torch.tensor([1.2, -1.6])  # a chroma of 2
    output = (target + 0.1).requires_grad_()
    loss = weighted_huber(output, target, 0.5)
    loss.backward()
    assert output.grad is not None
    gray, vivid = output.grad[0, 0, 0].tolist()
    assert vivid / gray == pytest.approx((1 + 0.5 * 2) / 1)
    # The weights have mean 1, so that the rate of learning stays what it was.
    assert loss.item() == pytest.approx(huber(output, target).item())


def test_the_weight_of_chroma_belongs_to_the_huber_loss() -> None:
    with pytest.raises(UserError, match="belongs to the loss huber"):
        resolve(load_settings("unet"), "unet", "quick", {"loss": "mse", "chroma_weight": 1})
