"""Copy what a leaderboard is made from, without weights and images, into Results/published.

    python -m experiments.publish cartoon-64 --results Results

Of every test it copies `run.json` and `per_image.csv`, and of every run `settings.json`,
`history.jsonl` and `cost.json`, further the results of studies with people, and writes the
leaderboards anew from the copies; without images beside it, leaderboard.html has no gallery. The
machine, the minutes, the versions and the commit stand in `run.json`. Of the folders of images,
which `settings.json` names, only the last part of the path is kept.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from benchmark import leaderboard
from benchmark.console import info
from benchmark.errors import UserError
from benchmark.results.folders import TestFolder, study_files

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "Results" / "published"


def main(
    name: Annotated[str, typer.Argument(help="Name of the protocol, such as scenes-64.")],
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = ROOT / "Results",
    published: Annotated[Path, typer.Option(help="Folder of all that is published.")] = PUBLISHED,
) -> None:
    """Publish the tests of a results folder; a published folder of this name is replaced."""
    tests = list(TestFolder.all_below(results))
    if not tests:
        raise UserError(f"There is no test in {results}.")
    folder = published / name
    shutil.rmtree(folder, ignore_errors=True)
    for test in tests:
        run = test.run()
        for path in (run.settings, run.history, run.cost, test.record, test.per_image):
            if path.is_file():
                target = folder / path.relative_to(results)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        if (settings := folder / run.settings.relative_to(results)).is_file():
            _shorten_paths(settings)
    for path in study_files(results):
        shutil.copyfile(path, folder / path.name)
    leaderboard.write(folder)
    (folder / ".leaderboard.lock").unlink()
    info(f"Published: {folder}")


def _shorten_paths(settings: Path) -> None:
    """Keep only the names of the folders that a run's settings name."""
    values = json.loads(settings.read_text())
    values["images"] = {
        key: Path(value).name if value else value for key, value in values["images"].items()
    }
    settings.write_text(json.dumps(values, indent=1))


if __name__ == "__main__":
    typer.run(main)
