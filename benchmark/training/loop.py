"""The training loop of all models: device, precision, averaging, schedule, checkpoints, progress.

The objective belongs to the recipe (models/<name>/train.py). Every random draw is a function of the
seed and the step, so a training that was interrupted and resumed ends with the same weights as one
that was not (on a CPU to the bit; GPU kernels may sum in another order).
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from benchmark.checkpoints import save_weights, state_error
from benchmark.colorizer import Colorizer
from benchmark.console import info
from benchmark.data.augmentation import validation_squares
from benchmark.data.loading import TrainingData
from benchmark.device import memory_format, start_peak
from benchmark.errors import Diverged, Interrupted, UserError
from benchmark.figures.curves import save_loss_curve
from benchmark.files import sha256_of_json
from benchmark.metrics.table import MetricSuite
from benchmark.randomness import Randomness, derive_seed
from benchmark.recipe import Batch, Recipe, Update
from benchmark.results.folders import RunFolder
from benchmark.results.records import TrainingRecord
from benchmark.settings import Settings
from benchmark.training.batches import Batches
from benchmark.training.compiling import with_compiled
from benchmark.training.cost import write_cost
from benchmark.training.divergence import (
    note_finite,
    record_divergence,
    require_finite,
    warning_of,
)
from benchmark.training.ema import Average
from benchmark.training.loss_watch import LossWatch
from benchmark.training.missing_weights import rewrite_missing
from benchmark.training.patience import has_run_out, print_early_end
from benchmark.training.pretrained import require_loaded
from benchmark.training.sample_validation import SampleValidation
from benchmark.training.schedule import rate_at, total_steps
from benchmark.training.state import TrainingState, tensors_of
from benchmark.training.state_timer import StateTimer
from benchmark.training.stopping import stop_requested
from benchmark.training.tracking import Tracker, WandbMode, print_epoch
from benchmark.training.validation import save_preview, validation_losses

VALIDATIONS_PER_RUN = 10
"""How often in a training validation images are sampled, scored and drawn."""


class Loop:
    """One training of one model into one folder, from its start or from where it stopped.

    name: of the model, saved with its weights. suite: for recipes whose weights are selected by
    sampled images. Raises UserError if the images are smaller than the network can take.
    """

    def __init__(
        self,
        folder: RunFolder,
        name: str,
        model: Colorizer,
        recipe: Recipe[Any, Any],
        data: TrainingData,
        fabric: Fabric,
        suite: MetricSuite | None = None,
    ) -> None:
        require_loaded(model)
        self.folder, self.name, self.data, self.fabric = folder, name, data, fabric
        self.settings: Settings = recipe.settings
        self.begun = self.settings.flat()  # the settings when the run was begun
        self.device, self.memory_format = fabric.device, memory_format(fabric.device)
        self.recipe = recipe.to(self.device).to(memory_format=self.memory_format)
        self.model = model
        self.average = Average(model, self.settings.ema_decay)
        # Typed as the optimizers they wrap: Fabric's type hides param_groups from mypy.
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            key: cast(torch.optim.Optimizer, fabric.setup_optimizers(optimizer))
            for key, optimizer in recipe.optimizers().items()
        }
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["full_rate"] = group["lr"]
        # Training needs no padding if the sides of its squares are multiples of size_divisor.
        self.side = self.settings.size // model.size_divisor * model.size_divisor
        if not self.side:
            raise UserError(
                f"--size {self.settings.size}: {name} needs at least {model.size_divisor}."
            )
        self.batches = Batches(data.train, self.settings, self.side, self.device)
        self.images_per_step = self.batches.images_per_step
        self.steps_per_epoch = self.batches.steps_per_epoch
        self.val_pixels = validation_squares(data.val.rgb8, self.side, self.settings.degrade)
        self.sample_validation = SampleValidation(self.val_pixels, suite or MetricSuite())
        self.total = total_steps(
            self.settings.epochs, self.settings.max_steps, self.steps_per_epoch
        )
        self.epochs = math.ceil(self.total / self.steps_per_epoch)  # the last one may be cut short
        self.step, self.epoch, self.seconds = 0, 0, 0.0
        self.closed_epochs, self.finished = 0, False  # epochs that are validated and recorded
        self.timer, self.watch = StateTimer(), LossWatch(self.device)
        self.halved = 0  # how often a divergence has halved the learning rate
        self.untrained = math.nan  # the validation loss before the first step
        self.best, self.best_epoch = math.inf, 0
        self.sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        self.counts: dict[str, int] = defaultdict(int)
        self.seconds_to_close = math.inf  # of the last epoch's end; of the first unknown

    def take_over(self, record: TrainingRecord) -> None:
        """Take over how the run was begun, and how often a divergence has halved its rate."""
        self.begun = record.begun or record.settings
        self.halved = len(record.retries)

    # ---- the loop ----------------------------------------------------------------------------

    def run(self, wandb_mode: WandbMode, compiled: bool = False) -> None:
        """Train to the end.

        Raises Interrupted, with the state saved, if the user stops it, and Diverged if the numbers
        are not finite any more, which the run's folder then records.
        """
        self.next_step = with_compiled(self.model, self.take_step) if compiled else self.take_step
        self.counts_memory = start_peak(self.device)
        if self.folder.state.exists():
            self._resume()
        if self.finished:
            early = ", its patience has run out" if self.closed_epochs < self.epochs else ""
            info(f"{self.folder.path} is already trained: {self.closed_epochs} epochs{early}.")
            return
        self.folder.cost.unlink(missing_ok=True)  # the training is not finished any more
        settings = self.settings.model_dump(mode="json")
        with (
            Tracker(self.folder, wandb_mode, settings, self.closed_epochs + 1) as tracker,
            stop_requested() as stop,
            tqdm(total=self.total, initial=self.step, unit="step", disable=None) as bar,
        ):
            self.timer.start()
            try:
                self._train(tracker, bar, stop)
            except Diverged as error:
                images = [] if error.step is None else self.batches.names(error.step)
                place = (self.epoch + 1, self.best_epoch, images)
                raise record_divergence(
                    self.folder, self.name, self.settings, error, *place
                ) from error

    def _train(self, tracker: Tracker, bar: "tqdm[Any]", stop: list[int]) -> None:
        if not self.step:
            loss = self._first_loss(self._validate())
            self.untrained = self.watch.untrained = loss if math.isfinite(loss) else math.inf
            self._save()  # a full disk is noticed now, and there always is a good state
        while not self.finished:
            self.epoch = self.closed_epochs
            bar.set_description(f"{self.name} {self.epoch + 1}/{self.epochs}")
            if self._train_epoch(bar, stop):
                if self.timer.is_due(self.seconds_to_close):
                    self._save()
                before = time.monotonic()
                tracker.record(self._close_epoch())
                self.closed_epochs += 1
                self.seconds_to_close = time.monotonic() - before
            if self.finished:
                # Before the last state is saved: once it says finished, nothing is missing.
                save_loss_curve(self.folder.loss_curve, tracker.rows, self.folder.run)
                self._write_cost()
            elif stop:
                self._save()
                position = f"step {self.step} of {self.total}"
                raise Interrupted(f"Stopped and saved at {position}; run it again to resume.")
            if self.finished or self.timer.is_due():
                self._save()

    def _train_epoch(self, bar: "tqdm[Any]", stop: list[int]) -> bool:
        """Train the rest of an epoch from `self.step` on; False if stopped before its end."""
        # Sampling validation images sets eval mode; the next steps must not train in it.
        self.recipe.train()
        before = time.monotonic()
        end = min((self.epoch + 1) * self.steps_per_epoch, self.total)
        while self.step < end:
            self.next_step()
            self.step += 1
            if self.step % self.watch.every == 0:
                self.watch.read()
            bar.update()
            if not bar.disable and self.step % 10 == 0:  # reading a loss waits for the device
                losses = {key: float(total / self.counts[key]) for key, total in self.sums.items()}
                rate = self.images_per_step * (bar.format_dict["rate"] or 0)
                bar.set_postfix({**losses, "images/s": f"{rate:.0f}"})
            if stop:
                break
            if self.step < end and self.timer.is_due():
                self.seconds += time.monotonic() - before
                self._save()
                before = time.monotonic()
        self.seconds += time.monotonic() - before
        return self.step == end

    def take_step(self) -> None:
        """Take one step of the optimizers on the next images; `step` counts the steps taken."""
        settings = self.settings
        torch.manual_seed(derive_seed(settings.seed, "layers", self.step))  # for dropout
        rate = rate_at((self.step + 1) / self.total, settings.warmup) / 2**self.halved
        parts = self.batches.batches_per_step
        shares = [
            Randomness(settings.seed, self.step, self.device, (index, parts))
            for index in range(parts)
        ]
        # All batches advance together, so that the second update sees the first one's step.
        batches = [
            Batch(self.batches.draw(self.step, rng), self.step / self.total) for rng in shares
        ]
        running = [self.recipe.updates(*pair) for pair in zip(batches, shares, strict=True)]
        while (name := self._add_up_gradients(running)) is not None:
            optimizer = self.optimizers[name]
            for group in optimizer.param_groups:
                group["lr"] = group["full_rate"] * rate
            # Not an error: fp16 overflows now and then, and its scaler skips that step.
            self.fabric.clip_gradients(
                self.recipe, optimizer, max_norm=settings.clip, error_if_nonfinite=False
            )
            optimizer.step()
        self.average.update(self.model)

    def _add_up_gradients(self, running: Sequence[Iterator[Update]]) -> str | None:
        """Accumulate the gradients of every batch's next update.

        Returns the name of their optimizer, or None after the last update.
        """
        name = None
        for updates in running:
            with self.fabric.autocast():
                update = next(updates, None)
            if update is None:
                continue
            optimizer = self.optimizers[update.optimizer]
            if name is None:
                optimizer.zero_grad()
            name = update.optimizer
            owned = [p for group in optimizer.param_groups for p in group["params"]]
            loss = torch.stack(list(update.losses.values())).sum() / len(running)
            # `inputs` keeps gradients from the parameters that other optimizers own.
            self.fabric.backward(loss, inputs=owned)
            for key, value in update.losses.items():
                self.watch.add(self.step, key, value)
                self.sums[key] += value.detach()
                self.counts[key] += 1
        return name

    # ---- the end of an epoch -----------------------------------------------------------------

    def _close_epoch(self) -> dict[str, Any]:
        """Validate, save weights, draw a preview; returns the row for the history."""
        self.watch.read()
        train = {
            f"train/{key}": float(total / self.counts[key]) for key, total in self.sums.items()
        }
        self.sums.clear()
        self.counts.clear()
        val = self._validate()
        epoch = self.epoch + 1
        require_finite(train | val)  # before images are sampled, which would fail
        score = loss = self._first_loss(val)
        due = self._samples_are_due(epoch)
        if self.recipe.select_best_by == "images":
            scores = self.sample_validation.scores(self.average.model, self.device) if due else {}
            score = SampleValidation.selection_score(scores) if due else math.inf
            val |= {f"val/{key}": value for key, value in scores.items()}
            require_finite(val)
        if score < self.best:
            self.best, self.best_epoch = score, epoch
            self._save_weights("best")
        self.finished = epoch == self.epochs or self._patience_has_run_out(epoch)
        if self.finished:
            self._save_weights("last")
        if self.settings.save_every and epoch % self.settings.save_every == 0:
            self._save_weights(epoch)
            self.folder.keep_epochs(self.settings.keep)
        if due:
            path = self.folder.preview(epoch)
            save_preview(path, self.average.model, self.val_pixels, self.device)
        rate = next(iter(self.optimizers.values())).param_groups[0]["lr"]
        speed = self.step * self.images_per_step / max(self.seconds, 1e-9)
        row = {
            "epoch": epoch,
            "step": self.step,
            "seconds": round(self.seconds, 2),
            "images_per_second": round(speed, 1),
            "learning_rate": rate,
            **train,
            **val,
        }
        divergence = warning_of(loss, self.untrained, self.settings)
        note_finite(self.folder, divergence, epoch, self.best_epoch)
        if epoch % max(1, self.epochs // 20) == 0 or self.finished:
            print_epoch(self.name, row, self.epochs)
            for warning in filter(None, [divergence, *self.recipe.warnings(row)]):
                info(f"Warning: {self.name}: {warning}")
        if self.finished and epoch < self.epochs:
            print_early_end(self.name, self.recipe, epoch, self.best_epoch, next(iter(val)))
        return row

    def _samples_are_due(self, epoch: int) -> bool:
        """Whether validation images are sampled, scored and drawn after an epoch."""
        every = math.ceil(self.epochs / VALIDATIONS_PER_RUN)
        return epoch in (1, self.epochs) or epoch % every == 0

    def _patience_has_run_out(self, epoch: int) -> bool:
        """Whether the training ends after an epoch in which what selects the best is measured."""
        is_measured = self.recipe.select_best_by == "loss" or self._samples_are_due(epoch)
        return is_measured and has_run_out(self.settings.patience, epoch, self.best_epoch)

    @staticmethod
    def _first_loss(val: dict[str, Any]) -> float:
        """The loss that `Recipe.validate` returns first."""
        return float(next(iter(val.values())))

    def _validate(self) -> dict[str, Any]:
        """The losses of the averaged weights, averaged over the validation images."""
        return validation_losses(self.recipe, self.average.model, self.val_pixels, self.fabric)

    def _save_weights(self, which: str | int) -> None:
        path = self.folder.weights_file(which)
        save_weights(path, self.average.model, self.name, self.epoch + 1)

    # ---- the state: saving and resuming ------------------------------------------------------

    def _identity(self) -> str:
        """A hash of what a state belongs to."""
        manifest = self.data.training_set.manifest
        return sha256_of_json([self.name, self.begun, manifest])

    def _save(self) -> None:
        with self.timer.saving():
            self.watch.require_sound(self.recipe, self.step - 1 if self.step else None)
            TrainingState(
                identity=self._identity(),
                step=self.step,
                seconds=self.seconds,
                closed_epochs=self.closed_epochs,
                untrained=self.untrained,
                best=self.best,
                best_epoch=self.best_epoch,
                sums={key: value.cpu() for key, value in self.sums.items()},
                counts=dict(self.counts),
                finished=self.finished,
                **tensors_of(self.recipe, self.average, self.optimizers, self.fabric),
            ).save(self.folder.state)

    def _resume(self) -> None:
        state = TrainingState.load(self.folder.state)
        fault = state.fault(self._identity(), self.total, self.steps_per_epoch)
        if fault is not None:
            raise state_error(self.folder.state, fault)
        fault = state.restore(self.recipe, self.average, self.optimizers, self.fabric)
        if fault is not None:
            raise state_error(self.folder.state, f"is of another {self.name} ({fault})")
        self.step, self.seconds = state.step, state.seconds
        self.closed_epochs = state.closed_epochs
        self.untrained = self.watch.untrained = state.untrained
        if self.step < self.total:  # an epoch that max_steps had cut short goes on
            self.closed_epochs = min(self.closed_epochs, self.step // self.steps_per_epoch)
        self.best, self.best_epoch = state.best, state.best_epoch
        self.sums.update({key: value.to(self.device) for key, value in state.sums.items()})
        self.counts.update(state.counts)
        self.epoch = self.closed_epochs - 1
        stopped = state.finished and self._patience_has_run_out(self.closed_epochs)
        self.finished = stopped or self.closed_epochs == self.epochs
        at_end = self.step == min(self.closed_epochs * self.steps_per_epoch, self.total)
        epochs = (self.closed_epochs if at_end else 0, self.best_epoch)
        if not rewrite_missing(
            self.folder, *epochs, finished=self.finished, save=self._save_weights
        ):
            self.best, self.best_epoch = math.inf, 0
        if not self.finished:
            info(f"{self.folder.path}: resumed at step {self.step} of {self.total}.")

    def _write_cost(self) -> None:
        write_cost(
            self.folder,
            self.model,
            self.fabric,
            seconds=self.seconds,
            images=self.step * self.images_per_step,
            steps=self.step,
            epochs=self.closed_epochs,
            best_epoch=self.best_epoch,
            halved=self.halved,
            counts_memory=self.counts_memory,
        )
