"""Random weights, and a tiny outsider, for the tests of outsiders."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmark import registry
from benchmark.files import sha256_of_bytes


def random_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return random tensors of the names and shapes of a network; variances are 1."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            found[name] = torch.tensor(1)
        elif name.endswith(("running_var", "std", "weight_g")):
            found[name] = torch.ones(tensor.shape)
        else:
            found[name] = 0.05 * torch.randn(tensor.shape, generator=generator)
    return found


def saved(contents: object) -> bytes:
    """Return what torch.save writes."""
    stream = io.BytesIO()
    torch.save(contents, stream)
    return stream.getvalue()


TINY = '''"""Tiny: a 1×1 convolution."""

from torch import nn

from benchmark.outsider import Outsider, PublishedFile, Variant
from benchmark.results.outsider import OutsiderFacts

NEEDS = "weights"
colored = []


class Model(Outsider):
    variants = {{
        "release": Variant(
            OutsiderFacts(trained_on="squares", pretrained_on="circles", guidance="automatic"),
            PublishedFile("{url}", "{sha256}", 1),
        )
    }}

    @staticmethod
    def build_network(variant):
        return nn.Sequential(nn.Conv2d(1, 2, 1))

    def predict(self, lightness, *, noise, sampling, on_step):
        colored.extend(noise.seeds)
        return self.network(lightness / 10)
'''


def add_outsider(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """Make a file of `folder` an outsider of this test, beside the project's own."""
    import outsiders

    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    own = registry.outsider_entries

    def entries() -> list[registry.OutsiderEntry]:
        return [*own(), *own(folder)]

    monkeypatch.setattr(outsiders, "__path__", [*outsiders.__path__, str(folder)])
    monkeypatch.setattr(registry, "outsider_entries", entries)
    monkeypatch.delitem(sys.modules, f"outsiders.{name}", raising=False)


def tiny_weights() -> Mapping[str, Tensor]:
    """Return the weights of the tiny outsider."""
    return {"0.weight": torch.tensor([1.0, -1.0]).view(2, 1, 1, 1), "0.bias": torch.zeros(2)}


def tiny_source(url: str, body: bytes) -> str:
    """Return the file of the tiny outsider, whose published file has this content."""
    return TINY.format(url=url, sha256=sha256_of_bytes(body))
