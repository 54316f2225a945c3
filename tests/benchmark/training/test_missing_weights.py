"""Weights that were deleted are written again, byte for byte, or their loss is reported."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.checkpoints import load_weights
from benchmark.errors import Interrupted
from benchmark.training.loop import Loop
from tests.support import blobs, make_loop, training_data


def make(folder: Path, **typed: Any) -> Loop:
    return make_loop(folder, "unet", training_data(blobs(8, 32)), **{"epochs": 3, **typed})


def train(folder: Path, best_epoch: int, **typed: Any) -> dict[str, bytes]:
    """Train to the end, with the best weights in that epoch. Returns the files of weights."""
    loop = make(folder, **typed)
    losses = iter([9.0, *(abs(epoch - best_epoch) + 1.0 for epoch in (1, 2, 3))])
    loop._validate = lambda: {"val/color": next(losses)}  # type: ignore[method-assign]
    loop.run("disabled")
    assert loop.best_epoch == best_epoch
    return contents(loop)


def contents(loop: Loop) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in loop.folder.weights.iterdir()}


@pytest.mark.parametrize(("best_epoch", "save_every"), [(3, 0), (2, 1)])
def test_a_finished_run_gets_its_weights_again(
    tmp_path: Path, best_epoch: int, save_every: int
) -> None:
    before = train(tmp_path, best_epoch, save_every=save_every)
    loop = make(tmp_path, save_every=save_every)
    for names in (["best"], ["last"], ["best", "last"]):
        for name in names:
            loop.folder.weights_file(name).unlink()
        make(tmp_path, save_every=save_every).run("disabled")
        assert contents(loop) == before


def test_best_weights_that_are_lost_are_reported_with_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, 2)
    loop = make(tmp_path)
    for path in loop.folder.weights.iterdir():
        path.unlink()
    loop.run("disabled")
    assert loop.folder.available_weights() == ["last"]
    assert (
        "best.safetensors is missing, and the weights of epoch 2 are lost: test with --weights"
        in (capsys.readouterr().err)
    )


def test_a_resumed_training_without_its_best_weights_ends_with_some(tmp_path: Path) -> None:
    loop = make(tmp_path, epochs=3)
    losses = iter([9.0, 1.0, 2.0, 3.0])
    loop._validate = lambda: {"val/color": next(losses)}  # type: ignore[method-assign]
    close = loop._close_epoch

    def stop_after_the_second() -> Any:
        row = close()
        if loop.epoch == 1:
            loop.closed_epochs = 2
            loop._save()
            raise Interrupted
        return row

    loop._close_epoch = stop_after_the_second  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        loop.run("disabled")
    loop.folder.weights_file("best").unlink()
    again = make(tmp_path, epochs=3)
    again.run("disabled")
    assert again.best_epoch == 3
    best = load_weights(again.folder.weights_file("best"), "unet", again.device)
    assert best.epoch == 3
