"""The network of a model as ONNX has it: one function of tensors, for one image of any size."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, OnStep, pretrained_parts
from benchmark.errors import UserError

CELLS = (6, 8)
"""Height and width of the traced image, in units of the model's `size_divisor`."""
Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Network:
    """What is exported of a model, and inputs that it can be traced with.

    module: of a model that colors in one go, L* (1, 1, H, W) in [0, 100] and the noise of its draws
    → ab in Lab units; of one that samples step by step, x_t, t, L* and with self-conditioning the
    previous estimate, zeros at first → the network's prediction at that step. inputs: by name.
    fixed: whether H and W have to be those of the inputs.
    """

    module: nn.Module
    inputs: Inputs
    fixed: bool


class _InOneGo(nn.Module):
    def __init__(self, model: Colorizer, sampling: Any) -> None:
        super().__init__()
        self.model, self.sampling = model, sampling

    def forward(self, lightness: Tensor, *noise: Tensor) -> Tensor:
        draws = iter(noise)
        draw: Any = lambda *_: next(draws)  # noqa: E731
        color: Tensor = self.model.predict(
            lightness, noise=draw, sampling=self.sampling, on_step=None
        )
        return color


class _Step(nn.Module):
    def __init__(self, model: Colorizer) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, x: Tensor, t: Tensor, lightness: Tensor, previous: Tensor | None = None
    ) -> Tensor:
        return self.model.denoise(x, t, lightness, previous)


def network_of(model: Colorizer, size: int) -> Network:
    """Return what is exported of a model. UserError for one that has no network of a step.

    size: the side in pixels of the squares that it was trained on: a network with a pretrained
    encoder, whose sides are rounded to cells of the encoder, is exported for these alone.
    """
    model = copy.deepcopy(model).cpu().eval()
    fixed = bool(pretrained_parts(model))
    divisor = model.size_divisor
    sides = (size, size) if fixed else (CELLS[0] * divisor, CELLS[1] * divisor)
    sides = (-(-sides[0] // divisor) * divisor, -(-sides[1] // divisor) * divisor)
    lightness = torch.linspace(0, 100, sides[0] * sides[1]).reshape(1, 1, *sides)
    if not model.has_steps():
        draws = _draws(model, lightness)
        inputs = {"lightness": lightness}
        inputs |= {f"noise_{i}" if i else "noise": noise for i, noise in enumerate(draws)}
        module = _InOneGo(model, model.resolve_sampling(model.sampling_class()))
        return Network(module, inputs, fixed)
    if type(model).denoise is Colorizer.denoise:
        raise UserError(
            "This model samples step by step and has no method `denoise`, so there is no network "
            "to export: define it in its model.py."
        )
    x, t = _first_step(model, lightness)
    inputs = {"x": x, "t": t, "lightness": lightness}
    if model.self_conditioning:
        inputs["previous"] = torch.zeros_like(x)
    return Network(_Step(model), inputs, fixed)


@torch.no_grad()
def _draws(model: Colorizer, lightness: Tensor) -> list[Tensor]:
    """Return the noise that a model draws for an image."""
    drawn: list[Tensor] = []

    def draw(*shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(len(drawn))
        drawn.append(torch.randn(1, *shape, generator=generator))
        return drawn[-1]

    sampling: Any = model.resolve_sampling(model.sampling_class())
    model.predict(lightness, noise=draw, sampling=sampling, on_step=None)  # type: ignore[arg-type]
    return drawn


class _Found(Exception):
    """The inputs of the first step were found."""


@torch.no_grad()
def _first_step(model: Colorizer, lightness: Tensor) -> tuple[Tensor, Tensor]:
    """Return x_t (1, C, h, w) and t (1,) of the first step of a sampling."""
    found: list[Tensor] = []

    def remember(module: nn.Module, arguments: Sequence[Any]) -> None:
        found.extend(arguments[:2])
        raise _Found

    handle = model.register_forward_pre_hook(remember)
    try:
        model.colorize(lightness, seeds=[0])
    except _Found:
        pass
    finally:
        handle.remove()
    x, t = found
    return x.clone(), t.reshape(-1)[:1].clone()


def with_network(model: Colorizer, run: Callable[[list[Tensor]], Tensor]) -> Colorizer:
    """Return a copy of a model whose network is `run(inputs) → output`, such as an ONNX session.

    All that is not in the ONNX file, such as the sampler, is the model's own.
    """
    original, model = model, copy.deepcopy(model).cpu().eval()
    if not model.has_steps():

        def predict(
            lightness: Tensor, *, noise: Any, sampling: Any, on_step: OnStep | None
        ) -> Tensor:
            draws = [noise(*draw.shape[1:]) for draw in _draws(original, lightness)]
            return run([lightness, *draws])

        model.predict = predict  # type: ignore[method-assign]
        return model
    colored: list[Tensor] = []
    sample = model.predict

    def watched(lightness: Tensor, **arguments: Any) -> Tensor:
        colored[:] = [lightness]
        return sample(lightness, **arguments)

    def forward(x: Tensor, t: Tensor, _: Any, previous: Tensor | None = None) -> Tensor:
        first = torch.zeros_like(x) if previous is None else previous
        return run([x, t, colored[0], *([first] if original.self_conditioning else [])])

    model.predict, model.forward = watched, forward  # type: ignore[method-assign]
    return model
