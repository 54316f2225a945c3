"""Files of weights on the Hugging Face Hub: downloading one, and uploading it with its card."""

import re
from pathlib import Path
from typing import Any

from benchmark.errors import UserError, first_line

PREFIX = "hf:"
"""What `--weights` begins with if it names a repository of the Hub."""
WEIGHTS_FILE, CARD_FILE, FIGURE_FILE = "model.safetensors", "README.md", "figure.png"
"""The files of a repository."""
REPOSITORY = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?", re.ASCII)


def is_on_hub(weights: str) -> bool:
    """Whether `--weights` names a repository of the Hub: `hf:owner/name[@revision]`."""
    return weights.startswith(PREFIX)


def name_on_hub(weights: str) -> str:
    """Return the name of a repository without its owner. UserError if it is none."""
    name, _ = _parse(weights)
    return name.rpartition("/")[2]


def download_weights(weights: str) -> Path:
    """Download the weights of `hf:owner/name[@revision]`, once; return the path of the file.

    One file is downloaded, into the cache of huggingface_hub. UserError if there is no such file or
    no network, or if huggingface_hub is not installed.
    """
    name, revision = _parse(weights)
    hub = library()
    try:
        return Path(hub.hf_hub_download(name, WEIGHTS_FILE, revision=revision))
    except Exception as error:  # of the network, the server or the disk: the remedy is the same
        raise UserError(
            f"{weights}: {WEIGHTS_FILE} cannot be downloaded ({_short(error)}): check the name and "
            "the network, or download the file and name its path."
        ) from error


def upload(name: str, files: dict[str, Path], private: bool) -> str:
    """Upload files to a repository of the Hub, which is made if there is none; return its address.

    files: by their names there. UserError unless the user is logged in, or if the upload fails.
    """
    if REPOSITORY.fullmatch(name) is None or "@" in name:
        raise UserError(f"{name} is no repository: name it as owner/name.")
    hub = library()
    if hub.get_token() is None:
        raise UserError("You are not logged in to the Hugging Face Hub: run `hf auth login` first.")
    try:
        api = hub.HfApi()
        address = str(api.create_repo(name, private=private, exist_ok=True))
        operations = [
            hub.CommitOperationAdd(path_in_repo=to, path_or_fileobj=path)
            for to, path in files.items()
        ]
        # One commit: a reader never sees weights with the card of others.
        api.create_commit(name, operations, commit_message="Weights and card of ChromaBench")
    except Exception as error:  # of the network or the server
        raise UserError(
            f"{name} cannot be uploaded ({_short(error)}): check the name, your rights and the "
            "network."
        ) from error
    return address


def library() -> Any:
    """Import huggingface_hub. UserError that says how to install it."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            "The package huggingface_hub is not installed: install it with "
            "`pip install huggingface_hub`."
        ) from error
    return huggingface_hub


def _parse(weights: str) -> tuple[str, str | None]:
    found = REPOSITORY.fullmatch(weights.removeprefix(PREFIX))
    if found is None:
        raise UserError(f"--weights {weights}: name a repository as hf:owner/name.")
    return found["name"], found["revision"]


def _short(error: Exception) -> str:
    return first_line(error)[:200].rstrip(".: ")
