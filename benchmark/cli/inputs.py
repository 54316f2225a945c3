"""`main.py inputs FOLDER`: write the inputs of the test, for another program to color."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options


def command(
    out: Annotated[Path, typer.Argument(help="Folder to write the images into.")],
    truth: options.Truth = None,
    dataset: options.TestDataset = None,
    size: options.TestSize = options.TEST_SIZE,
    results: options.Results = options.RESULTS,
) -> None:
    """Write the test's inputs for another program to color.

    They are gray PNG files; `main.py score` scores them once they are colored.
    """
    from benchmark.console import info
    from benchmark.data.sources import locate_test
    from benchmark.jobs.submit import export_inputs

    count = export_inputs(out, locate_test(dataset, truth, results), size)
    info(
        f"{out} holds {count} images. Color them, keep their names, and score them with "
        "`main.py score`."
    )
