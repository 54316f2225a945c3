"""The files that install the project agree, and script.sh installs only when it is necessary."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = [
    Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
]
LOCK = (ROOT / "requirements.lock").read_text()


def test_the_lock_pins_every_direct_dependency_within_its_range() -> None:
    pins = {
        name.lower(): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.M)
    }
    for requirement in DIRECT:
        assert requirement.specifier.contains(Version(pins[requirement.name.lower()]))


def test_the_lock_names_no_package_index_and_torch_is_at_least_2_11() -> None:
    assert "://" not in LOCK
    (torch,) = (requirement for requirement in DIRECT if requirement.name == "torch")
    assert torch.specifier.contains("2.11.0")
    assert not torch.specifier.contains("2.10.0")


def test_the_conda_environment_installs_the_same_lock() -> None:
    text = (ROOT / "environment.yml").read_text()
    assert "-r requirements.lock" in text
    python = re.search(r"python=([\d.]+)", text)
    assert python is not None
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert Version(python[1]) >= Version(lowest)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the files that script.sh reads, and a .venv whose python logs its arguments."""
    for name in ("script.sh", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/arguments"\n')
    python.chmod(0o755)
    return tmp_path


def setup(folder: Path, **variables: str) -> str:
    """Return stderr of `bash script.sh setup`; only `variables` can name an active environment."""
    hidden = ("VIRTUAL_ENV", "CONDA_PREFIX")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        ["bash", "script.sh", "setup"],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_packages_are_installed_once_and_again_when_the_lock_changes(copy: Path) -> None:
    setup(copy)
    assert "requirements.lock" in (copy / "arguments").read_text()
    (copy / "arguments").unlink()
    setup(copy)
    assert not (copy / "arguments").exists()
    with (copy / "requirements.lock").open("a") as lock:
        lock.write("# another\n")
    setup(copy)
    assert "requirements.lock" in (copy / "arguments").read_text()


def test_an_active_environment_with_all_packages_is_used(copy: Path) -> None:
    shutil.rmtree(copy / ".venv")
    folder = Path(sys.executable).parent
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    messages = setup(copy, VIRTUAL_ENV=str(folder.parent), PATH=path)
    assert "Using the active environment" in messages
    assert not (copy / ".venv").exists()


def test_an_active_environment_without_the_packages_is_not_used(copy: Path) -> None:
    messages = setup(copy, VIRTUAL_ENV=str(copy / "empty"), PATH="/usr/bin:/bin")
    assert "Using the active environment" not in messages
    assert (copy / "arguments").exists()
