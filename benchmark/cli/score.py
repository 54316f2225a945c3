"""`main.py score FOLDER --name NAME`: score images that another program colored."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import options
from benchmark.metrics.options import MetricOptions


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the colored images.")],
    name: Annotated[str, typer.Option(help="Name of the row in the leaderboard.")],
    truth: options.Truth = None,
    dataset: options.TestDataset = None,
    size: options.TestSize = options.TEST_SIZE,
    protocol: options.Protocol = None,
    limit: options.Limit = None,
    degraded: options.Degraded = False,
    resize: Annotated[
        bool,
        typer.Option(
            "--resize",
            help="Prepare images of another size as the test's own images are.",
            rich_help_panel=options.TESTING,
        ),
    ] = False,
    samples: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="<int>",
            help="Samples of each image. Several lie in folders of FOLDER named 0, 1 and so on, "
            "each with all images; the first one is ranked.",
            rich_help_panel=options.TESTING,
        ),
    ] = 1,
    meta: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file of what is known of the program: trained_on, guidance (automatic, "
            "exemplar or hints), and optionally pretrained_on, paper, code, license, parameters, "
            "weights, weights_sha256, exemplars and exemplars_sha256.",
            rich_help_panel=options.TESTING,
        ),
    ] = None,
    lightness: Annotated[
        Literal["own", "input"],
        typer.Option(
            help="Lightness that is scored: the images' own, or the input's L* in its place.",
            rich_help_panel=options.TESTING,
        ),
    ] = "own",
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="<int>",
            help="Seed of the program's run; runs of one name with several seeds are one row.",
        ),
    ] = 0,
    results: options.Results = options.RESULTS,
    lpips_weights: options.LpipsWeights = None,
    lpips_backbone: options.LpipsBackbone = MetricOptions.lpips_backbone,
    colorfulness: options.Colorfulness = MetricOptions.colorfulness,
    fid: options.Fid = False,
    chroma_matched: options.ChromaMatched = False,
) -> None:
    """Score images that another program colored.

    They are scored as a model's images are, and get a row in the leaderboard.
    """
    options.require_free_protocol(context, "size")
    from benchmark.data.sources import locate_test
    from benchmark.evaluation.named import TestImages
    from benchmark.jobs.submit import Entry, submit
    from benchmark.metrics.table import load_metric_suite
    from benchmark.results.outsider import read_facts

    facts = read_facts(meta) if meta is not None else None
    test_images = TestImages.of(size, protocol, limit, degraded)
    metrics = options.metric_options_of(context.params)
    suite = load_metric_suite(test_images.options(metrics), lpips_weights)
    entry = Entry(folder, name, seed, resize, lightness, samples, facts)
    submit(entry, locate_test(dataset, truth, results), test_images, results, suite)
