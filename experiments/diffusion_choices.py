"""Variants of a diffusion colorizer, trained equally long and scored on validation images.

    python -m experiments.diffusion_choices --dataset ../shared/data/scenes --minutes 5

Each run differs from the first in one choice. The number of steps that fit into --minutes is
measured before the trainings, in processor time of one core, so other programs on the machine do
not change it. The images that are scored are held out from the training. The runs are ordinary runs
in --results: an interrupted experiment continues, and the table is made from their tests alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmark.data.sources import locate
from benchmark.errors import UserError
from benchmark.evaluation.recorded import read_test
from benchmark.metrics.networks import NoBackbone, lpips_network
from benchmark.results.folders import RunFolder
from benchmark.statistics import paired_differences

from .trainings import SEED, Choice, call, copy_validation, in_parallel, train

CHOICES = (
    Choice("reference", "the reference", {}),
    Choice("regression", "refine the mean of a regression", {"condition": "regression"}),
    Choice("predict-epsilon", "predict ε, schedule ends just before pure noise",
           {"prediction": "epsilon", "zero_terminal": "false"}),
    Choice("predict-x0", "predict x0", {"prediction": "x0"}),
    Choice("shift-1", "schedule not shifted", {"shift": 1}),
    Choice("half", "color at 1/2 of the size, shift 6", {"patch_size": 2, "shift": 6}),
    Choice("full", "color at full size, shift 12", {"patch_size": 1, "shift": 12}),
    Choice("linear", "linear schedule", {"schedule": "linear"}),
    Choice("ab-110", "ab / 110", {"ab_scale": "110"}),
    Choice("rgb", "sRGB instead of ab", {"color_space": "rgb"}),
    Choice("no-ema", "without averaged weights", {"ema_decay": 0}),
    Choice("min-snr", "min-SNR weights", {"weighting": "min-snr"}),
    Choice("dropout", "dropout .1", {"dropout": 0.1}),
    Choice("attention", "attention at every level", {"attention": "0,1,2"}),
)  # fmt: skip


def main(
    dataset: Annotated[str, typer.Option(help="A folder of images, or cartoon.")],
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("Results/choices"),
    minutes: Annotated[
        float, typer.Option(min=0.01, help="Minutes of each training on one core.")
    ] = 5,
    images: Annotated[int, typer.Option(min=2, help="Number of validation images to score.")] = 128,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the sampler.")] = 20,
    only: Annotated[
        str, typer.Option(help="Names of runs, separated by commas (default: all).")
    ] = "",
) -> None:
    """Train, test and compare the choices, and print the table; LPIPS weights are needed."""
    try:
        lpips_network()
    except (NoBackbone, UserError) as reason:
        raise SystemExit(f"The choices are compared by LPIPS. {reason}") from reason
    wanted = [choice for choice in CHOICES if not only or choice.run in only.split(",")]
    sources = locate(dataset, None, results)
    held_out = copy_validation(sources, results.resolve() / "validation", images)
    train(wanted, dataset, sources, results, 60 * minutes)
    options = ["--test_images", str(held_out), "--steps", str(steps)]
    in_parallel(lambda choice: call("test", choice, results, *options), wanted)
    print(table(results, wanted))


def table(results: Path, choices: Sequence[Choice]) -> str:
    """Return a Markdown table with a row for each choice.

    The column after LPIPS holds the 95 % interval of its difference from the first row.
    """
    tests = {}
    for choice in choices:
        (found,) = RunFolder(results, choice.run, SEED).finished_tests()
        tests[choice.run] = read_test(found)
    first = next(iter(tests.values()))[1]
    lines = [
        "| choice | steps | epochs | LPIPS | minus the first | SSIM | ΔE2000 | CF | JSD of ab |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for choice in choices:
        record, rows = tests[choice.run]
        cost = record.cost
        assert cost is not None
        assert record.training_data is not None
        low, high = paired_differences(np.stack([rows["lpips"], first["lpips"]]))
        means = {key: score.mean for key, score in record.metrics.items()}
        epochs = cost.steps * int(record.settings["batch_size"]) / record.training_data.n_train
        cells = [
            choice.title,
            f"{cost.steps}",
            f"{epochs:.1f}",
            f"{means['lpips']:.4f}",
            f"{low[0, 1]:+.4f} … {high[0, 1]:+.4f}" if rows is not first else "",
            f"{means['ssim']:.4f}",
            f"{means['delta_e2000']:.2f}",
            f"{means['colorfulness']:.1f}",
            f"{means['ab_divergence']:.4f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
