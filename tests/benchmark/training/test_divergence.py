"""A training that diverges is recorded, and starts over with the advised learning rate."""

from pathlib import Path

import pytest

from benchmark.results.folders import RunFolder
from benchmark.results.records import Divergence, read_divergence
from benchmark.training.divergence import note_finite, warning_of
from tests.support import RunCommand, tiny_recipe


def test_a_smaller_learning_rate_starts_a_diverged_run_over(
    run: RunCommand, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "out", "unet", 8000)
    train = ["--model", "unet", "--mode", "train", *options, "--set", "clip=1e30"]
    rate = ["--learning_rate", "1e20"]
    for _ in range(2):  # the same settings start over, too
        code, _, err = run(*train, *rate)
        assert code == 2
        assert "unet diverged in epoch 1 (" in err
        assert "--learning_rate 0.001, which starts this run over." in err
        assert "Traceback" not in err
        assert folder.divergence.is_file()
    assert f"{folder.path} diverged in epoch 1: this run is deleted" in err
    assert "diverged" in run("list", "--results", str(tmp_path / "out"))[1]
    code, _, err = run(*train, "--learning_rate", "0.001")
    assert code == 0, err
    assert not folder.divergence.exists()
    assert folder.cost.is_file()
    # A run that did not diverge is not started over.
    code, _, err = run(*train, *rate)
    assert code == 2
    assert "was begun with learning_rate 0.001 instead of 1e+20" in err


def test_a_finite_divergence_is_told_by_the_untrained_network() -> None:
    settings = tiny_recipe("gan", learning_rate=1.0).settings
    assert warning_of(1.9, 1.0, settings) is None
    assert warning_of(-5.0, -1.0, settings) is None  # a likelihood has any sign
    warning = warning_of(3.0, 1.0, settings)
    assert warning is not None
    assert "the validation loss is 3, and that of the untrained network was 1" in warning
    assert "--learning_rate 0." in warning
    assert "--set discriminator_rate=" in warning


def test_a_divergence_that_stays_finite_is_recorded_while_it_lasts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "unet", 0)
    note_finite(folder, "it diverges", 3, 1)
    note_finite(folder, "it still diverges", 4, 1)
    found = read_divergence(folder.divergence)
    assert found == Divergence(epoch=3, best_epoch=1, reason="it diverges", is_finite=True)
    note_finite(folder, None, 5, 5)
    assert read_divergence(folder.divergence) is None
