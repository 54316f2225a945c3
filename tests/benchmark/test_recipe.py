"""Who decides a setting, and what randomness depends on."""

import pytest
import torch

from benchmark import registry
from benchmark.errors import UserError
from benchmark.randomness import Randomness, derive_seed
from benchmark.settings import parse_value, resolve

CPU = torch.device("cpu")


def test_typed_wins_over_preset_over_model_over_general() -> None:
    settings_class = registry.load_settings("unet")
    typed = resolve(settings_class, "unet", "quick", {"widths": [8, 16]})
    preset = resolve(settings_class, "unet", "quick", {})
    plain = resolve(settings_class, "unet", "standard", {})
    assert typed.settings.architecture["widths"] == [8, 16]
    assert typed.sources["widths"] == "typed"
    assert preset.settings.architecture["widths"] == settings_class.presets["quick"]["widths"]
    assert preset.sources["widths"] == "preset quick"
    assert plain.sources["widths"] == "unet's default"
    assert plain.sources["batch_size"] == "general default"
    assert plain.settings.batch_size == 64


def test_every_setting_has_help_and_a_source() -> None:
    for entry in registry.entries():
        settings_class = registry.load_settings(entry.name)
        described = settings_class.described()
        assert all(text for _, text in described.values()), entry.name
        assert set(resolve(settings_class, entry.name, "tiny", {}).sources) == set(described)


def test_impossible_settings_are_user_errors() -> None:
    settings_class = registry.load_settings("unet")
    for typed in ({"epochs": 0}, {"epochs": "many"}, {"widths": []}, {"fold": -1}, {"nothing": 1}):
        with pytest.raises(UserError):
            resolve(settings_class, "unet", "standard", typed)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("true", True),
        ("huber", "huber"),
        ("64,128", [64, 128]),
        ("[64, 128]", [64, 128]),
        ("64,", [64]),
        ("a,b", ["a", "b"]),
    ],
)
def test_what_is_typed_behind_set(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_randomness_is_a_function_of_seed_and_step() -> None:
    draws = [
        Randomness(seed, step, CPU).normal(4, 3) for seed, step in ((1, 2), (1, 2), (1, 3), (2, 2))
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])
    assert len({derive_seed(a, b) for a in range(50) for b in range(50)}) == 2500
