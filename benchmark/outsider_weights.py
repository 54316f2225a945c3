"""The published weights of outsiders: found, downloaded, checked by their hash, and loaded.

A network with other weights than the published ones would get a row under the name of a paper. So
a file is used only if it has the hash that is published for it, and loaded strictly.
"""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.downloads import DownloadFailed, download, is_page
from benchmark.errors import UserError
from benchmark.files import sha256_of_file
from benchmark.outsider import Outsider, PublishedFile


@dataclass(frozen=True)
class _Named:
    """A file of weights and how it was named, or where it was found."""

    path: Path
    source: str


def variable_of(name: str) -> str:
    """The environment variable that names an outsider's file of weights."""
    return f"CHROMABENCH_{name.upper()}"


def load_published(outsider: Outsider, name: str, weights: str | None) -> None:
    """Load the published weights of an outsider, if it has any.

    weights: the file that `--weights` names; without one it is the file that the environment
    variable names, then the one in torch's cache, which is downloaded if it is not there. Raises
    UserError for a file that is not the published one, or if there is none.
    """
    file = outsider.variants[outsider.variant].file
    if file is None:
        if weights is not None:
            raise UserError(f"--weights {weights}: {name} needs no weights; leave the option out.")
        return
    named = _find(name, file, weights)
    if not named.path.is_file():
        raise UserError(f"{named.source}: there is no file {named.path}.")
    try:
        genuine = sha256_of_file(named.path) == file.sha256
    except OSError as error:
        raise UserError(
            f"{named.source}: {named.path} cannot be read ({error.strerror or error})."
        ) from error
    if not genuine:
        raise UserError(
            f"{named.source}: {named.path} {_fault(outsider, named.path)}; the published file of "
            f"{name} is {file.url}."
        )
    outsider.load(_read(outsider, named.path))


def _find(name: str, file: PublishedFile, weights: str | None) -> _Named:
    if weights is not None:
        return _Named(Path(weights), "--weights")
    if variable := os.environ.get(variable_of(name)):
        return _Named(Path(variable), variable_of(name))
    path = Path(torch.hub.get_dir()) / "checkpoints" / file.name
    if not path.is_file():
        try:
            download(file.url, path, file.sha256)
        except DownloadFailed as failure:
            raise UserError(
                f"The weights of {name} cannot be downloaded from {file.url} ({failure}): name a "
                f"file with --weights or {variable_of(name)}."
            ) from failure
    return _Named(path, "torch's cache")


def _read(outsider: Outsider, path: Path) -> Mapping[str, Tensor]:
    """Read the tensors of a file without running pickled code; any error for an arbitrary file."""
    with torch.serialization.safe_globals(list(outsider.safe_types)):
        contents: Any = torch.load(path, map_location="cpu", weights_only=True)
    return outsider.tensors_of(contents)


def _fault(outsider: Outsider, path: Path) -> str:
    """Say what a file is that does not have the published hash, as far as can be seen."""
    if is_page(path):
        return "is a web page and not a file of weights"
    try:
        tensors = _read(outsider, path)
        outsider.load(tensors)
    except RuntimeError as error:
        if "Error(s) in loading state_dict" in str(error):
            return "holds the weights of another network"
        return "is damaged, or not a file of weights"
    except (pickle.UnpicklingError, EOFError):
        return "is damaged, or not a file of weights"
    except Exception:  # a file of another kind may raise anything
        return "is not a file of this network's weights"
    return "holds other weights of this network than the published ones"
