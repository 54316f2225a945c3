"""The options that commands share: renamed settings, and the values of `--set`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import main
from benchmark import registry
from benchmark.cli import options
from benchmark.errors import UserError
from benchmark.evaluation import named


def test_old_names_of_settings_keep_working() -> None:
    known: set[str] = set()
    for entry in registry.entries():
        known |= set(registry.load_settings(entry.name).described())
        known |= set(registry.load_model(entry.name).sampling_class.model_fields)
    assert set(options.RENAMED.values()) <= known
    assert not set(options.RENAMED) & known
    for old, new in options.RENAMED.items():
        assert options.parse_assignments([f"{old.replace('_', '-')}=1"]) == {new: 1}


def test_values_of_set_are_split_at_the_first_equals_sign() -> None:
    assert options.parse_assignments(["kl-weight=1", "loss=a=b"]) == {
        "kl_weight": 1,
        "loss": "a=b",
    }
    assert options.parse_assignments(None) == {}
    for wrong in ("widths", "=8"):
        with pytest.raises(UserError, match="key=value"):
            options.parse_assignments([wrong])


def test_a_folder_that_is_called_as_the_sample_is_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert options.explain_sample("cartoon") == "cartoon"
    assert capsys.readouterr().err == ""
    (tmp_path / "cartoon").mkdir()
    assert options.explain_sample("cartoon") == "cartoon"
    assert "is the built-in sample and not the folder cartoon" in capsys.readouterr().err
    for other in ("./cartoon", None):
        assert options.explain_sample(other) == other
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "command",
    [
        "--model unet --mode test --size 64",
        "--model unet --mode test --colorfulness signed",
        "--model unet --lpips-backbone squeeze",
        "inputs out --size 64",
        "score colored --name mine --lpips_backbone squeeze",
    ],
)
def test_what_a_protocol_decides_cannot_be_typed_beside_it(command: str) -> None:
    error = CliRunner().invoke(main.app, [*command.split(), "--protocol", "ade20k-val"]).exception
    assert isinstance(error, UserError)
    assert "is decided by --protocol ade20k-val: leave one of the two out" in str(error)


def test_the_protocols_are_listed() -> None:
    listed = CliRunner().invoke(main.app, ["list", "protocols"]).output
    assert [line.split()[0] for line in listed.splitlines()] == named.names()
