"""A run that was begun, and what may differ in the training that goes on with it.

The settings of a training stay those that it was begun with, except that it may become longer,
that some settings change no step of it, and that versions of this program differ in their settings.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.console import info
from benchmark.errors import UserError
from benchmark.files import remove, sha256_of_json
from benchmark.results.folders import RunFolder
from benchmark.results.records import Divergence, TrainingRecord, read_divergence
from benchmark.results.schema import read_record, write_record
from benchmark.settings import Resolved, SettingsType
from benchmark.training.schedule import total_steps

IMAGES_ONLY = (
    *("drop_grayscale", "min_colorfulness", "drop_near_copies", "truncated"),
    "split_seed",
)
"""Settings that only select images. The hash of the images says whether the training is the same,
so a run that was begun without such a setting may have any value of it."""
LENGTH = ("epochs", "max_steps")
"""Settings of how long a training is, which may grow."""
FREE = ("save_every", "keep", "patience")
"""Settings that change no step, so that a run that was begun may have another value."""
ADDED = "default, added since the run was begun"
"""The source of a value that a version after the beginning of the run introduced."""


def added_defaults(
    folder: RunFolder, model: str, defaults: Mapping[str, Any], typed: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the defaults of the settings that a run, if it was begun, does not have yet, by name.

    defaults: of the settings as they are now. Those that were typed are left out. The others go
    before a preset, since the run was begun without them. A run that cannot be read, or that holds
    another model, has none: what is wrong is said when it is begun.
    """
    try:
        previous = read_record(folder.settings, TrainingRecord)
    except UserError:
        return {}
    if previous.model != model:
        return {}
    return {
        name: default
        for name, default in defaults.items()
        if name not in previous.settings and name not in typed and _is_value(default)
    }


def _is_value(default: Any) -> bool:
    """Whether a default can be a value of JSON; a required argument has none."""
    return default is None or isinstance(default, str | int | float | bool | list | tuple)


def mark_added(resolved: Resolved[SettingsType], added: Iterable[str]) -> Resolved[SettingsType]:
    """Return the settings with ADDED as the source of the values named."""
    return Resolved(resolved.settings, {**resolved.sources, **dict.fromkeys(added, ADDED)})


def difference(
    previous: TrainingRecord,
    record: TrainingRecord,
    defaults: Mapping[str, Any],
    steps_per_epoch: int,
) -> str | None:
    """Say in what a run that was begun differs from the one that is asked for, or None.

    defaults: of the model's settings as they are now, by name. A longer training of the same is no
    difference; a shorter one is.
    """
    if previous.model != record.model:
        return f"is a run of {previous.model}"
    if (lost := _lost_setting(previous, record)) is not None:
        return lost
    try:
        sha256_of_json(previous.begun or previous.settings)  # what its state belongs to
    except ValueError:
        return "was begun with a setting that is no finite number"
    before, now = (_length(of.settings, defaults, steps_per_epoch) for of in (previous, record))
    may_grow = before is not None and now is not None and now >= before
    allowed = {*FREE, *(LENGTH if may_grow else ())}
    names = [name for name in record.settings if name not in allowed]
    changed = changed_settings(previous, record, names, defaults)
    if changed:
        return f"was begun with {', '.join(changed)}"
    if previous.training_data.manifest != record.training_data.manifest:
        return f"was begun on other images than there are now{_why_other_images(previous, record)}"
    if (fault := other_encoder(previous, record)) is not None:
        return f"was begun with {fault}"
    return None


def _length(
    settings: Mapping[str, Any], defaults: Mapping[str, Any], steps_per_epoch: int
) -> int | None:
    """The number of steps of a training; None if an edited file says none."""
    epochs, max_steps = (settings.get(name, defaults[name]) for name in LENGTH)
    if type(epochs) is not int or type(max_steps) is not int:
        return None
    return total_steps(epochs, max_steps, steps_per_epoch)


def _lost_setting(previous: TrainingRecord, record: TrainingRecord) -> str | None:
    """Say which chosen setting of the run does not exist any more, or None.

    A setting that had its default is no loss: that is what the program does without it.
    """
    for name, value in previous.settings.items():
        chosen = not previous.sources.get(name, "").endswith("default")
        if name not in record.settings and chosen:
            return (
                f"was begun with {name} {value}, a setting that this version of the program does "
                "not have: go on with the version that began it"
            )
    return None


def _why_other_images(previous: TrainingRecord, record: TrainingRecord) -> str:
    """Which new setting leaves out images that the run was begun with, and its remedy."""
    left_out = record.training_data.n_near_copies
    if "drop_near_copies" in previous.settings or not left_out:
        return ""
    return (
        f", of which this version leaves {left_out} out that look like test images: go on with "
        "them with --set drop_near_copies=false"
    )


def other_encoder(previous: TrainingRecord, record: TrainingRecord) -> str | None:
    """Say which weights the encoder of `previous` had, if both have one with other weights."""
    before, now = previous.pretrained, record.pretrained
    if before is None or now is None or before.sha256 == now.sha256:
        return None
    return f"encoder weights of {before.source} instead of {now.source}"


def changed_settings(
    previous: TrainingRecord,
    record: TrainingRecord,
    names: Iterable[str],
    defaults: Mapping[str, Any],
) -> list[str]:
    """Say for each of the named settings that differs what it was instead of what it is.

    A setting that the run did not have yet had its default, unless it only selects images.
    """
    before, now = previous.settings, record.settings
    found = []
    for name in names:
        if name not in before and name in IMAGES_ONLY:
            continue
        # As JSON gives it back, where tuples are lists.
        was = before[name] if name in before else json.loads(json.dumps(defaults.get(name)))
        if was != now.get(name):
            found.append(f"{name} {was} instead of {now.get(name)}")
    return found


def go_on(folder: RunFolder, previous: TrainingRecord, record: TrainingRecord) -> TrainingRecord:
    """Print which settings of a begun run are others now, and write them; return what is in force.

    What the run was begun with stays in its record, since its state belongs to that. A finished run
    that merely lacks new settings keeps its file, with which the records of its tests agree.
    """
    old, new = previous.settings, record.settings
    added = [name for name in new if name not in old]
    defaults = [f"{name} {new[name]}" for name in added if record.sources[name] == ADDED]
    if defaults:
        taken = "; ".join(defaults)
        info(f"{folder.path} was begun before there were settings, now at their defaults: {taken}.")
    gone = [name for name in old if name not in new]
    if gone:
        info(f"{folder.path} had the defaults of settings that are no more: {', '.join(gone)}.")
    changed = [name for name in (*LENGTH, *FREE) if name in old and old[name] != new[name]]
    if changed:
        values = ", ".join(f"{name} {new[name]} instead of {old[name]}" for name in changed)
        longer = any(name in LENGTH for name in changed)
        rate = ": the schedule of the learning rate is that of the whole training now" * longer
        info(f"{folder.path} goes on with {values}{rate}.")
    typed = any(record.sources[name] != ADDED for name in added)
    if not (changed or typed or (added and not os.path.lexists(folder.cost))):
        return previous
    kept = {"begun": previous.begun or previous.settings, "retries": previous.retries}
    in_force = record.model_copy(update=kept)
    write_record(folder.settings, in_force)
    return in_force


def may_go_back(folder: RunFolder, begun: TrainingRecord, most: int) -> bool:
    """Whether a run diverged, has a state before that, and has gone back less than `most` times."""
    divergence = read_divergence(folder.divergence)
    has_ended = divergence is not None and not divergence.is_finite
    return has_ended and len(begun.retries) < most and folder.state.is_file()


def go_back(folder: RunFolder) -> TrainingRecord:
    """Let a run whose training diverged go on from its last good state, with half of the rate.

    settings.json records the divergence in place of diverged.json. Returns that record.
    """
    begun = read_record(folder.settings, TrainingRecord)
    divergence = read_record(folder.divergence, Divergence)
    in_force = begun.model_copy(update={"retries": [*begun.retries, divergence]})
    # In this order, a kill between the two halves the rate once less, not once more.
    remove(folder.divergence)
    write_record(folder.settings, in_force)
    info(
        f"{folder.path} diverged in epoch {divergence.epoch}: it goes back to its last good state, "
        f"with 1/{2 ** len(in_force.retries)} of the learning rate."
    )
    return in_force
