"""The answers of participants: read, checked against the key of their study, and resolved."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.console import info
from benchmark.errors import UserError
from benchmark.files import read_text
from benchmark.results.schema import read_record, validate
from benchmark.results.study import Answers, StudyKey
from benchmark.study.rates import Judgment


@dataclass(frozen=True)
class Consistency:
    """How participants answered, apart from the models.

    n_answers: all answers. left: how many of them chose the left image. repeated: the number of
    pairs of which both showings were answered; alike: of how many the same image was chosen.
    """

    n_answers: int
    left: int
    repeated: int
    alike: int


def read_key(path: Path) -> StudyKey:
    """Read a study.json. Raises UserError that names the file and the fault."""
    if not path.exists():
        raise UserError(
            f"{path} does not exist: name the study.json that was written beside the page with "
            "--study."
        )
    return read_record(path, StudyKey)


def read_answers(paths: Sequence[Path], key: StudyKey) -> list[Answers]:
    """Read the answers of all participants of a study.

    Raises UserError if a file cannot be used; if there are several, each is named on stderr.
    """
    found: dict[str, tuple[Path, Answers]] = {}
    faults = []
    for path in paths:
        try:
            answers = _read(path, key)
            if answers.participant in found:
                raise UserError(
                    f"{path} is of the same participant as {found[answers.participant][0]}, "
                    f"{answers.participant!r}: leave one of them out."
                )
            found[answers.participant] = (path, answers)
        except UserError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    for fault in faults:
        info(str(fault))
    if faults:
        raise UserError(
            f"{len(faults)} of {len(paths)} files of answers cannot be used, and nothing was "
            "written: leave them out."
        )
    return [answers for _, answers in found.values()]


def _read(path: Path, key: StudyKey) -> Answers:
    text = read_text(path)
    if text.lstrip("\ufeff \r\n\t").startswith("<"):
        raise UserError(f"{path} is a web page, not the answers that it saves. {Answers.remedy}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON. {Answers.remedy}") from error
    answers = validate(values, Answers, f"{path} is no file of answers")
    if answers.study != key.hash:
        raise UserError(
            f"{path} has answers to another study, {answers.study[:12]}, and --study is "
            f"{key.hash[:12]}: name the key of its own study, unchanged."
        )
    if answers.list_index >= len(key.lists):
        raise UserError(f"{path} names list {answers.list_index}, which the study does not have.")
    known, seen = key.lists[answers.list_index], set[str]()
    for answer in answers.answers:
        if answer.trial not in known:
            raise UserError(
                f"{path} answers the pair {answer.trial[:20]!r}, which its list does not have: "
                "leave the file out."
            )
        if answer.trial in seen:
            raise UserError(f"{path} answers the pair {answer.trial} twice: leave the file out.")
        seen.add(answer.trial)
    return answers


# ---- what they mean ------------------------------------------------------------------------------


def judgments_of(answers: Sequence[Answers], key: StudyKey) -> list[Judgment]:
    """Resolve the answers into winners and losers, without those to repeated pairs."""
    found = []
    for one in answers:
        for answer in one.answers:
            trial = key.lists[one.list_index][answer.trial]
            if trial.repeats is None:
                sides = (trial.left, trial.right)
                winner, loser = sides if answer.choice == "left" else sides[::-1]
                found.append(Judgment(one.participant, trial.image, winner, loser))
    return found


def consistency_of(answers: Sequence[Answers], key: StudyKey) -> Consistency:
    """Count the answers, those to the left, and the repeated pairs that were answered alike."""
    sides: list[str] = []
    alike: list[bool] = []
    for one in answers:
        choices = {answer.trial: answer.choice for answer in one.answers}
        sides += choices.values()
        for second, choice in choices.items():
            first = key.lists[one.list_index][second].repeats
            if first is not None and first in choices:
                # The sides are swapped, so that the same image is on the other side.
                alike.append(choice != choices[first])
    return Consistency(len(sides), sides.count("left"), len(alike), sum(alike))
