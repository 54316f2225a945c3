"""Each folder is a model; a broken one is listed with its reason and does not affect the others."""

import shutil
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.errors import UserError


def test_a_copied_folder_is_a_model_and_broken_ones_have_a_reason(tmp_path: Path) -> None:
    shutil.copytree(registry.MODELS / "unet", tmp_path / "mine")
    shutil.copytree(registry.MODELS / "common", tmp_path / "common")
    faults = {
        "syntax": "class Model(:\n",
        "nomodel": '"""An empty module."""\n',
        "notrain": '"""A model."""\nclass Model: ...\n',
    }
    for name, text in faults.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text(text)
    found = {entry.name: entry for entry in registry.entries(tmp_path)}
    assert set(found) == {"mine", *faults}
    assert found["mine"].broken is None
    assert found["mine"].summary.startswith("Regression")
    assert "cannot be read" in str(found["syntax"].broken)
    assert "no class Model" in str(found["nomodel"].broken)
    assert "no train.py" in str(found["notrain"].broken)


def test_an_unknown_name_suggests_the_most_similar_one() -> None:
    with pytest.raises(UserError, match=r"did you mean 'unetddim'\?"):
        registry.require("unetdim")


def test_a_file_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import models

    folder = tmp_path / "faulty"
    folder.mkdir()
    (folder / "model.py").write_text('"""Faulty."""\nclass Model: ...\n')
    (folder / "train.py").write_text("import nothing_of_this_name\n")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "entries", lambda: [registry._entry(folder)])
    with pytest.raises(UserError, match=r"models/faulty/train.py cannot be imported: Module"):
        registry.load_settings("faulty")


def test_no_file_of_the_harness_names_a_model() -> None:
    names = [entry.name for entry in registry.entries()]
    quoted = [f'"{name}"' for name in names]
    for path in registry.MODELS.parent.glob("benchmark/**/*.py"):
        text = path.read_text()
        assert not [name for name in quoted if name in text], path


def test_outsiders_are_files_and_broken_ones_have_a_reason(tmp_path: Path) -> None:
    shutil.copy(registry.OUTSIDERS / "welsh.py", tmp_path / "mine.py")
    faults = {
        "syntax": ("class Model(:\n", "cannot be read"),
        "nomodel": ('"""An empty module."""\n', "defines no class Model"),
        "noneeds": ('"""A model."""\nclass Model: ...\nNEEDS = str(1)\n', "defines no text NEEDS"),
    }
    for name, (text, _) in faults.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "_hidden.py").write_text("")
    found = {entry.name: entry for entry in registry.outsider_entries(tmp_path)}
    assert set(found) == {"mine", *faults}
    assert (found["mine"].broken, found["mine"].needs) == (
        None,
        "a folder of color images (--exemplars)",
    )
    for name, (_, reason) in faults.items():
        assert reason in str(found[name].broken)
