"""`main.py outsider NAME`: color and score the test with a public colorizer's published weights."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.metrics.options import MetricOptions


def command(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="Name of a colorizer that `main.py list outsiders` shows.")
    ],
    variant: Annotated[
        str | None,
        typer.Option(help="Which of its published networks.  [default: the first one]"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File of its published weights, for a machine that cannot download them.  "
            "[default: the file that CHROMABENCH_<NAME> names, otherwise a download]",
        ),
    ] = None,
    exemplars: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder or .npz file of color images that colors are taken from, for "
            "colorizers that need it.",
        ),
    ] = None,
    device: options.Device = None,
    test_images: Annotated[
        str | None,
        typer.Option(
            callback=options.explain_sample,
            help="Folder or .npz file of the test images.  [default: TestImages, or if it is "
            "empty, the images held out from --dataset]",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    dataset: options.TestDataset = None,
    size: options.TestSize = options.TEST_SIZE,
    protocol: options.Protocol = None,
    limit: options.Limit = None,
    degraded: options.Degraded = False,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="<int>",
            help="Images that are colored at once.",
            rich_help_panel=options.TESTING,
        ),
    ] = 4,
    results: options.Results = options.RESULTS,
    lpips_weights: options.LpipsWeights = None,
    lpips_backbone: options.LpipsBackbone = MetricOptions.lpips_backbone,
    colorfulness: options.Colorfulness = MetricOptions.colorfulness,
    fid: options.Fid = False,
    chroma_matched: options.ChromaMatched = False,
) -> None:
    """Color and score the test with a public colorizer.

    It gets a row in the leaderboard that says what it was trained on. If it is interrupted, the
    same command goes on where it stopped.
    """
    options.require_free_protocol(context, "size")
    from benchmark.data.sources import locate_test
    from benchmark.evaluation.named import TestImages
    from benchmark.jobs.outsider import Chosen, run_outsider
    from benchmark.metrics.table import load_metric_suite

    images = TestImages.of(size, protocol, limit, degraded)
    metrics = options.metric_options_of(context.params)
    suite = load_metric_suite(images.options(metrics), lpips_weights)
    chosen = Chosen(name, variant, weights, exemplars, device, batch_size)
    sources = locate_test(dataset, test_images, results, option="--test_images")
    run_outsider(chosen, sources, images, results, suite)
