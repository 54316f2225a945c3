"""What is left out of a dataset or read otherwise than its files say: messages and a list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from benchmark.console import info, shorten
from benchmark.data.cache import ImageSet
from benchmark.data.finding import describe_passed_over
from benchmark.files import remove, write_text


@dataclass(frozen=True)
class FileReport:
    """What there is to say of the files of a dataset, each by its name.

    failures: why an image file cannot be used. notes: what was taken otherwise than an image's file
    says. passed_over: why a file was not read at all.
    """

    failures: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    passed_over: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, images: ImageSet) -> "FileReport":
        """What there is to say of the files of a set of images."""
        return cls(images.failures, images.notes, images.passed_over)

    def show(self) -> None:
        """Say how many files are concerned, and name the first few."""
        if self.failures:
            named = _shorten(self.failures)
            info(f"Files that cannot be used and are left out ({len(self.failures)}): {named}.")
        if self.notes:
            info(
                f"Files that are not read as they are ({len(self.notes)}): {_shorten(self.notes)}."
            )
        if self.passed_over:
            described, named = describe_passed_over(self.passed_over), shorten([*self.passed_over])
            info(f"Files and folders that are passed over: {described}: {named}.")

    def write(self, path: Path) -> None:
        """Write all of it as CSV; without anything to say, there is no such file."""
        parts = {"left out": self.failures, "used": self.notes, "passed over": self.passed_over}
        rows = [(name, what, why) for what, part in parts.items() for name, why in part.items()]
        if not rows:
            remove(path)
            return
        table = pd.DataFrame(rows, columns=["file", "treatment", "reason"])
        write_text(path, table.to_csv(index=False, lineterminator="\n"))
        info(f"All files that are left out or not read as they are: {path}")


def _shorten(reasons: Mapping[str, str]) -> str:
    return shorten([f"{name} ({reason})" for name, reason in reasons.items()])
