"""Four failures of diffusion colorizers, each reproduced, beside a model without failures.

    python -m experiments.diffusion_failures --dataset ../shared/data/scenes --minutes 5

Noisy ("static") and oversaturated ("deep-fried") images come from wrong sampling with weights that
are trained correctly; gray and blotched images come from wrong training. There are three trainings
of --minutes on one core each. Two of them are also trainings of `experiments.choices diffusion` and
are reused if --results is the folder of those. The script writes a figure and prints the standard
deviation of ab at three scales, relative to the truth's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from benchmark.checkpoints import load_weights
from benchmark.color import (
    join,
    lightness_to_rgb,
    rgb_from_8bit,
    rgb_to_lab,
    rgb_to_lightness,
)
from benchmark.data.loading import load_training
from benchmark.data.sources import locate
from benchmark.figures.images import save_grid
from benchmark.metrics.images import colorfulness
from benchmark.randomness import Noise
from benchmark.results.folders import RunFolder
from models.common.diffusion import x0_of
from models.common.samplers import ddpm_step, guided, trailing_timesteps
from models.unetddim.model import Model, Sampling

from .choices import FAMILIES
from .trainings import SEED, Choice, train

CPU = torch.device("cpu")
STEPS, FIGURE_ROWS = 50, 6
PATCH = 8
"""Side in pixels of the patches at which deviations of color are measured."""
DIFFUSION = FAMILIES["diffusion"]
CORRECT = Choice("reference", "trained correctly", {})
GRAY = Choice(
    "signal-left",
    "T = 100 with the β of T = 1000, which never reaches pure noise",
    {"schedule": "linear", "timesteps": 100, "zero_terminal": "false", "allow_signal": "true",
     "shift": 1},
)  # fmt: skip
BLOTCHES = Choice("shift-1", "schedule not shifted", {"shift": 1})


def main(
    dataset: Annotated[str, typer.Option(help="A folder of images, or cartoon.")] = "cartoon",
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("Results/failures"),
    minutes: Annotated[
        float, typer.Option(min=0.01, help="Minutes of each training on one core.")
    ] = 5,
    images: Annotated[int, typer.Option(min=FIGURE_ROWS, help="Number of validation images.")] = 32,
) -> None:
    """Train, sample correctly and wrongly, print the table and write the figure."""
    sources = locate(dataset, None, results)
    train(DIFFUSION, [CORRECT, GRAY, BLOTCHES], dataset, sources, results, 60 * minutes)
    settings = DIFFUSION.resolve(CORRECT)
    truth = rgb_from_8bit(load_training(sources, settings).val.rgb8[:images])
    lightness = rgb_to_lightness(truth)
    model = load_model(results, CORRECT)
    outputs = {
        "no failure": colorize(model, lightness),
        "static": wrong_coefficients(model, lightness),
        "oversaturated": unclipped(model, lightness, guidance=8),
        "gray": colorize(load_model(results, GRAY), lightness),
        "blotches": colorize(load_model(results, BLOTCHES), lightness),
    }
    print(table(outputs, truth))
    columns = {"input": lightness_to_rgb(lightness), **outputs, "truth": truth}
    figure = results / "failures.png"
    save_grid(figure, {title: rgb[:FIGURE_ROWS] for title, rgb in columns.items()})
    typer.echo(f"Written: {figure}", err=True)


def load_model(results: Path, choice: Choice) -> Model:
    """Return the network of a run with its best weights."""
    path = RunFolder(results, choice.run, SEED).weights_file("best")
    model = load_weights(path, DIFFUSION.model, CPU).model
    assert isinstance(model, Model)
    return model


def colorize(model: Model, lightness: Tensor) -> Tensor:
    """Return the images of DDIM with the default options."""
    return model.colorize(lightness, seeds=range(len(lightness)), sampling=Sampling(steps=STEPS))


def wrong_coefficients(model: Model, lightness: Tensor) -> Tensor:
    """Return the images of DDPM with skipped steps but the coefficients of adjacent levels.

    Each step removes a twentieth of the noise that it should remove, and the rest stays visible.
    """
    timesteps = trailing_timesteps(model.schedule.steps, STEPS)
    return sampled(model, lightness, [(t, max(t - 1, 0)) for t in timesteps], clip=True)


def unclipped(model: Model, lightness: Tensor, guidance: float) -> Tensor:
    """Return the images of a guidance that is too strong, without clipping of x_0."""
    timesteps = trailing_timesteps(model.schedule.steps, STEPS)
    pairs = list(zip(timesteps, [*timesteps[1:], 0], strict=True))
    return sampled(model, lightness, pairs, clip=False, guidance=guidance)


@torch.no_grad()
def sampled(
    model: Model,
    lightness: Tensor,
    pairs: list[tuple[int, int]],
    *,
    clip: bool,
    guidance: float = 1.0,
) -> Tensor:
    """Run DDPM from noise level t to level s for each (t, s), and return x at the end as images."""
    condition = model.encode_condition(lightness)
    hidden = condition.masked(torch.zeros(len(lightness), 1, 1, 1))
    noise = Noise(range(len(lightness)), CPU)
    limit = float(model.color_limit) if clip else torch.inf

    def draw() -> Tensor:
        return noise(model.channels, *condition.patches.shape[2:])

    x = draw()
    for t, s in pairs:
        times = torch.full((len(x),), t)
        output = model(x, times, condition)
        if guidance != 1:
            output = guided(output, model(x, times, hidden), guidance)
        level = model.schedule.at(times)
        x0 = x0_of(model.prediction, output, x, *level).clamp(-limit, limit)
        after = model.schedule.at(torch.full_like(times, s))
        x = ddpm_step(x, x0, level, after, draw)
    return join(lightness, model.unstandardize(model.upsample(x, condition)))


def table(outputs: Mapping[str, Tensor], truth: Tensor) -> str:
    """Return a Markdown table of deviations of ab and colorfulness, relative to the truth's."""
    scales = ("of whole images", "of patches within them", "of pixels within patches")
    lines = [f"| | {' | '.join(scales)} | colorfulness |", "|---|---|---|---|---|"]
    of_truth, colorful = deviations(truth), float(colorfulness(truth).mean())
    for name, rgb in outputs.items():
        shares = [one / other for one, other in zip(deviations(rgb), of_truth, strict=True)]
        shares.append(float(colorfulness(rgb).mean()) / colorful)
        lines.append(f"| {name} | {' | '.join(f'{share:.2f}' for share in shares)} |")
    return "\n".join(lines)


def deviations(rgb: Tensor) -> list[float]:
    """Return the standard deviations of ab of images, of patches in them, of pixels in patches."""
    ab = rgb_to_lab(rgb)[:, 1:]
    whole = ab.mean(dim=(2, 3), keepdim=True)
    patches = F.avg_pool2d(ab, PATCH)
    pixels = ab - F.interpolate(patches, scale_factor=PATCH, mode="nearest")
    whole_ones = whole - whole.mean(dim=0)
    return [float(part.square().mean().sqrt()) for part in (whole_ones, patches - whole, pixels)]


if __name__ == "__main__":
    typer.run(main)
