"""Four ways in which diffusion colorizers fail, each brought about, beside one that works.

    python -m experiments.diffusion_failures --dataset ../shared/data/scenes --minutes 5

Static and deep-fried images come of the sampling alone: sound weights, sampled wrongly. Gray and
blotched ones come of the training: three trainings of --minutes on one core each, of which two are
among those of `diffusion_choices` and are taken if they lie in --results. Writes a figure, and
prints how far the deviation of ab is from the truth's at three scales.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from benchmark.checkpoints import load_weights
from benchmark.color import join, rgb_from_8bit, rgb_to_lab, rgb_to_lightness
from benchmark.data.loading import load_training, locate
from benchmark.figures.images import gray_of, save_grid
from benchmark.metrics.images import colorfulness
from benchmark.randomness import Noise
from benchmark.registry import load_settings
from benchmark.results.folders import RunFolder
from benchmark.settings import resolve
from models.unetddim.model import Model, Sampling
from models.common.diffusion import x0_of
from models.common.samplers import ddpm_step, guided, trailing_timesteps

from .trainings import MODEL, SEED, Choice, train

CPU = torch.device("cpu")
STEPS, SHOWN = 50, 6
SOUND = Choice("reference", "sound", {})
GRAY = Choice(
    "signal-left",
    "T 100 with the β of T 1000, never pure noise",
    {"schedule": "linear", "timesteps": 100, "zero_terminal": "false", "allow_signal": "true",
     "shift": 1},
)  # fmt: skip
BLOTCHES = Choice("shift-1", "schedule not shifted", {"shift": 1})


def main(
    dataset: Annotated[str, typer.Option(help="A folder of images, or cartoon.")] = "cartoon",
    results: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("Results/failures"),
    minutes: Annotated[float, typer.Option(min=0.01, help="Of each training, on one core.")] = 5,
    images: Annotated[int, typer.Option(min=SHOWN, help="Validation images.")] = 32,
) -> None:
    """Train, sample in right and wrong ways, print the table, write the figure."""
    sources = locate(dataset, None, results)
    train([SOUND, GRAY, BLOTCHES], dataset, sources, results, 60 * minutes)
    settings = resolve(load_settings(MODEL), MODEL, "standard", {}).settings
    truth = rgb_from_8bit(load_training(sources, settings).val.rgb8[:images])
    lightness = rgb_to_lightness(truth)
    sound = weights_of(results, SOUND)
    outputs = {
        "sound": colorize(sound, lightness),
        "static": wrong_coefficients(sound, lightness),
        "deep-fried": unclipped(sound, lightness, guidance=8),
        "gray": colorize(weights_of(results, GRAY), lightness),
        "blotches": colorize(weights_of(results, BLOTCHES), lightness),
    }
    print(table(outputs, truth))
    columns = {"input": gray_of(lightness), **outputs, "truth": truth}
    figure = results / "failures.png"
    save_grid(figure, {title: rgb[:SHOWN] for title, rgb in columns.items()})
    typer.echo(f"Written: {figure}", err=True)


def weights_of(results: Path, choice: Choice) -> Model:
    path = RunFolder(results, choice.run, SEED).weights_of("best")
    model = load_weights(path, MODEL, CPU).model
    assert isinstance(model, Model)
    return model


def colorize(model: Model, lightness: Tensor) -> Tensor:
    """As anybody would: DDIM in the usual steps."""
    return model.colorize(lightness, seeds=range(len(lightness)), sampling=Sampling(steps=STEPS))


def wrong_coefficients(model: Model, lightness: Tensor) -> Tensor:
    """DDPM with steps left out, but each with the coefficients of the very next level.

    A twentieth of the noise that should go is taken away, and the rest is what one sees.
    """
    timesteps = trailing_timesteps(model.schedule.steps, STEPS)
    return sampled(model, lightness, [(t, max(t - 1, 0)) for t in timesteps], clip=True)


def unclipped(model: Model, lightness: Tensor, guidance: float) -> Tensor:
    """Guidance far beyond what was trained, and x_0 never clipped to the range of colors."""
    timesteps = trailing_timesteps(model.schedule.steps, STEPS)
    ways = list(zip(timesteps, [*timesteps[1:], 0], strict=True))
    return sampled(model, lightness, ways, clip=False, guidance=guidance)


@torch.no_grad()
def sampled(
    model: Model,
    lightness: Tensor,
    ways: list[tuple[int, int]],
    *,
    clip: bool,
    guidance: float = 1.0,
) -> Tensor:
    """DDPM from level t to level s for each (t, s); what is left in the end is the image."""
    shown = model.show(lightness)
    hidden = shown.where(torch.zeros(len(lightness), 1, 1, 1))
    noise = Noise(range(len(lightness)), CPU)
    limit = float(model.color_limit) if clip else torch.inf

    def draw() -> Tensor:
        return noise(model.channels, *shown.folded.shape[2:])

    x = draw()
    for t, s in ways:
        times = torch.full((len(x),), t)
        answer = model(x, times, shown)
        if guidance != 1:
            answer = guided(answer, model(x, times, hidden), guidance)
        level = model.schedule.at(times)
        x0 = x0_of(model.prediction, answer, x, *level).clamp(-limit, limit)
        after = model.schedule.at(torch.full_like(times, s))
        x = ddpm_step(x, x0, level, after, draw)
    return join(lightness, model.unstandardize(model.sharpen(x, shown)))


def table(outputs: Mapping[str, Tensor], truth: Tensor) -> str:
    """Markdown: deviations of ab at three scales and colorfulness, as shares of the truth's."""
    scales = ("of whole images", "of patches within them", "of pixels within patches")
    lines = [f"| | {' | '.join(scales)} | colorfulness |", "|---|---|---|---|---|"]
    of_truth, colorful = deviations(truth), float(colorfulness(truth).mean())
    for name, rgb in outputs.items():
        shares = [one / other for one, other in zip(deviations(rgb), of_truth, strict=True)]
        shares.append(float(colorfulness(rgb).mean()) / colorful)
        lines.append(f"| {name} | {' | '.join(f'{share:.2f}' for share in shares)} |")
    return "\n".join(lines)


def deviations(rgb: Tensor, patch: int = 8) -> list[float]:
    """Of ab: of images' means, of patches from their image's, of pixels from their patch's."""
    ab = rgb_to_lab(rgb)[:, 1:]
    whole = ab.mean(dim=(2, 3), keepdim=True)
    patches = F.avg_pool2d(ab, patch)
    pixels = ab - F.interpolate(patches, scale_factor=patch, mode="nearest")
    whole_ones = whole - whole.mean(dim=0)
    return [float(part.square().mean().sqrt()) for part in (whole_ones, patches - whole, pixels)]


if __name__ == "__main__":
    typer.run(main)
