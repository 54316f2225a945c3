"""`main.py --model NAME [--mode train|test]`: train and test one model, or all of them."""

from typing import Annotated, Literal

import typer

from benchmark.cli import options
from benchmark.cli.options import DATA, OUTPUT, TESTING, TRAINING, setting
from benchmark.errors import UserError
from benchmark.metrics.options import MetricOptions
from benchmark.settings import CPU_PRESET, DEFAULT_PRESET, FIGURE_IMAGES, SAMPLE_PRESET, Settings


def train_and_test(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="Model to run: a name that `main.py list` shows, or all.")
    ] = None,
    mode: Annotated[
        Literal["train", "test"] | None,
        typer.Option(help="What to do with the model.  [default: train, then test]"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"Preset of the settings: {', '.join(Settings.presets)} or one of the model's own."
            f"  [default: {DEFAULT_PRESET}, but {SAMPLE_PRESET} for all models on the built-in "
            f"sample, and {CPU_PRESET} for all models on other images without a GPU]"
        ),
    ] = None,
    set_: options.Assignments = None,
    device: options.Device = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            callback=options.explain_sample,
            help="Folder or .npz file of training images, or cartoon for the built-in sample.  "
            "[default: Dataset, or if it is empty, cartoon]",
            rich_help_panel=DATA,
        ),
    ] = None,
    test_images: Annotated[
        str | None,
        typer.Option(
            help="Folder or .npz file of test images.  [default: TestImages, or if it is empty, "
            "images held out from the dataset]",
            rich_help_panel=DATA,
        ),
    ] = None,
    size: Annotated[int | None, setting("size", DATA)] = None,
    truncated: Annotated[Literal["skip", "keep"] | None, setting("truncated", DATA)] = None,
    seed: options.Seed = None,
    epochs: Annotated[int | None, setting("epochs")] = None,
    batch_size: Annotated[int | None, setting("batch_size")] = None,
    accumulate: Annotated[int | None, setting("accumulate")] = None,
    learning_rate: Annotated[float | None, setting("learning_rate")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Pretrained encoder of L whose features the network also sees: none, "
            "efficientnet_lite0 (needs no download), or another backbone of timm such as resnet18."
            "  [default: none]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    encoder_weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File of the encoder's weights, .pth or .safetensors, for a machine that cannot "
            "download them.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    latent_dim: Annotated[
        int | None,
        typer.Option(
            help="Number of latent variables of a VAE.  [default: the model's]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    color_space: Annotated[
        Literal["lab", "rgb"] | None,
        typer.Option(
            help="Output of the network: a*b* beside the input's L* (lab), or sRGB (rgb).  "
            "[default: the model's]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    precision: Annotated[Literal["auto", "32", "bf16", "16"] | None, setting("precision")] = None,
    save_every: Annotated[int | None, setting("save_every")] = None,
    keep: Annotated[int | None, setting("keep")] = None,
    patience: Annotated[int | None, setting("patience")] = None,
    retry_diverged: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="<int>",
            help="Times that a training that diverges goes back to its last good state, each time "
            "with half of the learning rate.",
            rich_help_panel=TRAINING,
        ),
    ] = 0,
    steps: options.Steps = None,
    sampler: options.Sampler = None,
    eta: options.Eta = None,
    guidance: options.Guidance = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the network with torch.compile for training, where that works.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    protocol: options.Protocol = None,
    limit: options.Limit = None,
    degraded: options.Degraded = False,
    weights: options.Weights = "best",
    samples: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="<int>",
            help="Samples of each test image; the first one is ranked.",
            rich_help_panel=TESTING,
        ),
    ] = 1,
    lpips_weights: options.LpipsWeights = None,
    lpips_backbone: options.LpipsBackbone = MetricOptions.lpips_backbone,
    colorfulness: options.Colorfulness = MetricOptions.colorfulness,
    fid: options.Fid = False,
    chroma_matched: options.ChromaMatched = False,
    run: options.RunName = None,
    results: options.Results = options.RESULTS,
    num_images: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="<int>",
            help="Number of images in the test's figure, and number of images that --frames "
            "writes.",
            rich_help_panel=OUTPUT,
        ),
    ] = FIGURE_IMAGES,
    frames: options.Frames = False,
    wandb: Annotated[
        Literal["online", "offline", "disabled"] | None,
        typer.Option(
            help="Tracking of the training by Weights & Biases; offline writes into the run's "
            "folder and sends nothing.  [default: WANDB_MODE, otherwise offline]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            help="Delete the run, or in --mode test the test, and start from the beginning.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="Let --overwrite delete a run that took longer than ten minutes without a "
            "question.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
) -> None:
    """Train image-colorization models on your own images, compare them, and use them.

    Example: main.py --model unet --mode train --epochs 100 --batch_size 64

    The defaults of settings are the general ones; `main.py list MODEL` shows a model's own. In the
    names of options, - and _ are the same.
    """
    typed = [p.opts[0] for p in context.command.params if options.was_typed(context, p.name or "")]
    if context.invoked_subcommand is not None:
        if typed:
            raise UserError(f"Write {typed[0]} after {context.invoked_subcommand}, not before it.")
        return
    if not typed:
        typer.echo(context.get_help())
        return
    if model is None:
        raise UserError("Name a model with --model; `main.py list` shows all models.")
    options.require_free_protocol(context, *(["size"] if mode == "test" else []))
    from benchmark.jobs.job import Job
    from benchmark.jobs.run import run_all, run_one

    # The parameters above declare the options; the job takes them by their names.
    metrics = options.metric_options_of(context.params)
    job = Job.of(context.params, options.parse_assignments(set_), metrics)
    if model == "all":
        raise typer.Exit(run_all(job))
    run_one(model, job)
