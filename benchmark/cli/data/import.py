"""`main.py data import NAME`: import a public or an own set of images as a dataset."""

# ruff: noqa: N999 - the file has the name of its command, which is a word of Python
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.console import output
from benchmark.files import ROOT

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A known set: tiny-imagenet, celeba, cifar10, coco-val2017, flowers102, "
        "imagenette, oxford-pets, places365, stl10, or without a network cartoon or photos; "
        "hf:OWNER/NAME for a dataset of the Hugging Face hub; or the path of a folder, or the "
        "path or address of a .zip, .tar, .tar.gz or .tgz archive, whose name may hold a range "
        "such as {000..003} (folder:, zip: and tar: before it say what it is).",
        show_default=False,
    ),
]
To = Annotated[
    Path,
    typer.Option(
        help="Folder that the images are written into.  [default: Dataset]",
        show_default=False,
        file_okay=False,
        rich_help_panel=options.OUTPUT,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="<int>", help="Most images that are written.  [default: all]"),
]
MaxMegabytes = Annotated[
    float | None,
    typer.Option(
        metavar="<float>",
        help="Most megabytes (10^6 bytes) of images that are written.  [default: all]",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Names of the classes whose images are written, or their codes in the set, "
        "with commas between them.  [default: all]",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        min=16,
        metavar="<int>",
        help="Short side of the images in pixels, to which larger ones are reduced.  "
        "[default: the files are copied as they are]",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace the images of an earlier import.",
        rich_help_panel=options.OUTPUT,
    ),
]


def command(
    name: Name,
    to: To = ROOT / "Dataset",
    limit: Limit = None,
    max_mb: MaxMegabytes = None,
    classes: Classes = None,
    size: Size = None,
    overwrite: Overwrite = False,
) -> None:
    """Import a set of images, such as a public one, as a dataset.

    The images get folders of their splits and classes. What they are, and what of them cannot be
    used, is written to import.json beside them. Prints the folder.
    """
    from benchmark.data.importing.writing import Limits
    from benchmark.errors import UserError
    from benchmark.jobs.data_import import import_images

    if max_mb is not None and not 0 < max_mb < float("inf"):
        raise UserError(f"--max_mb {max_mb}: name a number of megabytes above 0.")
    named = tuple(part.strip() for part in (classes or "").split(",") if part.strip())
    import_images(name, to, Limits(limit, max_mb, named, size), overwrite=overwrite)
    output(str(to))
