"""The loop, apart from what the contract tests see of it on every model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.colorizer import Colorizer, OnStep
from benchmark.device import make_fabric
from benchmark.errors import UserError
from benchmark.randomness import Noise, Randomness
from benchmark.recipe import Batch, Recipe, Update
from benchmark.results.folders import RunFolder
from benchmark.settings import Settings
from benchmark.training.ema import Average
from benchmark.training.loop import Loop, rate_at
from benchmark.training.sample_validation import SampleValidation
from tests.support import blobs, make_loop, training_data


class Two(Colorizer):
    """A color and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.color = nn.Parameter(torch.zeros(1, 2, 1, 1))
        self.architecture = {}

    def predict(
        self, lightness: Tensor, *, noise: Noise, sampling: Any, on_step: OnStep | None
    ) -> Tensor:
        return self.color.expand(len(lightness), -1, *lightness.shape[2:])


class TwoSettings(Settings):
    model_class = Two


class Rivals(Recipe[Two, TwoSettings]):
    """Two optimizers, as in a GAN; each loss depends on what both own."""

    def __init__(self, model: Two, settings: TwoSettings) -> None:
        super().__init__(model, settings)
        self.score_outputs = nn.Parameter(torch.ones(1))
        self.gradients: list[tuple[bool, bool]] = []

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "painter": torch.optim.SGD([self.model.color], lr=0.1),
            "judge": torch.optim.SGD([self.score_outputs], lr=0.1),
        }

    def updates(self, batch: Batch, rng: Randomness) -> Iterator[Update]:
        for owner in ("painter", "judge"):
            loss = (self.score_outputs * (self.model.color - 1)).square().sum()
            yield Update(owner, {owner: loss})
            got = (self.model.color.grad is not None, self.score_outputs.grad is not None)
            self.gradients.append(got)
            self.model.color.grad = self.score_outputs.grad = None

    def validate(self, model: Two, batch: Batch, rng: Randomness) -> dict[str, Tensor]:
        return {"distance": (model.color - 1).square().sum()}


def rivals(folder: Path, **typed: Any) -> Loop:
    chosen = {"epochs": 2, **typed}
    settings = TwoSettings(batch_size=4, size=32, precision="32", **chosen)
    model = Two()
    recipe = Rivals(model, settings)
    data = training_data(blobs(8, 32))
    run = RunFolder(folder, "two", 0)
    return Loop(run, "two", model, recipe, data, make_fabric("cpu", "32"))


def test_an_update_reaches_only_what_its_optimizer_owns(tmp_path: Path) -> None:
    loop = rivals(tmp_path)
    loop.run("disabled")
    assert loop.recipe.gradients == [(True, False), (False, True)] * 4
    assert (loop.model.color != 0).all()  # type: ignore[operator]
    assert loop.recipe.score_outputs != 1


def test_a_loss_that_is_not_a_number_says_what_to_do(tmp_path: Path) -> None:
    loop = rivals(tmp_path)
    with torch.no_grad():
        loop.recipe.score_outputs.fill_(torch.inf)
    with pytest.raises(UserError, match="smaller learning_rate"):
        loop.run("disabled")


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    rates = [rate_at(share / 1000, 0.1) for share in range(1001)]
    assert rates[0] == 0
    assert max(rates) == rates[100] == 1
    assert rates[1000] == pytest.approx(0)
    assert rates[550] == pytest.approx(0.5)
    assert rate_at(1.0, 1.0) == 1.0


def test_the_average_warms_up_as_written() -> None:
    """min(d, (1 + n) / (10 + n)) on a weight that counts."""
    model = Two()
    average = Average(model, decay=0.5)
    expected = 0.0
    for n in range(1, 20):
        with torch.no_grad():
            model.color.fill_(float(n))
        average.update(model)
        decay = min(0.5, n / (9 + n))
        expected = float(n) if n == 1 else decay * expected + (1 - decay) * n
        assert float(average.model.color[0, 0]) == pytest.approx(expected)  # type: ignore[index]


def test_a_size_that_the_network_cannot_work_on_is_rounded_down(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, "unet", training_data(blobs(8, 45)), size=43)
    assert loop.side % loop.model.size_divisor == 0
    loop.run("disabled")
    with pytest.raises(UserError, match="needs at least"):
        make_loop(tmp_path, "unet", training_data(blobs(8, 45)), size=43, widths=[8, 8, 8, 8, 8, 8])


def test_kept_epochs_sort_as_numbers(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, "unet", training_data(blobs(8, 32)), epochs=3, save_every=1)
    loop.run("disabled")
    names = sorted(path.stem for path in loop.folder.weights.iterdir())
    assert names == ["best", "epoch_0001", "epoch_0002", "epoch_0003", "last"]


def test_a_model_that_samples_is_judged_by_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by its loss, which falls all the while; and not in every epoch."""
    divergences = iter([0.5, 0.3, 0.1, 0.2, 0.4, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2])
    monkeypatch.setattr(
        SampleValidation, "scores", lambda *_: {"lpips": 0.1, "ab_divergence": next(divergences)}
    )
    loop = rivals(tmp_path, epochs=20)
    loop.recipe.select_best_by = "images"  # type: ignore[misc]
    loop.run("disabled")
    rows = [json.loads(line) for line in loop.folder.history.read_text().splitlines()]
    validated = [row["epoch"] for row in rows if "val/lpips" in row]
    assert validated == [1, *range(2, 21, 2)]
    assert loop.best_epoch == 4
    assert rows[-1]["val/distance"] < rows[3]["val/distance"]


def test_a_training_may_end_within_an_epoch(tmp_path: Path) -> None:
    loop = rivals(tmp_path, max_steps=3)
    loop.run("disabled")
    assert (loop.steps_per_epoch, loop.step, loop.epochs) == (2, 3, 2)
    assert {path.stem for path in loop.folder.weights.iterdir()} == {"best", "last"}


def test_unknown_devices_are_user_errors() -> None:
    with pytest.raises(UserError, match="tpu"):
        make_fabric("tpu", "32")
    with pytest.raises(UserError, match="needs a GPU"):
        make_fabric("cpu", "16")
    if not torch.cuda.is_available():
        for device in ("cuda", "0"):
            with pytest.raises(UserError, match="no CUDA device"):
                make_fabric(device, "32")


@pytest.mark.parametrize("name", ["unet", "gan"])
def test_accumulated_batches_are_one_large_batch(tmp_path: Path, name: str) -> None:
    """The same images, cuts and gradients, hence the same losses at the steps that follow."""
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
            assert losses[1][key] == pytest.approx(value, rel=2e-3, abs=1e-5), key
