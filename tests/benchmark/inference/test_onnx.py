"""ONNX files give the images of torch, at three sizes, and say what 8-bit weights change."""

import json
from pathlib import Path

import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark import registry
from benchmark.checkpoints import HEADER
from benchmark.errors import UserError
from benchmark.inference.onnx import writing
from benchmark.inference.onnx.checking import require_same_images, sizes_of
from benchmark.inference.onnx.network import Network, network_of
from tests.export_support import export_tiny
from tests.support import RunCommand, awaken, tiny_model

NAMES = [entry.name for entry in registry.entries() if not entry.broken]


class Unshuffled(nn.Module):
    """The patches of an image as channels."""

    size_divisor = 4

    def forward(self, lightness: Tensor) -> Tensor:
        return F.pixel_unshuffle(lightness, 4)


def test_the_channels_of_patches_keep_their_order(tmp_path: Path) -> None:
    """Some versions exported pixel unshuffle as ONNX's SpaceToDepth, whose order is another."""
    path = tmp_path / "patches.onnx"
    network = Network(Unshuffled(), {"lightness": torch.zeros(1, 2, 24, 32)}, fixed=False)
    writing.write_network(path, network, network.module, None)
    image = torch.arange(2 * 8 * 12, dtype=torch.float32).view(1, 2, 8, 12)
    assert torch.equal(writing.open_session(path)([image]), F.pixel_unshuffle(image, 4))


def test_a_network_is_exported_checked_and_quantized(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export_tiny(tmp_path / "w.safetensors", "resnet")
    export = ["export", "resnet", "--weights", "w.safetensors", "--to", "onnx"]
    code, out, err = run(*export, "--quantize", "int8")
    assert (code, out) == (0, "resnet.onnx\n"), err
    assert "gives the images of torch at 32×32, 32×64, 40×16 within" in err
    assert "Weights of 8 bits change the scores on 8 images" in err
    assert "SSIM" in err
    assert "ΔE2000" in err
    assert "LPIPS is left out" in err
    file = onnx.load("resnet.onnx")
    onnx.checker.check_model(file)
    about = json.loads(next(p.value for p in file.metadata_props if p.key == HEADER))
    assert about["training"]["training_data"]["n_train"] == 20
    types = {tensor.data_type for tensor in file.graph.initializer}
    assert onnx.TensorProto.UINT8 in types
    assert "resnet.onnx exists" in run(*export)[2]


def test_what_onnx_needs_is_told(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export_tiny(tmp_path / "w.safetensors")
    export = ["export", "unet", "--weights", "w.safetensors"]
    assert "add --to onnx" in run(*export, "--quantize", "int8")[2]
    monkeypatch.setattr(writing, "FLOORS", {"no-such-package": (1,)})
    assert "needs the package no-such-package: install it with" in run(*export, "--to", "onnx")[2]
    monkeypatch.setattr(writing, "FLOORS", {"torch": (99, 1)})
    assert "needs torch 99.1 or newer" in run(*export, "--to", "onnx")[2]


def test_an_export_that_is_wrong_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that differ by more than one level are refused."""
    model = tiny_model("unet")
    monkeypatch.setattr(
        "benchmark.inference.onnx.checking.open_session",
        lambda _: lambda inputs: 20 + torch.zeros_like(inputs[0]).repeat(1, 2, 1, 1),
    )
    with pytest.raises(UserError, match="is not right: at 32×32 its image differs by"):
        require_same_images(tmp_path / "w.onnx", model, [(32, 32)])


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["none", "efficientnet_lite0"])
@pytest.mark.parametrize("name", NAMES)
def test_every_model_gives_the_images_of_torch(tmp_path: Path, name: str, encoder: str) -> None:
    """Also with a pretrained encoder, then at one size."""
    model = tiny_model(name, encoder=encoder)
    torch.manual_seed(1)
    awaken(model)
    network = network_of(model, 32)
    assert network.fixed == (encoder != "none")
    path = tmp_path / "w.onnx"
    writing.write_network(path, network, model, None)
    sizes = sizes_of(32, model.size_divisor, network.fixed)
    assert require_same_images(path, model, sizes) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unetddim", "unetflow"])
def test_a_step_also_takes_the_estimate_of_the_step_before(tmp_path: Path, name: str) -> None:
    model = tiny_model(name, condition="concat", self_conditioning=True)
    torch.manual_seed(1)
    awaken(model)
    network = network_of(model, 32)
    assert [*network.inputs] == ["x", "t", "lightness", "previous"]
    path = tmp_path / "w.onnx"
    writing.write_network(path, network, model, None)
    assert require_same_images(path, model, sizes_of(32, model.size_divisor, False)) <= 1
