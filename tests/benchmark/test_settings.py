"""Where the value of each setting comes from, and which values are refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.errors import UserError
from benchmark.settings import Settings, parse_value, resolve

ROOT = Path(__file__).resolve().parent.parent.parent


def test_typed_values_override_presets_then_model_defaults_then_general_defaults() -> None:
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
        assert set(resolve(settings_class, entry.name, "quick", {}).sources) == set(described)


def test_impossible_settings_are_refused() -> None:
    settings_class = registry.load_settings("unet")
    for typed in (
        {"epochs": 0},
        {"epochs": "many"},
        {"widths": []},
        {"patch_size": -1},
        {"nothing": 1},
    ):
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
def test_values_of_set_are_parsed(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_settings_import_no_torch_and_offer_no_preset_of_the_tests() -> None:
    code = "import sys, benchmark.settings; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    general = ["quick", "small", "small-pretrained", "standard", "large"]
    assert list(Settings.presets) == general
    for entry in registry.entries():
        assert "tiny" not in registry.load_settings(entry.name).presets
        assert "tiny" not in registry.load_model(entry.name).sampling_class.presets
