"""`main.py inputs FOLDER`: write the inputs of the test, for another program to color."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options


def command(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder to write the images into.")],
    truth: options.Truth = None,
    dataset: options.TestDataset = None,
    size: options.TestSize = options.TEST_SIZE,
    protocol: options.Protocol = None,
    limit: options.Limit = None,
    degraded: options.Degraded = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Write the test's inputs for another program to color.

    They are gray PNG files; `main.py score` scores them once they are colored.
    """
    options.require_free_protocol(context, "size")
    from benchmark.console import info
    from benchmark.data.sources import locate_test
    from benchmark.evaluation.named import TestImages
    from benchmark.jobs.submit import export_inputs

    test_images = TestImages.of(size, protocol, limit, degraded)
    count = export_inputs(out, locate_test(dataset, truth, results), test_images)
    info(
        f"{out} holds {count} images. Color them, keep their names, and score them with "
        "`main.py score`."
    )
