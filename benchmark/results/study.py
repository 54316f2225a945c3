"""The schema of every JSON file of a human study: its key, the answers, and what they give.

StudyKey is the study.json beside the page, Answers the file that a participant hands in, and
StudyRecord the study-<hash>.json of a results folder.
"""

from itertools import chain
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from benchmark.files import sha256_of_json
from benchmark.results.records import Share
from benchmark.results.schema import MOST, Amount, Count, Strict

Question = Literal["real", "better"]
"""`real`: which of an output and its truth is the real photo; `better`: which of the outputs of two
models looks better."""
Side = Literal["left", "right"]
MOST_SECONDS = 600.0
"""The longest viewing time of a pair that a study can have."""
LONGEST_PARTICIPANT = 64
"""The most characters of a participant's id."""


# ---- the key -------------------------------------------------------------------------------------


class StudyModel(Strict):
    """A model of a study. test: the name of its test's folder. per_image_sha256: of that test."""

    name: str
    run: str
    seed: Count
    test: str
    per_image_sha256: str


class Trial(Strict):
    """A pair of images. left, right: the index of the model of each; None is the true photo.

    image: the name of the test image's file. repeats: the id of the trial that this one shows again
    with its sides swapped.
    """

    image: str
    left: Count | None
    right: Count | None
    repeats: str | None = None


class StudyKey(Strict):
    """study.json: which models the pairs of a page show, by the opaque ids of the pairs.

    seconds: how long a pair is shown; None is until the answer. lists: one of them is what a
    participant sees, id → pair in this order.
    """

    remedy: ClassVar[str] = "Name the file that was written beside the page with --study."

    schema_version: Literal[1] = 1
    question: Question
    protocol: str
    protocol_hash: str
    seed: Count
    seconds: Annotated[float, Field(gt=0, le=MOST_SECONDS)] | None
    models: list[StudyModel] = Field(min_length=1)
    lists: list[dict[str, Trial]] = Field(min_length=1)

    @property
    def hash(self) -> str:
        """SHA-256 of the whole key: the page and all answers name it."""
        return sha256_of_json(self.model_dump(mode="json"))

    @model_validator(mode="after")
    def _is_consistent(self) -> "StudyKey":
        ids = list(chain.from_iterable(self.lists))
        if len(set(ids)) < len(ids):
            raise ValueError("an id of a pair is not unique")
        known = {*range(len(self.models)), *([None] if self.question == "real" else [])}
        for trials in self.lists:
            for trial_id, trial in trials.items():
                if not {trial.left, trial.right} <= known or trial.left == trial.right:
                    raise ValueError(f"the pair {trial_id} is not of two models of the study")
                if trial.repeats is not None and trial.repeats not in trials:
                    raise ValueError(f"the pair {trial_id} repeats one of another list")
        return self


# ---- the answers ---------------------------------------------------------------------------------


class Answer(Strict):
    """The answer to one pair. seconds: from the appearance of the images to the answer."""

    trial: str
    choice: Side
    seconds: Amount


class Answers(Strict):
    """answers-<participant>.json: what one participant answered, in the order of the answers.

    study: the hash of the study's key. list_index: which of its lists was shown. started: ISO 8601,
    UTC, by the clock of the participant's device.
    """

    remedy: ClassVar[str] = "Name the files that the page of the study saves."

    schema_version: Literal[1] = 1
    study: str
    participant: str = Field(min_length=1, max_length=LONGEST_PARTICIPANT)
    list_index: Count
    started: str
    answers: list[Answer] = Field(min_length=1)


# ---- the result ----------------------------------------------------------------------------------


class Rate(Strict):
    """A share of answers and its 95 % interval; without an interval for a single participant."""

    value: Share
    low: Share | None
    high: Share | None


class Strength(Strict):
    """A Bradley-Terry strength, the natural logarithm of odds, and its 95 % interval.

    The strengths of a study have the mean 0.
    """

    value: float = Field(ge=-MOST, le=MOST)
    low: float | None = Field(ge=-MOST, le=MOST)
    high: float | None = Field(ge=-MOST, le=MOST)


class StudyScore(Strict):
    """What a study says of one model.

    rate: the share of answers in which its output was chosen. answers, participants: the numbers of
    those that the rate is of; repeated pairs do not count. strength: only for the question
    `better`; None where the answers leave it without bounds.
    """

    model: StudyModel
    answers: Count
    participants: Count
    rate: Rate
    strength: Strength | None


class StudyRecord(Strict):
    """study-<hash>.json: the result of a human study, one of the tables of its protocol.

    participants: a hash of the id of each. n_answers: all of them, those to repeated pairs
    included. left_rate: the share of these that chose the left image. repeated: of how many pairs
    both showings were answered; alike: for how many of them the same image was chosen.
    """

    remedy: ClassVar[str] = "Delete it, and read the answers again with `main.py study read`."

    schema_version: Literal[1] = 1
    study: str = Field(pattern=r"^[0-9a-f]{64}$")
    question: Question
    protocol: str
    protocol_hash: str
    seconds: float | None
    participants: list[str]
    n_images: Count
    n_answers: Count
    left_rate: Share
    repeated: Count
    alike: Count
    scores: list[StudyScore] = Field(min_length=1)
    finished: str
