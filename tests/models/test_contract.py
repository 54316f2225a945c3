"""The contract that every model must fulfill, tested on all models that are found."""

import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import registry
from benchmark.checkpoints import load_weights
from benchmark.color import rgb_from_8bit, rgb_to_8bit, rgb_to_lightness
from benchmark.colorizer import pretrained_parts
from benchmark.errors import Interrupted
from benchmark.evaluation import evaluate
from benchmark.evaluation.baselines import Gray
from benchmark.evaluation.named import TestImages
from benchmark.metrics.images import delta_e2000
from benchmark.metrics.table import MetricSuite
from benchmark.randomness import Randomness
from benchmark.recipe import Batch
from benchmark.results.folders import RunFolder
from benchmark.results.history import read_history
from benchmark.results.records import RunRecord, WeightsUsed
from benchmark.results.schema import read_record
from benchmark.training.loop import Loop
from benchmark.training.pretrained import digest_of
from tests.support import (
    awaken,
    blobs,
    images_of,
    lightness_like,
    make_loop,
    tiny_model,
    tiny_recipe,
    tiny_sampling,
    training_data,
)

NAMES = [entry.name for entry in registry.entries() if not entry.broken]
TRAINED = [name for name in NAMES if registry.load_model(name).weights_of is None]
"""The models that are trained; test_convention.py tests that the others have the same training."""
CPU = torch.device("cpu")
TIMES = ("seconds", "images_per_second")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_models_are_found() -> None:
    assert NAMES
    assert not [entry for entry in registry.entries() if entry.broken]


@pytest.mark.parametrize("size", [(16, 16), (17, 40)])
@pytest.mark.parametrize("color_space", ["lab", "rgb"])
def test_images_of_any_size_are_colored_in_both_color_spaces(
    name: str, color_space: str, size: tuple[int, int]
) -> None:
    lightness = 100 * torch.rand(2, 1, *size)
    model = tiny_model(name, color_space=color_space)
    rgb = model.colorize(lightness, seeds=[1, 2], sampling=tiny_sampling(model))
    assert rgb.shape == (2, 3, *size)
    assert rgb.dtype == torch.float32
    assert rgb.min() >= 0
    assert rgb.max() <= 1


@pytest.mark.parametrize("color_space", ["lab", "rgb"])
def test_every_parameter_gets_a_finite_gradient(name: str, color_space: str) -> None:
    recipe = tiny_recipe(name, color_space=color_space)
    optimizers = recipe.optimizers()
    parameters = dict(recipe.named_parameters())
    awaken(recipe)
    reached = set()
    for progress in (0.0, 0.999):  # a recipe may have several phases
        batch = Batch(rgb_from_8bit(blobs(8, 32)), progress)
        for update in recipe.updates(batch, Randomness(0, 0, CPU)):
            owned = [
                p for group in optimizers[update.optimizer].param_groups for p in group["params"]
            ]
            recipe.zero_grad()
            torch.stack(list(update.losses.values())).sum().backward(inputs=owned)
            for key, parameter in parameters.items():
                if parameter.grad is not None:
                    assert torch.isfinite(parameter.grad).all(), key
                    if parameter.grad.any():
                        reached.add(key)
    assert set(parameters) - reached == set()


def test_the_best_weights_of_a_stochastic_model_are_selected_by_what_it_samples(name: str) -> None:
    by_images = registry.load_recipe(name).select_best_by == "images"
    assert by_images or not registry.load_model(name).stochastic


def test_the_optimizers_own_every_parameter_once(name: str) -> None:
    recipe = tiny_recipe(name)
    groups = [group for o in recipe.optimizers().values() for group in o.param_groups]
    owned = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(owned) == sorted(id(parameter) for parameter in recipe.parameters())


def test_the_lightness_of_the_output_is_unchanged(name: str) -> None:
    rgb8 = blobs(4, 32)
    model = tiny_model(name)
    rgb = model.colorize(lightness_like(rgb8), seeds=range(4), sampling=tiny_sampling(model))
    written = rgb_from_8bit(rgb_to_8bit(rgb))
    # Rounding a color to 8 bits moves its L* by up to about 0.25.
    assert (rgb_to_lightness(written) - lightness_like(rgb8)).abs().max() < 0.3


def test_an_image_depends_on_its_seed_and_not_on_its_batch(name: str) -> None:
    model = tiny_model(name)
    awaken(model)
    lightness = lightness_like(blobs(3, 32))
    few = tiny_sampling(model)
    together = model.colorize(lightness, seeds=[5, 6, 7], sampling=few)
    alone = model.colorize(lightness[1:2], seeds=[6], sampling=few)
    assert (together[1] - alone[0]).abs().max() <= 1 / 255
    again = model.colorize(lightness, seeds=[5, 6, 7], sampling=few)
    assert torch.equal(together, again)
    other = model.colorize(lightness[1:2], seeds=[60], sampling=few)
    differs = bool((other - alone).abs().max() > 1 / 255)
    assert differs == model.stochastic, "stochastic says whether two seeds give two images"


@pytest.mark.parametrize("color_space", ["lab", "rgb"])
def test_on_step_is_called_at_every_step_and_only_by_models_with_steps(
    name: str, color_space: str
) -> None:
    """The last estimate is the image, which is the same as without on_step."""
    model = tiny_model(name, color_space=color_space)
    awaken(model)
    lightness, few = lightness_like(blobs(2, 24)), tiny_sampling(model)
    calls: list[tuple[int, int, Tensor, Tensor]] = []
    rgb = model.colorize(
        lightness, seeds=[5, 6], sampling=few, on_step=lambda *call: calls.append(call)
    )
    assert torch.equal(rgb, model.colorize(lightness, seeds=[5, 6], sampling=few))
    count = few.model_dump()["steps"] if model.has_steps() else 0
    assert [call[:2] for call in calls] == [(step, count) for step in range(1, count + 1)]
    for *_, state, estimate in calls:
        assert state.shape == estimate.shape == rgb.shape
        assert not torch.equal(state, estimate)
    if calls:
        assert (calls[-1][3] - rgb).abs().max() < 1e-5


@pytest.fixture(scope="session")
def overfit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunFolder]:
    """overfit(name) → the run of a training on the same eight images; it is trained only once.

    A model that reads the weights of another one uses that training, since both have the same one
    (test_convention.py).
    """

    @cache
    def train(name: str) -> RunFolder:
        data = training_data(blobs(8, 32).repeat(10, 1, 1, 1))  # ten steps an epoch
        folder = tmp_path_factory.mktemp("overfit")
        loop = make_loop(folder, name, data, epochs=30, ema_decay=0.98)
        loop.run("disabled")
        return loop.folder

    return train


def test_a_model_overfits_eight_images(name: str, overfit: Callable[[str], RunFolder]) -> None:
    """The loss falls, and so does the error of the outputs.

    For a stochastic model the outputs are samples: given L of a training image, every seed must
    give nearly that image.
    """
    rgb8 = blobs(8, 32)
    folder = overfit(registry.load_model(name).weights_of or name)
    model = load_weights(folder.weights_file("last"), name, CPU).model
    lightness, truth = lightness_like(rgb8), rgb_from_8bit(rgb8)
    gray = Gray().eval().colorize(lightness, seeds=range(8))
    gray_error = delta_e2000(gray, truth).mean()
    for draw in range(3 if model.stochastic else 1):
        seeds = range(100 * draw, 100 * draw + 8)
        output = model.colorize(lightness, seeds=seeds, sampling=tiny_sampling(model))
        assert delta_e2000(output, truth).mean() < 0.35 * gray_error
    history = read_history(folder.history)
    key = next(key for key in history[0] if key.startswith("val/"))
    assert history[-1][key] < 0.35 * history[0][key]


def test_saved_weights_are_loaded_and_tested(name: str, tmp_path: Path) -> None:
    rgb8 = blobs(10, 32)
    loop = make_loop(tmp_path, name, training_data(rgb8), epochs=1)
    loop.run("disabled")
    saved = load_weights(loop.folder.weights_file("best"), name, CPU)
    averaged = loop.average.model.state_dict()
    assert all(torch.equal(averaged[key], value) for key, value in saved.model.state_dict().items())
    candidate = evaluate.Candidate(
        folder=loop.folder,
        model=name,
        sampling=saved.model.resolve_sampling(tiny_sampling(saved.model)),
        weights=WeightsUsed(
            trained_as=name, run=name, file="best", sha256=saved.sha256, epoch=saved.epoch
        ),
    )
    suite = MetricSuite(unavailable={"lpips": "left out here", "kid": "left out here"})
    setup = evaluate.prepare(images_of(rgb8), "blobs", TestImages.of(32), suite=suite)
    record = evaluate.test(candidate, saved.model, setup)
    assert record.n_scored == record.n_expected == 10
    assert read_record(next(loop.folder.tests.glob("*/run.json")), RunRecord) == record
    assert record.refusal is None


@pytest.mark.parametrize("name", TRAINED)
def test_an_interrupted_training_ends_like_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    data = training_data(blobs(24, 36))  # three steps an epoch
    whole = make_loop(tmp_path / "whole", name, data, epochs=2)
    whole.run("disabled")
    first = make_loop(tmp_path / "halves", name, data, epochs=2)
    interrupt_at(first, step=4)
    with pytest.raises(Interrupted):
        first.run("disabled")
    second = make_loop(tmp_path / "halves", name, data, epochs=2)
    second.run("disabled")
    for which in ("best", "last"):
        weights = [
            load_weights(loop.folder.weights_file(which), name, CPU) for loop in (whole, second)
        ]
        assert weights[0].sha256 == weights[1].sha256
    histories = [
        [
            {k: v for k, v in row.items() if k not in TIMES}
            for row in read_history(loop.folder.history)
        ]
        for loop in (whole, second)
    ]
    assert histories[0] == histories[1]


@pytest.mark.parametrize("name", TRAINED)
def test_every_training_step_runs_in_training_mode(name: str, tmp_path: Path) -> None:
    """Also after a validation that leaves the recipe in eval mode."""
    loop = make_loop(tmp_path, name, training_data(blobs(16, 36)), epochs=3)
    modes = []
    step, validate = loop.take_step, loop._validate

    def in_eval_mode() -> dict[str, Any]:
        loop.recipe.eval()
        return validate()

    loop._validate = in_eval_mode  # type: ignore[method-assign]

    def watched() -> None:
        modes.extend(module.training for module in loop.recipe.modules())
        step()

    loop.take_step = watched  # type: ignore[method-assign]
    loop.run("disabled")
    assert modes
    assert all(modes)
    assert not loop.average.model.training


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_with_a_frozen_encoder_resumes_exactly_and_leaves_it_as_it_is(
    name: str, tmp_path: Path
) -> None:
    data = training_data(blobs(24, 36))  # three steps
    more = {"encoder": "efficientnet_lite0", "encoder_scale": 1}
    whole = make_loop(tmp_path / "whole", name, data, **more)
    (part,) = pretrained_parts(whole.model)
    digest = digest_of(part)
    whole.run("disabled")
    assert digest_of(part) == digest
    first = make_loop(tmp_path / "halves", name, data, **more)
    interrupt_at(first, step=1)
    with pytest.raises(Interrupted):
        first.run("disabled")
    second = make_loop(tmp_path / "halves", name, data, **more)
    second.run("disabled")
    found = [load_weights(loop.folder.weights_file("last"), name, CPU) for loop in (whole, second)]
    assert found[0].sha256 == found[1].sha256
    (loaded,) = pretrained_parts(found[0].model)
    assert digest_of(loaded) == digest
    owned = {p for o in whole.optimizers.values() for g in o.param_groups for p in g["params"]}
    trained = {p for p in whole.recipe.parameters() if p.requires_grad}
    assert owned == trained
    assert not owned & {*part.parameters()}


def interrupt_at(loop: Loop, step: int) -> None:
    """Send Ctrl-C during the given step of a training."""
    train_step = loop.take_step

    def interrupted() -> None:
        if loop.step == step - 1:
            signal.raise_signal(signal.SIGINT)
        train_step()

    loop.take_step = interrupted  # type: ignore[method-assign]
