"""The history of a training: history.jsonl has a row for each epoch."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from benchmark.errors import UserError
from benchmark.files import read_text
from benchmark.results.schema import Amount, Count, Strict, validate


class HistoryRow(Strict):
    """A line of history.jsonl: an epoch, and as further values its losses and scores.

    images_per_second: the mean since the start of the training.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | list[float]]
    remedy: ClassVar[str] = (
        "Delete this file to go on without the rows of the epochs so far, or train from the "
        "beginning with --overwrite."
    )

    epoch: Annotated[int, Field(ge=1, lt=2**63)]
    step: Count
    seconds: Amount
    images_per_second: Amount
    learning_rate: Amount


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a history.jsonl, none if it does not exist. UserError if it is damaged."""
    if not os.path.lexists(path):
        return []
    try:
        lines = read_text(path).splitlines()
    except UserError as error:
        raise UserError(f"{error} {HistoryRow.remedy}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        problem = f"{path}, line {number}, is not the row of an epoch"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{problem}: it is not valid JSON. {HistoryRow.remedy}") from error
        rows.append(validate(values, HistoryRow, problem).model_dump())
    return rows
