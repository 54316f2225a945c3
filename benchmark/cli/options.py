"""Options that several commands share, with their help. No torch here."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.errors import UserError

ROOT = Path(__file__).resolve().parent.parent.parent

Seed = Annotated[int | None, typer.Option(help="Of the run (default 8000).")]
RunName = Annotated[
    str | None, typer.Option("--run", help="Name of the run's folder (default: the model's name).")
]
Weights = Annotated[
    str, typer.Option(help="Which weights: best, last, the number of a saved epoch, or a file.")
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, mps or an index (default: the best there is).")
]
Results = Annotated[
    Path,
    typer.Option(help="Folder of runs and leaderboard.", file_okay=False, show_default="Results"),
]
Steps = Annotated[
    int | None, typer.Option(help="Sampling steps of diffusion models (default: the model's).")
]
Sampler = Annotated[
    str | None,
    typer.Option(help="Of diffusion models: ddpm, ddim or dpmpp (default: the model's)."),
]
Eta = Annotated[
    float | None, typer.Option(help="Of the sampler ddim: 0 draws no fresh noise, 1 all of it.")
]
Guidance = Annotated[
    float | None,
    typer.Option(help="By the gray image; 1 is none, and more needs a training for it."),
]
Frames = Annotated[
    bool,
    typer.Option(
        "--frames",
        help="Also the way from noise to color, a strip and an animation, of a model with steps.",
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other setting of the model; repeatable."),
]

LpipsWeights = Annotated[
    str | None,
    typer.Option(help="File with the backbone's layers, where there is no network."),
]
LpipsBackbone = Annotated[
    Literal["alex", "squeeze"], typer.Option(help="The network LPIPS looks through.")
]
Colorfulness = Annotated[
    Literal["signed", "absolute"],
    typer.Option(help="R - G as in Hasler and Süsstrunk's paper, or |R - G| as in much code."),
]

RESULTS = ROOT / "Results"


def parse_assignments(assignments: list[str] | None) -> dict[str, str]:
    """`--set` options → name: text. `_` and `-` are the same in names."""
    pairs = {}
    for text in assignments or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"--set {text}: write it as --set key=value.")
        pairs[key.replace("-", "_")] = value
    return pairs
