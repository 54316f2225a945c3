"""Human studies: the page for participants and its key, and what their answers give."""

import os
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark import leaderboard
from benchmark.console import shorten
from benchmark.errors import UserError
from benchmark.files import sha256_of_bytes, write_text
from benchmark.leaderboard.ranking import Leaderboard
from benchmark.results.environment import now
from benchmark.results.folders import TestFolder, study_file
from benchmark.results.records import RunRecord
from benchmark.results.schema import read_record, write_record
from benchmark.results.study import Answers, Question, StudyKey, StudyRecord, StudyScore
from benchmark.study import page
from benchmark.study.answers import consistency_of, judgments_of, read_answers, read_key
from benchmark.study.design import Lengths, make_lists, pairs_of
from benchmark.study.outputs import Material, gather
from benchmark.study.rates import about, rate_of, strengths_of

IMAGES = 40
"""The most test images of a study unless --images says otherwise: a participant sees each once."""
KEY_SUFFIX = ".json"


@dataclass(frozen=True)
class Plan:
    """What was asked for. None is the default, which depends on the number of test images.

    seconds: how long a pair is shown; None is until the answer.
    """

    question: Question
    images: int | None
    trials: int | None
    repeats: int
    seconds: float | None
    seed: int

    def lengths(self, n_images: int) -> Lengths:
        """The lengths of the lists for a test of so many images. UserError for impossible ones."""
        images = min(IMAGES, n_images) if self.images is None else self.images
        if images > n_images:
            raise UserError(f"--images {images}: the test has {n_images} images; name fewer.")
        trials = images if self.trials is None else self.trials
        if trials > images:
            raise UserError(
                f"--trials {trials}: a participant sees each image once, and the study has "
                f"{images}; name fewer, or more with --images."
            )
        if self.repeats > trials:
            raise UserError(f"--repeats {self.repeats}: a list has {trials} pairs; name fewer.")
        return Lengths(images, trials, self.repeats)


# ---- the page ------------------------------------------------------------------------------------


def write_study(
    names: Sequence[str], results: Path, plan: Plan, out: Path, *, overwrite: bool
) -> tuple[Path, Path, StudyKey]:
    """Write the page of a study and beside it its key; returns both paths and the key.

    names: tests, by a run's name, its folder or the folder of a test.

    Raises UserError for tests that make no study, and before a file is written over.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: the page needs a name that ends in .html.")
    key_path = out.with_suffix(KEY_SUFFIX)
    for path in (out, key_path):
        if path.is_dir():
            raise UserError(f"{path} is a folder: name another --out.")
        if os.path.lexists(path) and not overwrite:
            raise UserError(
                f"{path} exists: name another --out, or replace page and key with --overwrite, "
                "after which answers to the present page cannot be read."
            )
    material = gather(names, results, plan.question)
    key = make_key(material, plan)
    text = page.html(key, material)
    write_text(out, text)  # first, for where there is no room for it, the key stays as it was
    write_record(key_path, key)
    return out, key_path, key


def make_key(material: Material, plan: Plan) -> StudyKey:
    """Choose the images, the pairs and their order: a function of the tests and of the seed."""
    lengths = plan.lengths(len(material.names))
    rng = random.Random(plan.seed)
    images = rng.sample(material.names, lengths.images)
    pairs = pairs_of(plan.question, len(material.models), rng)
    return StudyKey(
        question=plan.question,
        protocol=material.protocol.name,
        protocol_hash=material.protocol_hash,
        seed=plan.seed,
        seconds=plan.seconds,
        models=[outputs.model for outputs in material.models],
        lists=make_lists(pairs, images, lengths, rng),
    )


# ---- the answers ---------------------------------------------------------------------------------


def read_study(
    paths: Sequence[Path], key_path: Path, results: Path, *, overwrite: bool
) -> tuple[Path, Leaderboard]:
    """Read the answers of all participants and write what they give, and the leaderboard again.

    Returns the file of the result and the leaderboard of the study's protocol.

    Raises UserError for answers that cannot be used, if the results have no test of the protocol,
    and before a result with further participants is replaced.
    """
    key = read_key(key_path)
    answers = read_answers(paths, key)
    if not _has_test(results, key.protocol_hash):
        raise UserError(
            f"{results} has no test of the study's protocol, {key.protocol} "
            f"({key.protocol_hash[:8]}): name the folder of its results with --results."
        )
    record = evaluate(answers, key)
    path = study_file(results, key.hash)
    if not overwrite:
        _require_earlier_participants(path, record)
    write_record(path, record)
    return path, leaderboard.write(results).for_protocol(key.protocol_hash)


def _has_test(results: Path, protocol_hash: str) -> bool:
    """Whether a results folder has a test of this protocol that can be read."""
    for folder in TestFolder.all_below(results):
        with suppress(UserError):
            if read_record(folder.record, RunRecord).protocol_hash == protocol_hash:
                return True
    return False


def evaluate(answers: Sequence[Answers], key: StudyKey) -> StudyRecord:
    """The result of a study. Raises UserError if a model has no answer."""
    judgments, consistency = judgments_of(answers, key), consistency_of(answers, key)
    of_models = [about(index, judgments) for index in range(len(key.models))]
    unanswered = [model.name for model, own in zip(key.models, of_models, strict=True) if not own]
    if unanswered:
        raise UserError(
            f"No answer is about {shorten(unanswered)}: read the answers of more participants."
        )
    strengths = strengths_of(len(key.models), judgments) if key.question == "better" else None
    scores = [
        StudyScore(
            model=model,
            answers=len(own),
            participants=len({one.participant for one in own}),
            rate=rate_of(index, own),
            strength=strengths[index] if strengths is not None else None,
        )
        for index, (model, own) in enumerate(zip(key.models, of_models, strict=True))
    ]
    return StudyRecord(
        study=key.hash,
        question=key.question,
        protocol=key.protocol,
        protocol_hash=key.protocol_hash,
        seconds=key.seconds,
        participants=sorted(hash_of_participant(one.participant) for one in answers),
        n_images=len({judgment.image for judgment in judgments}),
        n_answers=consistency.n_answers,
        left_rate=consistency.left / consistency.n_answers,
        repeated=consistency.repeated,
        alike=consistency.alike,
        scores=scores,
        finished=now(),
    )


def hash_of_participant(participant: str) -> str:
    """What a result keeps of a participant's id, which may be a name."""
    return sha256_of_bytes(participant.encode(errors="surrogatepass"))[:16]


def _require_earlier_participants(path: Path, record: StudyRecord) -> None:
    """Raise UserError if the file has participants whose answers are not among those read now."""
    if not os.path.lexists(path):
        return
    lost = set(read_record(path, StudyRecord).participants) - set(record.participants)
    if lost:
        raise UserError(
            f"{path} also has participants whose answers are not named ({len(lost)}): name the "
            "answers of all participants, or replace the result with --overwrite."
        )
