"""Files of weights and of states are read whole and sound, or refused in one sentence."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from benchmark import registry
from benchmark.checkpoints import (
    HEADER,
    OtherWeights,
    load_state,
    load_weights,
    save_state,
    save_weights,
)
from benchmark.errors import UserError
from benchmark.files import sha256_of_file
from tests.support import tiny_model

NAME = "unet"
CPU = torch.device("cpu")


def write(path: Path, header: Any, tensors: dict[str, Tensor]) -> None:
    text = header if isinstance(header, str) else json.dumps(header)
    path.write_bytes(save(tensors, metadata={HEADER: text}))


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_weights(path, NAME, CPU)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    model = tiny_model(NAME)
    save_weights(tmp_path / "w.safetensors", model, NAME, 7)
    loaded = load_weights(tmp_path / "w.safetensors", NAME, CPU)
    assert (loaded.trained_as, loaded.epoch) == (NAME, 7)
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[key], value)


def test_the_hash_is_that_of_the_bytes_that_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file is replaced while the model is built."""
    path, other = tmp_path / "w.safetensors", tmp_path / "other.safetensors"
    save_weights(path, tiny_model(NAME), NAME, 7)
    save_weights(other, tiny_model(NAME, seed=1), NAME, 8)
    expected, content = sha256_of_file(path), other.read_bytes()
    with pytest.raises(OtherWeights, match="test again"):
        load_weights(other, NAME, CPU, expected_sha256=expected)
    load_model = registry.load_model

    def replace_the_file(name: str) -> Any:
        other.replace(path)
        return load_model(name)

    monkeypatch.setattr(registry, "load_model", replace_the_file)
    loaded = load_weights(path, NAME, CPU, expected_sha256=expected)
    assert (loaded.sha256, loaded.epoch) == (expected, 7)
    assert path.read_bytes() == content


FORGED: list[Any] = ["", "{", "[]", "null", "[" * 100_000, {"model": 1}, {"architecture": []}]
FORGED += [{"architecture": {"unknown": 1}}, {"epoch": -1}, {"epoch": 10**400}, {"epoch": True}]
FORGED += [{"more": 1}, {"epoch": None}]
"""Headers as text, or what is other than in a valid one."""


@pytest.mark.parametrize(
    "header",
    FORGED,
    ids=lambda header: str(header)[:20],
)
def test_a_forged_header_is_refused(tmp_path: Path, header: Any) -> None:
    model = tiny_model(NAME)
    if isinstance(header, dict):
        header = {"model": NAME, "architecture": model.architecture, "epoch": 1, **header}
    write(tmp_path / "w.safetensors", header, model.state_dict())
    refused(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "widths",
    [[80_000, 80_000], [8 * 10**8] * 2, [16] * 3000, [16, 2**40], [16, 10**30]],
    ids=lambda w: str(w)[:20],
)
def test_an_absurd_architecture_allocates_nothing(tmp_path: Path, widths: list[int]) -> None:
    model = tiny_model(NAME)
    architecture = {**model.architecture, "widths": widths}
    header = {"model": NAME, "architecture": architecture, "epoch": 1}
    write(tmp_path / "w.safetensors", header, model.state_dict())
    with pytest.MonkeyPatch.context() as patched:
        initialize = torch.nn.init.kaiming_uniform_

        def watched(tensor: Tensor, *args: Any, **options: Any) -> Tensor:
            assert tensor.is_meta, "allocated before the shapes were compared"
            return initialize(tensor, *args, **options)

        patched.setattr(torch.nn.init, "kaiming_uniform_", watched)
        refused(tmp_path / "w.safetensors")


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf, 1e30, -2e10])
def test_weights_that_are_not_finite_or_absurd_are_refused(tmp_path: Path, number: float) -> None:
    model = tiny_model(NAME)
    with torch.no_grad():
        list(model.parameters())[-1].view(-1)[-1] = number
    save_weights(tmp_path / "w.safetensors", model, NAME, 1)
    assert "smaller learning rate" in refused(tmp_path / "w.safetensors")


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    model = tiny_model(NAME)
    header = {"model": NAME, "architecture": model.architecture, "epoch": 1}
    tensors = model.state_dict()
    key = max(tensors, key=lambda key: tensors[key].numel())
    for changed in (
        {k: v for k, v in tensors.items() if k != key},
        {**tensors, "more": torch.zeros(1)},
        {**tensors, key: torch.zeros(3)},
        {**tensors, key: tensors[key].half()},
    ):
        write(tmp_path / "w.safetensors", header, changed)
        assert "does not fit models/unet" in refused(tmp_path / "w.safetensors")


class Malicious:
    """Runs code where pickle is trusted."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('foreign code ran')",)


def test_a_state_that_is_no_plain_archive_of_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, {"step": 1})
    assert load_state(path) == {"step": 1}
    content = path.read_bytes()

    def bomb() -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", bytes(10_000_000))

    for spoil in (
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(content[:-30]),
        lambda: path.write_bytes(b"[" * 1000),
        lambda: torch.save({"step": Malicious()}, path),
        bomb,
    ):
        spoil()
        with pytest.raises(UserError, match=r"state\.pt is damaged .*: delete it to train"):
            load_state(path)
