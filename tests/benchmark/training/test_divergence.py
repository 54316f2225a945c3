"""A training that diverges is recorded, and starts over with the advised learning rate."""

from pathlib import Path

import pytest

from benchmark.errors import Diverged
from benchmark.results.folders import RunFolder
from benchmark.results.history import read_history
from benchmark.results.records import Divergence, RunRecord, TrainingRecord, read_divergence
from benchmark.results.schema import read_record
from benchmark.training.divergence import note_finite, warning_of
from benchmark.training.loss_watch import LossWatch
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
        assert "unet diverged in step 2, in epoch 1 (the " in err
        assert "--learning_rate 0.001, which starts this run over, or go back" in err
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


def test_a_diverged_training_goes_back_with_half_of_the_rate_and_says_so(
    run: RunCommand, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only as often as was asked for, over all commands together."""
    folder = RunFolder(tmp_path / "out", "unet", 8000)
    train = ["--model", "unet", *options, "--epochs", "2", "--set", "warmup=0"]
    read = LossWatch.read
    left = 2

    def diverge(watch: LossWatch) -> None:
        nonlocal left
        if left and len(watch._unread) and watch._unread[0][0] == 3:
            left -= 1
            raise Diverged("the loss color is nan", 3)
        read(watch)

    monkeypatch.setattr(LossWatch, "read", diverge)
    code, _, err = run(*train, "--retry_diverged", "1")
    assert code == 2
    assert "goes back to its last good state, with 1/2 of the learning rate." in err
    assert (
        err.count("unet diverged in step 4, in epoch 2 (the loss color is nan; its images: ") == 2
    )
    record = read_record(folder.settings, TrainingRecord)
    assert [retry.step for retry in record.retries] == [4]
    assert folder.divergence.is_file()
    code, out, err = run(*train, "--retry_diverged", "2")
    assert code == 0, err
    assert "with 1/4 of the learning rate." in err
    assert "resumed at step" in err
    assert not folder.divergence.exists()
    rates = [row["learning_rate"] for row in read_history(folder.history)]
    # Of the cosine, the rate of the second step of four, and of the last.
    assert rates == pytest.approx([0.001 * 0.5, 0.0])
    (test,) = folder.finished_tests()
    cost = read_record(test.record, RunRecord).cost
    assert cost is not None
    assert cost.learning_rate_halved == 2
    note = "The training of unet diverged and went back to its last good state with half of the"
    assert f"{note} learning rate, 2 times." in out
    table = (tmp_path / "out" / "leaderboard.csv").read_text().splitlines()
    assert table[0].endswith(",learning_rate_halved")
    assert run("verify", "unet", "--results", str(tmp_path / "out"))[0] == 0


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
