"""The versions, the commit and the time that a result was made with."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path


def now() -> str:
    """The present time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def environment() -> dict[str, str]:
    """The versions of Python and of the packages that decide a number, and the commit."""
    packages = ("torch", "torchvision", "kornia", "lpips", "torch-fidelity", "numpy", "pillow")
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{package: version(package) for package in packages},
        "commit": _commit(),
    }


def _commit() -> str:
    def git(*words: str) -> str:
        root = Path(__file__).resolve().parent
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
