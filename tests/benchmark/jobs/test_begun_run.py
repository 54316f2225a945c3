"""A run goes on after its program has other settings, and with more epochs."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.checkpoints import load_state, save_state
from benchmark.files import sha256_of_json
from benchmark.results.folders import RunFolder
from benchmark.results.history import read_history
from benchmark.results.records import TrainingRecord, read_cost
from benchmark.results.schema import read_record
from tests.support import RunCommand

TRAIN = ["--model", "unet", "--mode", "train"]


@pytest.fixture
def begun(run: RunCommand, options: list[str], tmp_path: Path) -> RunFolder:
    """A finished run of one epoch."""
    assert run(*TRAIN, *options)[0] == 0
    return RunFolder(tmp_path / "out", "unet", 8000)


def edit(folder: RunFolder, change: Any) -> None:
    """Change what settings.json says, as if another version had written it."""
    values = json.loads(folder.settings.read_text())
    change(values)
    folder.settings.write_text(json.dumps(values))


def test_a_run_of_an_older_version_takes_the_defaults_of_new_settings(
    run: RunCommand, options: list[str], begun: RunFolder
) -> None:
    new = ("clip", "drop_near_copies", "blocks")

    def older(values: dict[str, Any]) -> None:
        for name in new:
            del values["settings"][name], values["sources"][name]

    edit(begun, older)
    # The state of that version belongs to the settings that it had.
    state, finished = begun.state.read_bytes(), begun.settings.read_text()
    record = read_record(begun.settings, TrainingRecord)
    edit_identity(begun, record)
    code, _, err = run(*TRAIN, *options)
    assert code == 0, err
    assert "now at their defaults: clip 1.0; drop_near_copies True; blocks 2." in err
    assert f"{begun.path} is already trained" in err
    assert begun.settings.read_text() == finished  # its tests say the same
    for typed, was in (("clip=2", "clip 1.0 instead of 2"), ("blocks=1", "blocks 2 instead of 1")):
        code, _, err = run(*TRAIN, *options, "--set", typed)
        assert (code, f"was begun with {was}" in err) == (2, True), err
    code, _, err = run(*TRAIN, *options, "--set", "drop_near_copies=false", "--epochs", "2")
    assert code == 0, err
    assert "resumed at step" in err
    now = read_record(begun.settings, TrainingRecord)
    assert now.settings.keys() > {*new}
    assert now.begun == record.settings
    assert begun.state.read_bytes() != state
    code, _, err = run(*TRAIN, *options, "--set", "drop_near_copies=false", "--epochs", "2")
    assert (code, "is already trained: 2 epochs" in err) == (0, True), err


def edit_identity(folder: RunFolder, record: TrainingRecord) -> None:
    """Give the state of a run the identity that a version with the recorded settings wrote."""
    manifest = record.training_data.manifest
    identity = sha256_of_json([record.model, record.settings, manifest])
    save_state(folder.state, {**load_state(folder.state), "identity": identity})


def test_a_setting_that_is_gone_is_refused_unless_it_had_its_default(
    run: RunCommand, options: list[str], begun: RunFolder
) -> None:
    def gone(source: str) -> None:
        edit(begun, lambda values: values["settings"].update(sharpness=3))
        edit(begun, lambda values: values["sources"].update(sharpness=source))
        edit_identity(begun, read_record(begun.settings, TrainingRecord))

    gone("typed")
    code, _, err = run(*TRAIN, *options)
    assert code == 2
    assert "was begun with sharpness 3, a setting that this version" in err
    gone("unet's default")
    code, _, err = run(*TRAIN, *options)
    assert code == 0, err
    assert "had the defaults of settings that are no more: sharpness." in err


def test_more_epochs_extend_a_finished_run_and_fewer_are_refused(
    run: RunCommand, options: list[str], begun: RunFolder
) -> None:
    code, _, err = run(*TRAIN, *options, "--epochs", "3")
    assert code == 0, err
    assert "goes on with epochs 3 instead of 1: the schedule of the learning rate is that" in err
    cost = read_cost(begun.cost)
    assert cost is not None
    assert cost.epochs == len(read_history(begun.history)) == 3
    code, _, err = run(*TRAIN, *options, "--epochs", "2")
    assert code == 2
    assert "was begun with epochs 3 instead of 2" in err
    code, _, err = run(*TRAIN, *options, "--epochs", "3", "--set", "max_steps=2")
    assert code == 2
    assert "max_steps 0 instead of 2" in err
    code, _, err = run(*TRAIN, *options, "--epochs", "3")
    assert (code, "is already trained: 3 epochs" in err) == (0, True)


@pytest.mark.parametrize("value", ["10", float("nan"), None, [1]])
def test_an_edited_number_of_epochs_is_refused_in_one_sentence(
    run: RunCommand, options: list[str], begun: RunFolder, value: Any
) -> None:
    edit(begun, lambda values: values["settings"].update(epochs=value))
    code, _, err = run(*TRAIN, *options)
    assert (code, "Traceback" in err) == (2, False), err
    assert f"{begun.path} was begun with " in err
