"""The choices that matter in a diffusion colorizer, each trained for equally long, on validation.

    python -m experiments.diffusion_choices --dataset ../shared/data/scenes --minutes 5

Each run differs from the first in one choice. How many steps fit into the minutes is measured
before anything is trained, in processor time of one core, so that a busy machine is fair to all;
the score is that of images held out from the training. The runs are ordinary ones below
--results, so a stopped batch goes on, and the table that is printed can be made again from their
run.json files alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmark.data.loading import locate
from benchmark.errors import UserError
from benchmark.evaluation.per_image import read_test
from benchmark.metrics.networks import NoBackbone, lpips_network
from benchmark.results.folders import RunFolder
from benchmark.statistics import paired_differences

from .trainings import SEED, Choice, call, copy_validation, side_by_side, train

CHOICES = (
    Choice("reference", "the first", {}),
    Choice("regression", "beside a regression, whose mean it refines", {"condition": "regression"}),
    Choice("predict-epsilon", "predict ε, ended a little before pure noise",
           {"prediction": "epsilon", "zero_terminal": "false"}),
    Choice("predict-x0", "predict x0", {"prediction": "x0"}),
    Choice("shift-1", "schedule not shifted", {"shift": 1}),
    Choice("half", "color at 1/2 of the size, shift 6", {"fold": 2, "shift": 6}),
    Choice("full", "color at full size, shift 12", {"fold": 1, "shift": 12}),
    Choice("linear", "linear schedule", {"schedule": "linear"}),
    Choice("ab-110", "ab / 110", {"ab_scale": "110"}),
    Choice("rgb", "sRGB instead of ab", {"color_space": "rgb"}),
    Choice("no-ema", "no averaged weights", {"ema_decay": 0}),
    Choice("min-snr", "min-SNR weights", {"weighting": "min-snr"}),
    Choice("dropout", "dropout .1", {"dropout": 0.1}),
    Choice("attention", "attention at every level", {"attention": "0,1,2"}),
)  # fmt: skip


def main(
    dataset: Annotated[str, typer.Option(help="A folder of images, or cartoon.")],
    results: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("Results/choices"),
    minutes: Annotated[float, typer.Option(min=0.01, help="Of each training, on one core.")] = 5,
    images: Annotated[int, typer.Option(min=2, help="Validation images to score.")] = 128,
    steps: Annotated[int, typer.Option(min=1, help="Of the sampler.")] = 20,
    only: Annotated[str, typer.Option(help="Names of runs, with commas; default all.")] = "",
) -> None:
    """Train, test and compare; the table goes to stdout. Exits at once without LPIPS weights."""
    try:
        lpips_network()
    except (NoBackbone, UserError) as reason:
        raise SystemExit(f"The choices are compared by LPIPS. {reason}") from reason
    wanted = [choice for choice in CHOICES if not only or choice.run in only.split(",")]
    sources = locate(dataset, None, results)
    held_out = copy_validation(sources, results.resolve() / "validation", images)
    train(wanted, dataset, sources, results, 60 * minutes)
    tested = ["--test_images", str(held_out), "--steps", str(steps)]
    side_by_side(lambda choice: call("test", choice, results, *tested), wanted)
    print(table(results, wanted))


def table(results: Path, choices: Sequence[Choice]) -> str:
    """Markdown: a row a choice; LPIPS also as the 95 % interval of its difference to the first."""
    tests = {}
    for choice in choices:
        (found,) = RunFolder(results, choice.run, SEED).tests.glob("*/run.json")
        tests[choice.run] = read_test(found.parent)
    first = next(iter(tests.values()))[1]
    lines = [
        "| choice | steps | epochs | LPIPS | − first's | SSIM | ΔE2000 | CF | JSD of ab |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for choice in choices:
        record, rows = tests[choice.run]
        cost = record.cost
        assert cost is not None
        assert record.training_data is not None
        low, high = paired_differences(np.stack([rows["lpips"], first["lpips"]]))
        means = {key: score.mean for key, score in record.metrics.items()}
        seen = cost.steps * int(record.settings["batch_size"]) / record.training_data.n_train
        cells = [
            choice.title,
            f"{cost.steps}",
            f"{seen:.1f}",
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
