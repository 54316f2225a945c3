"""The history of a training: always history.jsonl, and wandb where it is enabled."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.console import info
from benchmark.files import write_text
from benchmark.results.folders import RunFolder


def read_history(path: Path, before_epoch: int | None = None) -> list[dict[str, Any]]:
    """Read the rows of all epochs, or of those before `before_epoch`."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if before_epoch is None or row["epoch"] < before_epoch]


class Tracker:
    """Writes one row an epoch to history.jsonl, and the same to wandb."""

    def __init__(
        self, folder: RunFolder, mode: str, settings: dict[str, Any], first_epoch: int
    ) -> None:
        # Epochs that were recorded after the last saved state are trained and recorded again.
        self.path = folder.history
        self.rows = read_history(self.path, first_epoch)
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


def _start_wandb(folder: RunFolder, mode: str, settings: dict[str, Any]) -> Any:
    """Start a wandb run; None if it is disabled or, with a message, if it cannot start."""
    if mode == "disabled":
        return None
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        import wandb

        return wandb.init(
            project="chromabench",
            name=f"{folder.run}-seed-{folder.seed}",
            dir=folder.path,
            mode="online" if mode == "online" else "offline",
            config=settings,
            settings=wandb.Settings(x_disable_stats=True, disable_git=True, init_timeout=30),
        )
    except Exception as error:  # network, account or disk: no reason to stop a training
        info(f"wandb could not start and is disabled: {type(error).__name__}: {error}")
        return None
