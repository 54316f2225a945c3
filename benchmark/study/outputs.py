"""The images of a study: the outputs of the tests that were named, and their truths.

Both are the files that the tests wrote. The truths are those of the row "ground truth", which went
through the same path as a model's outputs, so that no trace of a file tells them apart.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.errors import UserError
from benchmark.evaluation.baselines import GROUND_TRUTH
from benchmark.evaluation.recorded import read_test
from benchmark.files import sha256_of_bytes
from benchmark.leaderboard.rows import Row, TestResult
from benchmark.results.folders import GROUND_TRUTH_RUN, RunFolder, TestFolder
from benchmark.results.records import ProtocolRecord
from benchmark.results.study import Question, StudyModel


@dataclass(frozen=True)
class Outputs:
    """The first samples of a test's images, by the names that the study has for the images.

    files: the file of each image and its SHA-256.
    """

    model: StudyModel
    files: dict[str, tuple[Path, str]]

    def read(self, image: str) -> bytes:
        """The PNG file of an image. Raises UserError unless it is the one that was scored."""
        path, sha256 = self.files[image]
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{path} cannot be read ({reason}): test the model again.") from error
        if sha256_of_bytes(content) != sha256:
            raise UserError(f"{path} is not the image that was scored: test the model again.")
        return content


@dataclass(frozen=True)
class Material:
    """All that a study is made of: the models, as they were named, and the truth.

    names: of the test images, by content. truth: None where the question needs none.
    """

    protocol: ProtocolRecord
    protocol_hash: str
    names: list[str]
    models: list[Outputs]
    truth: Outputs | None


def gather(names: Sequence[str], results: Path, question: Question) -> Material:
    """Read the tests that are named. UserError unless they make a study of one protocol."""
    tests = [_read(_one_test(name, results)) for name in names]
    _check(tests, names, question)
    first = tests[0]
    images: list[str] = first.sample_table(0)["file"].tolist()
    models = [_outputs(test, images) for test in tests]
    truth = _outputs(_find_truth(first), images) if question == "real" else None
    protocol_hash = first.record.protocol_hash
    return Material(first.record.protocol, protocol_hash, images, _named_apart(models), truth)


def _one_test(name: str, results: Path) -> TestFolder:
    found = TestFolder.named(name, results)
    if len(found) > 1:
        paths = ", ".join(str(test.path) for test in found[:3])
        raise UserError(f"{name} has {len(found)} tests: name the folder of one, such as {paths}.")
    return found[0]


def _read(folder: TestFolder) -> TestResult:
    """Read a test, its table in the order of the images' contents."""
    record, table = read_test(folder)
    table = table.sort_values(["sha256", "file"], kind="stable", ignore_index=True)
    return TestResult(folder, record, table)


def _check(tests: Sequence[TestResult], names: Sequence[str], question: Question) -> None:
    """Raise UserError for tests that cannot be compared."""
    for index, (test, name) in enumerate(zip(tests, names, strict=True)):
        if test.record.protocol_hash != tests[0].record.protocol_hash:
            raise UserError(
                f"{names[0]} and {name} are tests of different protocols, "
                f"{_protocol(tests[0])} and {_protocol(test)}: name tests of one protocol."
            )
        if test.record.per_image_sha256 in {one.record.per_image_sha256 for one in tests[:index]}:
            raise UserError(f"{name} has the images of another test that is named: name it once.")
        if question == "real" and test.record.model == GROUND_TRUTH and test.record.kind == "fixed":
            raise UserError(f"{name} is the truth itself: name only models for --question real.")
    if question == "better" and len(tests) < 2:
        raise UserError(
            "--question better compares models with each other: name two or more tests."
        )


def _protocol(test: TestResult) -> str:
    return f"{test.record.protocol.name} ({test.record.protocol_hash[:8]})"


def _find_truth(test: TestResult) -> TestResult:
    """The row "ground truth" of the same protocol and results folder."""
    run = test.folder.run()
    for folder in RunFolder.all_of(run.results, GROUND_TRUTH_RUN):
        for candidate in folder.finished_tests():
            found = _read(candidate)
            if found.record.protocol_hash == test.record.protocol_hash:
                return found
    raise UserError(
        f"{run.results} has no row of the ground truth of {_protocol(test)}: test a model again, "
        "which writes it."
    )


def _outputs(test: TestResult, images: Sequence[str]) -> Outputs:
    """The files of a test by the images' names; tests of one protocol have images of one order."""
    table, record = test.sample_table(0), test.record
    paths = [test.folder.path / output for output in table["output"]]
    files = zip(paths, table["output_sha256"], strict=True)
    model = StudyModel(
        name=Row((test,)).name,
        run=record.run,
        seed=record.seed,
        test=test.folder.path.resolve().name,
        per_image_sha256=record.per_image_sha256,
    )
    return Outputs(model, dict(zip(images, files, strict=True)))


def _named_apart(models: Sequence[Outputs]) -> list[Outputs]:
    """The models with names that differ: the folder of the test is added where they do not."""
    counts = Counter(one.model.name for one in models)

    def named(one: Outputs) -> Outputs:
        name = f"{one.model.name}, {one.model.test}"
        return replace(one, model=one.model.model_copy(update={"name": name}))

    return [named(one) if counts[one.model.name] > 1 else one for one in models]
