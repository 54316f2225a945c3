"""The tracking of a training: history.jsonl, messages, and wandb where it is enabled."""

import json
import os
from types import TracebackType
from typing import Any, Literal, Self

from benchmark.console import info
from benchmark.errors import UserError, did_you_mean, first_line
from benchmark.files import write_text
from benchmark.results.folders import RunFolder
from benchmark.results.history import read_history

WandbMode = Literal["online", "offline", "disabled", "shared"]
WANDB_MODES: dict[str, WandbMode] = {
    "online": "online",
    "run": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
    "shared": "shared",
}
"""The values of WANDB_MODE, and what each stands for."""


def choose_wandb_mode(typed: WandbMode | None) -> WandbMode:
    """Return the mode of wandb: the typed one, else that of the environment, else offline.

    Raises UserError for a WANDB_MODE that does not exist.
    """
    if typed is not None:
        return typed
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes", "on"):
        return "disabled"
    variable = os.environ.get("WANDB_MODE") or "offline"
    mode = variable.strip().lower()
    if mode not in WANDB_MODES:
        nearest = did_you_mean(mode, WANDB_MODES) or "."
        raise UserError(f"WANDB_MODE={variable}: its values are {', '.join(WANDB_MODES)}{nearest}")
    return WANDB_MODES[mode]


def print_epoch(name: str, row: dict[str, Any], epochs: int) -> None:
    """Print the losses of an epoch of the model `name`, as its row of the history has them."""
    numbers = {k: v for k, v in row.items() if "/" in k and not isinstance(v, list)}
    losses = "  ".join(f"{key} {value:.4f}" for key, value in numbers.items())
    speed = f"{row['images_per_second']:.0f} images/s"
    info(f"{name} epoch {row['epoch']}/{epochs}: {losses}  {speed}")


class Tracker:
    """Writes one row an epoch to history.jsonl, and the same to wandb."""

    def __init__(
        self, folder: RunFolder, mode: WandbMode, settings: dict[str, Any], first_epoch: int
    ) -> None:
        self.path = folder.history
        # Epochs that were recorded after the last saved state are trained and recorded again.
        self.rows = [row for row in read_history(self.path) if row["epoch"] < first_epoch]
        missing = {*range(1, first_epoch)} - {row["epoch"] for row in self.rows}
        if missing:
            info(
                f"Warning: {self.path} lacks {len(missing)} of the {first_epoch - 1} epochs so "
                "far, and so will the loss curve; the training goes on."
            )
        self._run = _start_wandb(folder, mode, settings)

    def record(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch. The file is replaced whole, so a full disk truncates no row."""
        self.rows.append(row)
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))
        if self._run is not None:
            from wandb import Histogram  # imported already by _start_wandb

            shown = {k: Histogram(v) if isinstance(v, list) else v for k, v in row.items()}
            self._run.log(shown, step=row["step"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0 if error is None else 1)


def _start_wandb(folder: RunFolder, mode: WandbMode, settings: dict[str, Any]) -> Any:
    """Start a wandb run; None if it is disabled or, with a message, if it cannot start.

    What the variables of wandb choose in the environment has precedence over the values here.
    """
    if mode == "disabled":
        return None
    os.environ.setdefault("WANDB_SILENT", "true")
    if "WANDB_MODE" in os.environ:
        os.environ["WANDB_MODE"] = mode  # wandb reads it too, and fails at capital letters
    try:
        import wandb

        arguments = _unless_in_environment(
            project=("WANDB_PROJECT", "chromabench"),
            name=("WANDB_NAME", f"{folder.run}-seed-{folder.seed}"),
            dir=("WANDB_DIR", folder.path),
        )
        options = _unless_in_environment(
            x_disable_stats=("WANDB_X_DISABLE_STATS", True),
            disable_git=("WANDB_DISABLE_GIT", True),
            init_timeout=("WANDB_INIT_TIMEOUT", 30),
        )
        return wandb.init(
            **arguments, mode=mode, config=settings, settings=wandb.Settings(**options)
        )
    except Exception as error:  # network, account or disk: no reason to stop a training
        info(f"wandb could not start and is disabled: {first_line(error)}")
        return None


def _unless_in_environment(**values: tuple[str, Any]) -> dict[str, Any]:
    """Return the values by name, without those whose variable of the environment is set."""
    return {name: value for name, (key, value) in values.items() if not os.environ.get(key)}
