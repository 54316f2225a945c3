"""The options that several commands share, and the help of those that are settings of a training.

Nothing here imports torch.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.console import info
from benchmark.errors import UserError
from benchmark.files import ROOT
from benchmark.metrics import options as metric_options
from benchmark.metrics.options import MetricOptions
from benchmark.results.folders import RunFolder, require_run_name
from benchmark.settings import Settings, parse_value

RESULTS = ROOT / "Results"
DEFAULT_SEED: int = Settings.model_fields["seed"].default
DATA, TRAINING, TESTING, OUTPUT = "Data", "Training", "Testing", "Output"
GROUPS = ("Arguments", "Options", DATA, TRAINING, TESTING, OUTPUT)
"""The groups of the help in their order. An option that names no group is one of `Options`."""

RENAMED = {
    "alone": "generator_only",
    "drop_grey": "drop_grayscale",
    "fold": "patch_size",
    "vividness": "mean_gain",
}
"""Old name → name today, of the settings that `--set` takes."""

TEST_SIZE: int = Settings.model_fields["size"].default

HELD_OUT = (
    "Folder or .npz file of training images, or cartoon for the built-in sample. If --truth is not "
    "given and TestImages is empty, the images that are held out from it are the test."
)
"""The help of `--dataset` for a test without a training."""

SAMPLING = ("steps", "sampler", "eta", "guidance")
"""The options that are values of a model's `Sampling`, by their names there."""


DECIDED = ("lpips_backbone", "colorfulness", "fid", "chroma_matched")
"""The options of the metrics, which a protocol decides in every command."""


def setting(name: str, group: str | None = TRAINING, **more: Any) -> Any:
    """Declare an option for a field of Settings, with the field's description and default.

    more: further arguments of `typer.Option`.
    """
    field = Settings.model_fields[name]
    text = f"{field.description}.  [default: {field.default}]"
    return typer.Option(help=text, rich_help_panel=group, **more)


Seed = Annotated[int | None, setting("seed", group=None, min=0, metavar="<int>")]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        help="Name of the run, and of its folder below the results.  [default: the model's name]",
        rich_help_panel=OUTPUT,
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        help="Weights of the run: best, last, or the number of a saved epoch; or a file: its path, "
        "or hf:owner/name on the Hugging Face Hub.",
        rich_help_panel=TESTING,
    ),
]
LicenseNote = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="TEXT",
        help="What others may do with the weights.  [default: a note that it is not known]",
        rich_help_panel=OUTPUT,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Write over files that exist.", rich_help_panel=OUTPUT),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Device to compute on: cpu, cuda, mps or the index of a GPU.  [default: the fastest]"
    ),
]


def explain_sample(value: str | None) -> str | None:
    """Return the value of an option unchanged; a message says that `cartoon` is no folder's name
    if there is such a folder too."""
    if value is not None:
        from benchmark.data.sources import SAMPLE  # here, for --help decodes no image

        if value == SAMPLE and Path(value).is_dir():
            info(
                f"Warning: {SAMPLE} is the built-in sample and not the folder {SAMPLE} here, which "
                f"is named as ./{SAMPLE}."
            )
    return value


def _require_utf8(path: Path) -> Path:
    # Files of weights are read by a library that opens no other names.
    if any("\ud800" <= c <= "\udfff" for c in str(path)):
        raise UserError(f"--results {path}: a name in UTF-8 is needed.")
    return path


Results = Annotated[
    Path,
    typer.Option(
        callback=_require_utf8,
        help="Folder of all runs and of the leaderboard.  [default: Results]",
        file_okay=False,
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Sampling steps of a model that samples step by step.  [default: the model's]",
        rich_help_panel=TESTING,
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="Sampler of a diffusion model: ddpm, ddim or dpmpp.  [default: the model's]",
        rich_help_panel=TESTING,
    ),
]
Eta = Annotated[
    float | None,
    typer.Option(
        help="Share of fresh noise in each step of ddim or a flow: 0 adds none, 1 as much as "
        "ddpm.  [default: the model's]",
        rich_help_panel=TESTING,
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        help="Classifier-free guidance scale of a diffusion model; 1 turns it off; other values "
        "need weights trained with condition_dropout.  [default: the model's]",
        rich_help_panel=TESTING,
    ),
]
Frames = Annotated[
    bool,
    typer.Option(
        "--frames",
        help="Also write the sampling from noise to the image, as a strip and an animation; for "
        "models that sample step by step.",
        rich_help_panel=OUTPUT,
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Value of any other setting of the model, as `main.py list MODEL` names it; can be "
        "given several times.",
    ),
]
Truth = Annotated[
    str | None,
    typer.Option(
        callback=explain_sample,
        help="Folder or .npz file of the true images.  [default: TestImages, or if it is empty, "
        "the images held out from --dataset]",
        rich_help_panel=DATA,
    ),
]
TestDataset = Annotated[
    str | None,
    typer.Option(
        callback=explain_sample,
        help=f"{HELD_OUT}  [default: Dataset, or if it is empty, cartoon]",
        rich_help_panel=DATA,
    ),
]
TestSize = Annotated[
    int,
    typer.Option(
        min=16,
        metavar="<int>",
        help="Side of the square test images in pixels.",
        rich_help_panel=DATA,
    ),
]
Protocol = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Protocol of the test, as `main.py list protocols` names it: it decides which images "
        "of the folder are used, how they are prepared, and the options of the metrics.",
        rich_help_panel=TESTING,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="<int>",
        help="Number of test images that are used, the first ones by name.  [default: all]",
        rich_help_panel=TESTING,
    ),
]
Degraded = Annotated[
    bool,
    typer.Option(
        "--degraded",
        help="Test on images that are made to look old: blur, film grain, fading, scratches and "
        "JPEG artifacts of their L*, the same each time.",
        rich_help_panel=TESTING,
    ),
]
LpipsWeights = Annotated[
    str | None,
    typer.Option(
        help="File of the weights of LPIPS' backbone, for a machine that cannot download them.",
        rich_help_panel=TESTING,
    ),
]
LpipsBackbone = Annotated[
    metric_options.LpipsBackbone,
    typer.Option(help="Backbone of LPIPS: AlexNet, SqueezeNet or VGG16.", rich_help_panel=TESTING),
]
Colorfulness = Annotated[
    metric_options.Variant,
    typer.Option(
        help="Formula of colorfulness: with R - G as in Hasler and Süsstrunk's paper, or with "
        "|R - G| as in many implementations.",
        rich_help_panel=TESTING,
    ),
]


Fid = Annotated[
    bool,
    typer.Option(
        "--fid",
        help="Also measure FID, for more than 2,048 images; it takes half a minute at the end.",
        rich_help_panel=TESTING,
    ),
]
ChromaMatched = Annotated[
    bool,
    typer.Option(
        "--chroma-matched",
        help="Also measure LPIPS, and FID if asked for, of outputs whose chroma is scaled to the "
        "truth's colorfulness, so that vividness alone gains nothing.",
        rich_help_panel=TESTING,
    ),
]


def run_folder(results: Path, run: str | None, model: str, seed: int | None) -> RunFolder:
    """Return the folder of the run that is asked for, by default named after the model."""
    if run is not None:
        require_run_name("--run", run)
    return RunFolder(results, run or model, DEFAULT_SEED if seed is None else seed)


def metric_options_of(parameters: Mapping[str, Any]) -> MetricOptions:
    """Return the options of the metrics that were typed, from the values of a command's options."""
    return MetricOptions(
        lpips_backbone=parameters["lpips_backbone"],
        colorfulness=parameters["colorfulness"],
        fid="on" if parameters["fid"] else "off",
        chroma_matched="on" if parameters["chroma_matched"] else "off",
    )


def was_typed(context: typer.Context, name: str) -> bool:
    """Whether an option was typed, by the name of its parameter."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def require_free_protocol(context: typer.Context, *more: str) -> None:
    """Raise UserError for a typed option that `--protocol` decides, if a protocol is named.

    more: the names of further parameters that it decides in this command.
    """
    protocol = context.params["protocol"]
    decided = [name for name in (*DECIDED, *more) if was_typed(context, name)]
    if protocol is not None and decided:
        raise UserError(
            f"--{decided[0]} is decided by --protocol {protocol}: leave one of the two out."
        )


def parse_assignments(assignments: Iterable[str] | None) -> dict[str, Any]:
    """Parse `--set` options into name → value. `_` and `-` are the same in names."""
    pairs = {}
    for text in assignments or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"--set {text}: write it as --set key=value.")
        name = key.replace("-", "_")
        pairs[RENAMED.get(name, name)] = parse_value(value)
    return pairs


def sampling_values(
    parameters: Mapping[str, Any], assignments: Iterable[str] | None
) -> dict[str, Any]:
    """Return the values of the sampling that were typed, as options or with `--set`, by name.

    An option has precedence over `--set`.
    """
    typed = {name: parameters[name] for name in SAMPLING if parameters[name] is not None}
    return {**parse_assignments(assignments), **typed}
