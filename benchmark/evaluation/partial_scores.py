"""What was measured of a test's images so far, in files, so that an interrupted scoring goes on.

Images are measured in chunks. A chunk's file holds the values of its images and the features of the
metrics of sets, under a key of all that they depend on. Reading a file maps it into memory, so
features of many images take none of it for themselves.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmark.files import replacing
from benchmark.metrics.score import Measured

CHUNK = 512
"""Images that are measured before they are written."""


class Contents(BaseModel):
    """The header of a chunk's file. key: what it depends on. counts: images of each batch.
    columns, features: the metrics whose values and features it holds."""

    key: str
    counts: list[int]
    columns: list[str]
    features: list[str]


def read_chunk(path: Path, key: str) -> list[Measured] | None:
    """Read the batches of a chunk; None if there is no file, or not one of this key."""
    try:
        with safe_open(path, "pt") as file:
            contents = Contents.model_validate_json((file.metadata() or {}).get("contents", ""))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return _batches(contents, tensors) if contents.key == key else None
    except (OSError, SafetensorError, ValidationError, KeyError):
        return None


def _batches(contents: Contents, tensors: dict[str, Tensor]) -> list[Measured]:
    values = {name: tensors[name].tolist() for name in contents.columns}
    batches, start = [], 0
    for number, count in enumerate(contents.counts):
        columns = {name: values[name][start : start + count] for name in contents.columns}
        features = {
            name: (tensors[f"{name}/{number}/output"], tensors[f"{name}/{number}/truth"])
            for name in contents.features
        }
        batches.append(Measured(count, columns, features))
        start += count
    return batches


def write_chunk(path: Path, key: str, batches: Sequence[Measured]) -> None:
    """Write the batches of a chunk. Raises UserError if that is not possible."""
    contents = Contents(
        key=key,
        counts=[batch.n for batch in batches],
        columns=list(batches[0].columns),
        features=list(batches[0].features),
    )
    tensors: dict[str, Tensor] = {}
    for name in contents.columns:
        values = [value for batch in batches for value in batch.columns[name]]
        tensors[name] = torch.tensor(values, dtype=torch.float64)
    for number, batch in enumerate(batches):
        for name, (output, truth) in batch.features.items():
            tensors[f"{name}/{number}/output"] = output.contiguous()
            # A copy, for several sources may hold the same features of the truths.
            tensors[f"{name}/{number}/truth"] = truth.clone()
    content = save(tensors, metadata={"contents": contents.model_dump_json()})
    with replacing(path) as part:
        part.write_bytes(content)
