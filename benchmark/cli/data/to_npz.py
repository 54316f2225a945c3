"""`main.py data to-npz DIR OUT`: write a folder of images as two files of arrays."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import options
from benchmark.errors import UserError


def _require_share(value: float) -> float:
    if not 0 < value < 1:  # written so that NaN fails, too
        raise UserError(f"--test_size {value:g}: name a share between 0 and 1, such as 0.2.")
    return value


def command(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of images; each sub-folder that holds images is a category.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="Folder to write train.npz, test.npz and metadata.json into.",
            show_default=False,
        ),
    ],
    size: Annotated[
        int,
        typer.Option(
            min=16,
            max=10_000,
            metavar="<int>",
            help="Side of the square images in pixels.",
            rich_help_panel=options.DATA,
        ),
    ] = 64,
    test_size: Annotated[
        float,
        typer.Option(
            callback=_require_share,
            metavar="<float>",
            help="Share of the images of each category that is for the test, between 0 and 1.",
            rich_help_panel=options.DATA,
        ),
    ] = 0.2,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="<int>",
            help="Seed of the choice of test images.",
            rich_help_panel=options.DATA,
        ),
    ] = 42,
    normalize: Annotated[
        Literal["none", "01", "11"],
        typer.Option(
            help="Range of the values: uint8 from 0 to 255 (none), or float32 from 0 to 1 (01) or "
            "from -1 to 1 (11).",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "none",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the files if they exist.", rich_help_panel=options.OUTPUT
        ),
    ] = False,
) -> None:
    """Write a folder of images as arrays for NumPy, split into training and test.

    Both files have the same share of each category. They can be named wherever a folder of images
    can, such as with --dataset and --test_images.
    """
    from benchmark.console import info, output
    from benchmark.jobs.to_npz import to_npz
    from benchmark.results.arrays import METADATA, ArraySettings

    settings = ArraySettings(size=size, test_size=test_size, seed=seed, normalize=normalize)
    written = to_npz(folder, out, settings, overwrite=overwrite)
    for name in (*written.files, METADATA):
        output(str(out / name))
    counts = [f"{file.images:,} images in {name}" for name, file in written.files.items()]
    described = f"{size}×{size}, {written.dtype}, categories: {len(written.categories)}"
    info(f"{' and '.join(counts)}, {described}.")
