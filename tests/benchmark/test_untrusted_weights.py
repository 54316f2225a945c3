"""Files of weights from anyone: damaged, lying or of another program, each refused in a sentence.

Nothing is unpickled, and nothing is allocated that the file does not hold itself.
"""

import json
import pickle
import resource
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from benchmark.checkpoints import HEADER, LONGEST_HEADER, load_weights, read_header
from benchmark.errors import UserError
from tests.export_support import export_tiny
from tests.support import tiny_model

CPU = torch.device("cpu")
DENSE = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


def refused(path: Path, name: str = "unet") -> str:
    """Load a file that must be refused, in one sentence; return the sentence."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as caught:
        load_weights(path, name, CPU)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000, f"{grown} KiB were used"
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lying(header: Any, data: bytes = bytes(16), length: int | None = None) -> bytes:
    """Return a safetensors file whose header says anything."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


METADATA = {"__metadata__": {HEADER: '{"model": "unet", "architecture": {}, "epoch": 1}'}}
LIES: dict[str, bytes] = {
    "empty": b"",
    "cut in the length": b"\x10\x00\x00",
    "header beyond the file": lying({"a": DENSE}, length=2**40),
    "header beyond all files": lying({"a": DENSE}, length=2**64 - 1),
    "header of zero bytes": lying({"a": DENSE}, length=0),
    "header is no JSON": lying(b"\xff\xfe{"),
    "header is a list": lying([1, 2, 3]),
    "nested deeply": lying(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "metadata is a number": lying({"__metadata__": 7, "a": DENSE}),
    "metadata is no text": lying({"__metadata__": {HEADER: {"model": "unet"}}, "a": DENSE}),
    "offsets beyond the data": lying(METADATA | {"a": {**DENSE, "data_offsets": [0, 2**50]}}),
    "offsets backwards": lying(METADATA | {"a": {**DENSE, "data_offsets": [16, 0]}}),
    "negative offsets": lying(METADATA | {"a": {**DENSE, "data_offsets": [-16, 0]}}),
    "offsets that overlap": lying(METADATA | {"a": DENSE, "b": DENSE}),
    "a hole": lying(METADATA | {"a": {**DENSE, "shape": [2], "data_offsets": [8, 16]}}),
    "shape of another size": lying(METADATA | {"a": {**DENSE, "shape": [2**40]}}),
    "shape that overflows": lying(METADATA | {"a": {**DENSE, "shape": [2**33, 2**33, 0]}}),
    "shape around to 4": lying(METADATA | {"a": {**DENSE, "shape": [2**62, 4, 4]}}),
    "empty but vast": lying(
        METADATA | {"a": {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]}}, b""
    ),
    "negative shape": lying(METADATA | {"a": {**DENSE, "shape": [-4]}}),
    "unknown type": lying(METADATA | {"a": {**DENSE, "dtype": "F1024"}}),
    "cut in the data": lying(METADATA | {"a": DENSE}, bytes(9)),
    "more data than tensors": lying(METADATA | {"a": DENSE}, bytes(64)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused(tmp_path: Path, lie: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(LIES[lie])
    refused(path)


def test_a_header_of_many_megabytes_is_not_parsed(tmp_path: Path) -> None:
    bomb = b'{"__metadata__": {"a": "' + b"x" * LONGEST_HEADER + b'"}}'
    path = tmp_path / "w.safetensors"
    path.write_bytes(lying(bomb))
    assert "at most 16,777,216 are read" in refused(path)
    with pytest.raises(UserError, match="at most"):
        read_header(path)


class Malicious:
    """Runs code where pickle is trusted."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('foreign code ran')",)


def test_files_of_other_programs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    torch.save({"weights": Malicious()}, path)
    assert "is a pickle of another program, which is never opened" in refused(path)
    path.write_bytes(pickle.dumps(Malicious()))
    assert "is a pickle of another program" in refused(path)
    path.write_bytes(save({"a": torch.zeros(4)}, metadata={"format": "pt"}))
    assert "was not written by this project: its header names no model" in refused(path)
    path.write_bytes(b"GGUF" + bytes(1000))
    assert "is no file of weights" in refused(path)


ABSURD: dict[str, tuple[str, dict[str, Any]]] = {
    "widths of a million": ("unetddim", {"widths": [1_000_000, 1_000_000]}),
    "wide regression": ("unetddim", {"regression_widths": [1_000_000, 1_000_000]}),
    "widths of 60,000": ("unetddim", {"widths": [60_000, 60_000]}),
    "time": ("unetddim", {"time_dim": 10**15}),
    "many levels": ("unetddim", {"widths": [8] * 100_000}),
    "many dilations": ("resnet", {"dilations": [1] * 100_000}),
    "latent": ("unetvae", {"latent_dim": 10**12}),
    "an encoder of the hub": ("unet", {"encoder": "hf_hub:someone/something"}),
    "a large encoder": ("unet", {"encoder": "convnext_xxlarge"}),
    "a number for a list": ("unet", {"widths": 10**400}),
    "a nested list": ("unet", {"widths": [[[[64]]]]}),
}


@pytest.mark.parametrize("name", ABSURD)
def test_an_architecture_larger_than_the_file_is_never_built(tmp_path: Path, name: str) -> None:
    model_name, change = ABSURD[name]
    model = tiny_model(model_name)
    header = {"model": model_name, "architecture": {**model.architecture, **change}, "epoch": 1}
    path = tmp_path / "w.safetensors"
    path.write_bytes(save(model.state_dict(), metadata={HEADER: json.dumps(header)}))
    assert f"does not fit models/{model_name}" in refused(path, model_name)


def test_a_portable_record_is_checked(tmp_path: Path) -> None:
    model = tiny_model("unet")
    header = {"model": "unet", "architecture": model.architecture, "epoch": 1}
    path = tmp_path / "w.safetensors"
    for portable in ([], {"format_version": 2}, {"seed": -1}, "x" * 1000, 10**30):
        text = json.dumps({**header, "portable": portable})
        path.write_bytes(save(model.state_dict(), metadata={HEADER: text}))
        assert "was not written by this project: portable" in refused(path)
    for settings in ({"a": json.loads("[" * 50 + "]" * 50)}, {"size": 10**9}, {"size": 10**30}, {}):
        export_tiny(path)
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()[HEADER])
        about["portable"]["training"]["settings"] |= settings
        text = json.dumps(about)
        path.write_bytes(save(tiny_model("unet").state_dict(), metadata={HEADER: text}))
        if settings:
            assert "was not written by this project: portable" in refused(path)
        else:
            assert load_weights(path, "unet", CPU).portable is not None
    other = {**header, "model": "../evil"}
    path.write_bytes(save(model.state_dict(), metadata={HEADER: json.dumps(other)}))
    assert "holds weights of ../evil, not of unet" in refused(path)
