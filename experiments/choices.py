"""Variants of a family of models, trained equally long and scored on validation images.

    python -m experiments.choices diffusion --dataset scenes --minutes 5

Each run differs from the first in one choice. The number of steps that fit into --minutes is
measured before the trainings, in processor time of one core, so other programs on the machine do
not change it. The images that are scored are held out from the training. The runs are ordinary runs
in a folder of --results: an interrupted experiment continues, and the table is made from their
tests alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmark import registry
from benchmark.data.sources import locate
from benchmark.errors import UserError, did_you_mean
from benchmark.evaluation.recorded import read_test
from benchmark.metrics.networks import NoBackbone, lpips_network
from benchmark.results.folders import RunFolder
from benchmark.statistics import paired_differences

from .trainings import SEED, Choice, Family, call, copy_validation, in_parallel, train

SMALL: dict[str, Any] = {"widths": "32,64,128"}
"""Networks that see thousands of images in a few minutes."""
ENCODER = "efficientnet_lite0"
FAMILIES = {
    "regression": Family(
        "unet", "small", SMALL, (
            Choice("reference", "the reference", {}),
            Choice("encoder", "pretrained encoder", {"encoder": ENCODER}),
            Choice("perceptual", "pretrained encoder, perceptual loss",
                   {"encoder": ENCODER, "perceptual_weight": 0.5}),
            Choice("chroma", "pretrained encoder, perceptual loss, weight of chroma",
                   {"encoder": ENCODER, "perceptual_weight": 0.5, "chroma_weight": 0.5}),
            Choice("crop", "crops of one size", {"augmentation": "crop"}),
            Choice("no-dropout", "without dropout", {"dropout": 0}),
            Choice("mse", "squared error", {"loss": "mse"}),
        ),
    ),
    "gan": Family(
        "unetgan", "small", SMALL, (
            Choice("reference", "the reference", {}),
            Choice("no-features", "without feature matching", {"feature_weight": 0}),
            Choice("adversarial-only", "discriminator from the first step", {"generator_only": 0}),
            Choice("more", "adversarial weight .2", {"adversarial_weight": 0.2}),
        ),
    ),
    "vae": Family(
        "unetvae", "small", SMALL, (
            Choice("reference", "the reference", {}),
            Choice("standard-prior", "standard normal prior", {"prior": "standard"}),
            Choice("one-region", "one latent for the image", {"regions": 1}),
            Choice("no-warmup", "without warm-up and free bits", {"kl_warmup": 0, "free_bits": 0}),
        ),
    ),
    "flow": Family(
        "unetflow", "small", {**SMALL, "regression_widths": "32,64,128"}, (
            Choice("reference", "the reference", {}),
            Choice("regression", "from the mean of a regression, spread .5",
                   {"condition": "regression", "spread": 0.5}),
            Choice("draws-1", "an image once in a step", {"draws": 1}),
            Choice("no-estimate", "without the last estimate as input",
                   {"self_conditioning": "false"}),
        ),
    ),
    "diffusion": Family(
        "unetddim", "standard", {**SMALL, "batch_size": 16, "condition": "concat"}, (
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
        ),
    ),
}  # fmt: skip
"""By family, the runs that differ from the first in one choice each. The reference of diffusion
refines no mean, so that it sees more images."""


def main(
    family: Annotated[str, typer.Argument(help=f"One of {', '.join(FAMILIES)}.")],
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
    if family not in FAMILIES:
        end = did_you_mean(family, FAMILIES) or f"; the families are {', '.join(FAMILIES)}."
        raise SystemExit(f"There is no family {family!r}{end}")
    try:
        lpips_network()
    except (NoBackbone, UserError) as reason:
        raise SystemExit(f"The choices are compared by LPIPS. {reason}") from reason
    chosen, results = FAMILIES[family], results / family
    wanted = [choice for choice in chosen.choices if not only or choice.run in only.split(",")]
    sources = locate(dataset, None, results)
    held_out = copy_validation(sources, results.resolve() / "validation", images)
    train(chosen, wanted, dataset, sources, results, 60 * minutes)
    options = ["--test_images", str(held_out)]
    if registry.load_model(chosen.model).has_steps():
        options += ["--steps", str(steps)]
    in_parallel(lambda choice: call("test", chosen, choice, results, *options), wanted)
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
