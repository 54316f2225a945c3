"""`main.py --model NAME [--mode train|test]`: train and test one model, or all of them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import options
from benchmark.errors import UserError


def run(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="A model that `list` shows, or all.")] = None,
    mode: Annotated[
        Literal["train", "test"] | None, typer.Option(help="Default: train, then test.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Folder of training images, or cartoon (default: Dataset)."),
    ] = None,
    test_images: Annotated[
        str | None, typer.Option(help="Folder of test images (default: TestImages).")
    ] = None,
    results: options.Results = options.RESULTS,
    run: options.RunName = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="tiny, quick, standard, large or a model's own (default standard; quick for "
            "all models on the built-in sample)."
        ),
    ] = None,
    seed: options.Seed = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the images (default 100).")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step (default 64).")] = None,
    accumulate: Annotated[
        int | None, typer.Option(help="Batches whose gradients make one step (default 1).")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="After warm-up.")] = None,
    latent_dim: Annotated[int | None, typer.Option(help="Of the VAEs (default 256).")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the images in pixels (default 64).")
    ] = None,
    color_space: Annotated[
        Literal["lab", "rgb"] | None, typer.Option(help="Predict ab and keep L, or all of sRGB.")
    ] = None,
    precision: Annotated[
        Literal["auto", "32", "bf16", "16"] | None,
        typer.Option(help="Of training (default auto: bf16 where the hardware has it)."),
    ] = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Train with torch.compile, where it works.")
    ] = False,
    save_every: Annotated[
        int | None, typer.Option(help="Epochs between kept weights (default: best and last only).")
    ] = None,
    set_: options.Assignments = None,
    device: options.Device = None,
    weights: options.Weights = "best",
    steps: options.Steps = None,
    sampler: options.Sampler = None,
    eta: options.Eta = None,
    guidance: options.Guidance = None,
    num_images: Annotated[
        int, typer.Option(min=1, help="Rows of the test's figure, and images of --frames.")
    ] = 4,
    samples: Annotated[
        int, typer.Option(min=1, help="Images a test input; the first one is ranked.")
    ] = 1,
    frames: options.Frames = False,
    lpips_weights: options.LpipsWeights = None,
    lpips_backbone: options.LpipsBackbone = "alex",
    colorfulness: options.Colorfulness = "signed",
    wandb: Annotated[
        Literal["online", "offline", "disabled"],
        typer.Option(help="Offline writes into the run's folder and sends nothing."),
    ] = "offline",
    overwrite: Annotated[bool, typer.Option(help="Delete the run and start anew.")] = False,
) -> None:
    """Train colorizers on your own images, compare them honestly, and use them.

    Example: main.py --model unet --mode train --epochs 100 --batch_size 64
    """
    if context.invoked_subcommand is not None:
        typed = [name for name in context.params if _was_typed(context, name)]
        if typed:
            option = typed[0].rstrip("_")
            raise UserError(f"Write --{option} after {context.invoked_subcommand}, not before it.")
        return
    if model is None:
        raise UserError("Name a model with --model; `main.py list` shows which there are.")
    given = {
        "seed": seed,
        "epochs": epochs,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "learning_rate": learning_rate,
        "latent_dim": latent_dim,
        "size": size,
        "color_space": color_space,
        "precision": precision,
        "save_every": save_every,
        "steps": steps,
        "sampler": sampler,
        "eta": eta,
        "guidance": guidance,
    }
    from benchmark.jobs.job import Job
    from benchmark.jobs.run import run_all, run_one
    from benchmark.metrics.table import MetricOptions
    from benchmark.settings import parse_value

    job = Job(
        modes=(mode,) if mode else ("train", "test"),
        typed={name: value for name, value in given.items() if value is not None}
        | {name: parse_value(text) for name, text in options.parse_assignments(set_).items()},
        dataset=dataset,
        test_images=test_images,
        results=Path(results),
        run=run,
        preset=preset,
        device=device,
        weights=weights,
        num_images=num_images,
        lpips_weights=lpips_weights,
        options=MetricOptions(lpips_backbone, colorfulness),
        samples=samples,
        frames=frames,
        wandb=wandb,
        overwrite=overwrite,
        compiled=compile_,
    )
    if model == "all":
        raise typer.Exit(run_all(job))
    run_one(model, job)


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
