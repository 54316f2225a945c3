"""Write the model card of a trained model, and upload it with the weights."""

import shutil
import tempfile
from pathlib import Path

from benchmark import registry
from benchmark.errors import UserError
from benchmark.files import replacing, write_text
from benchmark.inference.card.writing import Subject, card_of
from benchmark.inference.hub import CARD_FILE, FIGURE_FILE, PREFIX, WEIGHTS_FILE, upload
from benchmark.inference.portable import write_portable
from benchmark.jobs.export import Exported, require_free_file
from benchmark.leaderboard.ranking import Leaderboard, read
from benchmark.results.records import RunRecord
from benchmark.results.schema import read_record


def write_card(
    exported: Exported, folder: Path, *, overwrite: bool, weights: str | None = None
) -> list[Path]:
    """Write the card of weights as README.md into a folder, and a figure if a test has one.

    weights: what `--weights` has to be to use them; None for the file that `export` writes.
    Returns the files that were written. UserError if there are some and not `overwrite`.
    """
    card, figure = folder / CARD_FILE, folder / FIGURE_FILE
    for path in (card, figure):
        require_free_file(path, overwrite)
    name = exported.folder.run
    found = _figure(exported)
    summaries = {entry.name: entry.summary for entry in registry.entries()}
    subject = Subject(
        name=name,
        summary=summaries[exported.weights.trained_as],
        weights=weights or f"{name}.safetensors",
        figure=None if found is None else FIGURE_FILE,
    )
    text = card_of(subject, exported.weights, exported.portable, _leaderboard(exported))
    if found is not None:
        with replacing(figure) as part:
            shutil.copyfile(found, part)
    write_text(card, text)
    return [card] if found is None else [card, figure]


def push(exported: Exported, repository: str, *, private: bool) -> str:
    """Upload weights, card and figure to the Hugging Face Hub; return the address.

    UserError unless the user is logged in, or if the upload fails; then nothing has changed there.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        written = write_card(exported, folder, overwrite=False, weights=f"{PREFIX}{repository}")
        write_portable(folder / WEIGHTS_FILE, exported.weights, exported.portable)
        files = {path.name: path for path in [*written, folder / WEIGHTS_FILE]}
        return upload(repository, files, private)


def _leaderboard(exported: Exported) -> Leaderboard | None:
    """Read the leaderboard of the results that the weights are of; None if they have no test."""
    if exported.weights.portable is not None or not exported.portable.tests:
        return None
    return read(exported.folder.results)


def _figure(exported: Exported) -> Path | None:
    """Return the figure of a test of these weights, if there is one."""
    for test in exported.folder.finished_tests():
        try:
            record = read_record(test.record, RunRecord)
        except UserError:  # it was named when the tests were read
            continue
        used = record.weights
        if used and used.sha256 == exported.weights.sha256 and test.figure.is_file():
            return test.figure
    return None
