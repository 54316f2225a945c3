"""The training loop, except for what test_contract.py tests on every model."""

import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, OnStep
from benchmark.device import make_fabric
from benchmark.errors import Diverged, Interrupted, UserError
from benchmark.randomness import Noise, Randomness
from benchmark.recipe import Batch, Recipe, Update
from benchmark.results.folders import RunFolder
from benchmark.results.records import read_divergence
from benchmark.settings import Settings
from benchmark.training.ema import Average
from benchmark.training.loop import Loop
from benchmark.training.sample_validation import SampleValidation
from benchmark.training.state import TrainingState
from tests.support import blobs, make_loop, training_data


class OneColor(Colorizer):
    """Predicts one learned color everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.color = nn.Parameter(torch.zeros(1, 2, 1, 1))
        self.architecture = {}

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        return self.color.expand(len(lightness), -1, *lightness.shape[2:])


class OneColorSettings(Settings):
    model_class = OneColor


class TwoOptimizers(Recipe[OneColor, OneColorSettings]):
    """Two optimizers, as in a GAN; each loss depends on the parameters of both."""

    def __init__(self, model: OneColor, settings: OneColorSettings) -> None:
        super().__init__(model, settings)
        self.critic = nn.Parameter(torch.ones(1))
        self.gradients: list[tuple[bool, bool]] = []

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "painter": torch.optim.SGD([self.model.color], lr=0.1),
            "critic": torch.optim.SGD([self.critic], lr=0.1),
        }

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        for owner in ("painter", "critic"):
            loss = (self.critic * (self.model.color - 1)).square().sum()
            yield Update(owner, {owner: loss})
            got = (self.model.color.grad is not None, self.critic.grad is not None)
            self.gradients.append(got)
            self.model.color.grad = self.critic.grad = None

    def validate(self, model: OneColor, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        return {"distance": (model.color - 1).square().sum()}


def two_optimizers(folder: Path, **typed: Any) -> Loop:
    """Return a training of OneColor with TwoOptimizers, two steps an epoch."""
    chosen = {"epochs": 2, **typed}
    settings = OneColorSettings(batch_size=4, size=32, precision="32", **chosen)
    model = OneColor()
    recipe = TwoOptimizers(model, settings)
    data = training_data(blobs(8, 32))
    run = RunFolder(folder, "one_color", 0)
    return Loop(run, "one_color", model, recipe, data, make_fabric("cpu", "32"))


def test_an_update_changes_only_the_parameters_of_its_optimizer(tmp_path: Path) -> None:
    loop = two_optimizers(tmp_path)
    loop.run("disabled")
    assert loop.recipe.gradients == [(True, False), (False, True)] * 4
    assert (loop.model.color != 0).all()  # type: ignore[operator]
    assert loop.recipe.critic != 1


def test_a_loss_that_is_not_finite_is_reported_with_the_remedy(tmp_path: Path) -> None:
    loop = two_optimizers(tmp_path)
    with torch.no_grad():
        loop.recipe.critic.fill_(torch.inf)
    with pytest.raises(
        UserError, match=r"smaller learning rate, for example with --learning_rate 0\.0001"
    ):
        loop.run("disabled")


@pytest.mark.parametrize(("value", "said"), [("nan", "is nan"), ("1e6", r"is 1e\+06, beyond 2e")])
def test_a_training_stops_at_the_step_whose_loss_is_none(
    tmp_path: Path, value: str, said: str
) -> None:
    """The state before it stays, and the batch is named."""
    loop = two_optimizers(tmp_path, epochs=4)
    updates = loop.recipe.updates

    def explode(batch: Batch, rng: Randomness) -> Iterator[Update]:
        for update in updates(batch, rng):
            losses = update.losses
            if loop.step == 4:
                losses = {key: loss * 0 + float(value) for key, loss in losses.items()}
            yield Update(update.optimizer, losses)

    loop.recipe.updates = explode  # type: ignore[method-assign]
    loop.timer.is_due = lambda *_: True  # type: ignore[method-assign]
    with pytest.raises(Diverged, match=f"diverged in step 5, in epoch 3 .the loss painter {said}"):
        loop.run("disabled")
    assert loop.step == 5
    found = read_divergence(loop.folder.divergence)
    assert found is not None
    assert (found.step, found.epoch, found.is_finite) == (5, 3, False)
    assert found.images == loop.batches.names(4)
    assert len({*found.images, *loop.batches.names(5)}) == 8
    assert TrainingState.load(loop.folder.state).step == 4


def test_no_state_of_weights_that_are_none_is_saved(tmp_path: Path) -> None:
    loop = two_optimizers(tmp_path)
    take_step = loop.take_step

    def spoil() -> None:
        take_step()
        with torch.no_grad():
            loop.recipe.critic.fill_(torch.nan)

    loop.take_step = spoil  # type: ignore[method-assign]
    loop.timer.is_due = lambda *_: True  # type: ignore[method-assign]
    with pytest.raises(Diverged, match="the weights critic are not finite"):
        loop.run("disabled")
    assert TrainingState.load(loop.folder.state).step == 0


def test_the_decay_of_the_average_warms_up() -> None:
    """The decay is min(d, (1 + n) / (10 + n)), tested on a weight that equals the step."""
    model = OneColor()
    average = Average(model, decay=0.5)
    expected = 0.0
    for n in range(1, 20):
        with torch.no_grad():
            model.color.fill_(float(n))
        average.update(model)
        decay = min(0.5, n / (9 + n))
        expected = float(n) if n == 1 else decay * expected + (1 - decay) * n
        assert float(average.model.color[0, 0]) == pytest.approx(expected)  # type: ignore[index]


def test_a_size_that_is_no_multiple_of_the_divisor_is_rounded_down(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, "unet", training_data(blobs(8, 45)), size=43)
    assert loop.side % loop.model.size_divisor == 0
    loop.run("disabled")
    with pytest.raises(UserError, match="needs at least"):
        make_loop(tmp_path, "unet", training_data(blobs(8, 45)), size=43, widths=[8, 8, 8, 8, 8, 8])


def test_file_names_of_kept_epochs_sort_by_number(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, "unet", training_data(blobs(8, 32)), epochs=3, save_every=1)
    loop.run("disabled")
    names = sorted(path.stem for path in loop.folder.weights.iterdir())
    assert names == ["best", "epoch_0001", "epoch_0002", "epoch_0003", "last"]


def test_a_model_that_samples_is_selected_by_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loss, which keeps falling, is ignored, and images are not scored in every epoch."""
    divergences = iter([0.5, 0.3, 0.1, 0.2, 0.4, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2])
    monkeypatch.setattr(
        SampleValidation, "scores", lambda *_: {"lpips": 0.1, "ab_divergence": next(divergences)}
    )
    loop = two_optimizers(tmp_path, epochs=20)
    loop.recipe.select_best_by = "images"  # type: ignore[misc]
    loop.run("disabled")
    rows = [json.loads(line) for line in loop.folder.history.read_text().splitlines()]
    validated = [row["epoch"] for row in rows if "val/lpips" in row]
    assert validated == [1, *range(2, 21, 2)]
    assert loop.best_epoch == 4
    assert rows[-1]["val/distance"] < rows[3]["val/distance"]


@pytest.mark.parametrize("selection", ["loss", "images"])
def test_a_training_without_improvement_stops_early_and_is_finished(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    selection: str,
) -> None:
    values = {2: 0.1, 3: 0.3}

    def train(patience: int) -> Loop:
        loop = two_optimizers(tmp_path, epochs=20, patience=patience)
        loop.begun = {}
        loop.recipe.select_best_by = selection  # type: ignore[misc]
        value = lambda *_: values.get(loop.epoch + 1 if loop.step else 0, 0.5)  # noqa: E731
        if selection == "loss":
            loop._validate = lambda: {"val/distance": value()}  # type: ignore[method-assign]
        scores = lambda *_: {"ab_divergence": value()}  # noqa: E731
        monkeypatch.setattr(SampleValidation, "scores", scores)
        loop.run("disabled")
        return loop

    loop = train(3)
    # Images are sampled in every second epoch.
    end = 5 if selection == "loss" else 6
    assert (loop.closed_epochs, loop.best_epoch) == (end, 2)
    assert f"one_color stops after epoch {end}, since" in capsys.readouterr().err
    assert json.loads(loop.folder.cost.read_text())["epochs"] == end
    assert {path.stem for path in loop.folder.weights.iterdir()} == {"best", "last"}
    state = loop.folder.state.read_bytes()
    assert train(3).closed_epochs == end
    assert "already trained" in capsys.readouterr().err
    assert loop.folder.state.read_bytes() == state
    assert train(8).closed_epochs == 10  # goes on


def test_the_latest_weights_are_kept_by_number(tmp_path: Path) -> None:
    loop = two_optimizers(tmp_path, epochs=4, save_every=1, keep=2)
    loop.folder.weights.mkdir(parents=True)
    for epoch in (10000, 9999):
        loop.folder.weights_file(epoch).touch()
    loop.folder.keep_epochs(1)
    assert loop.folder.available_weights() == ["epoch_10000"]
    loop.folder.weights_file(10000).unlink()
    loop.run("disabled")
    assert loop.folder.available_weights() == ["best", "last", "epoch_0003", "epoch_0004"]


def test_a_training_may_end_within_an_epoch(tmp_path: Path) -> None:
    loop = two_optimizers(tmp_path, max_steps=3)
    loop.run("disabled")
    assert (loop.steps_per_epoch, loop.step, loop.epochs) == (2, 3, 2)
    assert {path.stem for path in loop.folder.weights.iterdir()} == {"best", "last"}


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(UserError, match="tpu"):
        make_fabric("tpu", "32")
    with pytest.raises(UserError, match="needs a GPU"):
        make_fabric("cpu", "16")
    if not torch.cuda.is_available():
        for device in ("cuda", "0"):
            with pytest.raises(UserError, match="no CUDA device"):
                make_fabric(device, "32")


@pytest.mark.parametrize("name", ["unet", "gan"])
def test_accumulated_batches_equal_one_large_batch(tmp_path: Path, name: str) -> None:
    """Images, crops and gradients are the same, so the losses of later steps are the same."""
    data = training_data(blobs(24, 36))
    losses = []
    for batch_size, accumulate in ((12, 1), (4, 3)):
        loop = make_loop(
            tmp_path / str(accumulate), name, data, epochs=3,
            batch_size=batch_size, accumulate=accumulate,
        )  # fmt: skip
        assert (loop.images_per_step, loop.total) == (12, 6)
        loop.run("disabled")
        rows = loop.folder.history.read_text().splitlines()
        losses.append(json.loads(rows[-1]))
    assert losses[0]["train/color"] < 0.9 * json.loads(rows[0])["train/color"]
    for key, value in losses[0].items():
        if key.startswith("train/"):
            assert losses[1][key] == pytest.approx(value, rel=5e-3, abs=1e-5), key


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this platform has no SIGHUP")
def test_the_end_of_the_terminal_saves_like_ctrl_c_unless_it_is_ignored(tmp_path: Path) -> None:
    previous = signal.getsignal(signal.SIGHUP)
    try:
        for handler in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(signal.SIGHUP, handler)
            loop = two_optimizers(tmp_path / handler.name)
            take_step = loop.take_step

            def hang_up(loop: Loop = loop, take_step: Any = take_step) -> None:
                take_step()
                if loop.step == 0:
                    signal.raise_signal(signal.SIGHUP)

            loop.take_step = hang_up  # type: ignore[method-assign]
            if handler is signal.SIG_DFL:
                with pytest.raises(Interrupted):
                    loop.run("disabled")
                assert TrainingState.load(loop.folder.state).step == 1
            else:  # as under nohup
                loop.run("disabled")
                assert loop.folder.cost.is_file()
            assert signal.getsignal(signal.SIGHUP) is handler
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_states_are_saved_so_often_that_little_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step and every end of an epoch takes 20 seconds of this clock."""
    clock = [0.0]
    loop = two_optimizers(tmp_path, epochs=4)
    take_step, close, save = loop.take_step, loop._close_epoch, loop._save
    saved: list[float] = []
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def slow(call: Any) -> Any:
        def called() -> Any:
            clock[0] += 20
            return call()

        return called

    def note() -> None:
        saved.append(clock[0])
        save()

    loop.take_step = slow(take_step)  # type: ignore[method-assign]
    loop._close_epoch = slow(close)  # type: ignore[method-assign]
    loop._save = note  # type: ignore[method-assign]
    loop.run("disabled")
    assert saved[0] == 0
    assert max(after - before for before, after in itertools.pairwise(saved)) <= 60
