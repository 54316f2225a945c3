"""Answers are checked, resolved and tabulated; what cannot be used is named."""

import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark import leaderboard
from benchmark.errors import UserError
from benchmark.jobs.study import Plan, evaluate, make_key, read_study, write_study
from benchmark.leaderboard import page
from benchmark.results.folders import study_files
from benchmark.results.schema import read_record, write_record
from benchmark.results.study import Answers, StudyKey, StudyRecord, Trial
from benchmark.study.answers import read_answers
from benchmark.study.outputs import gather

Write = Callable[..., Path]


def left(trial: Trial) -> str:
    return "left"


@pytest.fixture
def copy(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the results, into which a study may be written; pages are without plots."""
    monkeypatch.setattr(page, "plots_of", lambda board, prefix: [])
    shutil.copytree(results, tmp_path / "R")
    return tmp_path / "R"


@pytest.fixture
def key(results: Path, plan: Plan) -> StudyKey:
    return make_key(gather(["warm", "cold"], results, "real"), replace(plan, repeats=2))


@pytest.fixture
def key_path(key: StudyKey, tmp_path: Path) -> Path:
    path = tmp_path / "study.json"
    write_record(path, key)
    return path


def simulate(key: StudyKey, chances: dict[int | None, float], people: int) -> list[Answers]:
    """Answers of people who choose a side in proportion to the chances of the two models."""
    rng = random.Random(0)

    def choice(trial: Trial) -> str:
        first, second = chances[trial.left], chances[trial.right]
        return "left" if rng.random() < first / (first + second) else "right"

    found = []
    for person in range(people):
        index = person % len(key.lists)
        answers = [
            {"trial": trial_id, "choice": choice(trial), "seconds": 1.0}
            for trial_id, trial in key.lists[index].items()
        ]
        values = {"study": key.hash, "participant": str(person), "list_index": index}
        found.append(Answers.model_validate({**values, "started": "", "answers": answers}))
    return found


def swapped(key: StudyKey, answers: list[Answers]) -> tuple[StudyKey, list[Answers]]:
    """The same study with all images on the other side, and the same choices of images."""
    lists = [
        {
            trial_id: trial.model_copy(update={"left": trial.right, "right": trial.left})
            for trial_id, trial in one.items()
        }
        for one in key.lists
    ]
    other = {"left": "right", "right": "left"}
    mirrored = []
    for one in answers:
        choices = [a.model_copy(update={"choice": other[a.choice]}) for a in one.answers]
        mirrored.append(one.model_copy(update={"answers": choices}))
    return key.model_copy(update={"lists": lists}), mirrored


@pytest.mark.parametrize("question", ["real", "better"])
def test_the_intervals_cover_known_preferences_and_sides_do_not_matter(
    results: Path, plan: Plan, question: Any
) -> None:
    names = ["warm", "cold", "violet"]
    key = make_key(gather(names, results, question), replace(plan, question=question, repeats=2))
    chances: dict[int | None, float] = {0: 1.0, 1: 0.25, 2: 0.5, None: 1.0}
    answers = simulate(key, chances, 60)
    record = evaluate(answers, key)
    against = {
        index: [None] if question == "real" else [one for one in range(3) if one != index]
        for index in range(3)
    }
    for index, score in enumerate(record.scores):
        own = chances[index]
        true = [own / (own + chances[other]) for other in against[index]]
        assert score.rate.low is not None
        assert score.rate.high is not None
        assert score.rate.low <= sum(true) / len(true) <= score.rate.high
        assert score.rate.high - score.rate.low < 0.25
        assert (score.strength is None) == (question == "real")
    assert record.n_images == 8
    assert record.n_answers == 60 * 10
    assert record.repeated == 60 * 2

    mirrored = evaluate(*reversed(swapped(key, answers)))
    assert mirrored.scores == record.scores
    assert mirrored.left_rate == pytest.approx(1 - record.left_rate)
    assert mirrored.alike == record.alike


def test_a_study_gets_a_table_of_its_own_in_the_board_of_its_protocol(
    copy: Path, key: StudyKey, key_path: Path, write_answers: Write
) -> None:
    before = leaderboard.write(copy)
    texts = {path.suffix: path.read_text() for path in leaderboard.paths(copy)}

    def choose(trial: Trial) -> str:  # `warm` is never taken for the truth, and `cold` always
        fooled = {trial.left, trial.right} == {1, None}
        return "left" if (trial.left is None) != fooled else "right"

    files = [write_answers(key, name, choose, index % 2) for index, name in enumerate("abc")]
    path, found = read_study(files, key_path, copy, overwrite=False)
    (board,) = found.boards
    assert study_files(copy) == [path]
    rows_before = next(b for b in before.boards if b.protocol.name == "soft-32").rows
    ranks = [[(row.name, row.rank) for row in rows] for rows in (board.rows, rows_before)]
    assert ranks[0] == ranks[1]
    after = {path.suffix: path.read_text() for path in leaderboard.paths(copy)}
    assert after[".csv"] == texts[".csv"]
    title = f"Human study {key.hash[:8]}: Which is the real photo?"
    for suffix in (".md", ".tex", ".html"):
        assert title not in texts[suffix]
        assert after[suffix].count(title) >= 1
    lines = after[".md"].split(f"### {title}")[1].splitlines()
    rows = [re.split(r" *\| *", line)[1:-1] for line in lines if line.startswith("|")]
    assert rows[0] == ["Model", "fooling rate ↑", "answers", "participants"]
    assert [row[0] for row in rows[2:4]] == ["cold", "warm"]
    assert rows[2][1].startswith(r"1.00 \[0.")
    assert rows[3][1].startswith(r"0.00 \[0.00, 0.")
    assert [row[2:] for row in rows[2:4]] == [["12", "3"]] * 2
    text = "\n".join(lines)
    assert "3 participants gave 30 answers about 8 images. Each pair was shown until" in text
    assert "Of 6 pairs that were shown a second time, 6 were answered alike" in text
    assert "Tested again" not in text
    # The study can be deleted, and then the tables are those of before.
    path.unlink()
    leaderboard.write(copy)
    assert {path.suffix: path.read_text() for path in leaderboard.paths(copy)} == texts


def test_a_model_whose_images_were_made_again_is_named(
    copy: Path, key: StudyKey, key_path: Path, write_answers: Write
) -> None:
    files = [write_answers(key, name, left, index) for index, name in enumerate("ab")]
    path, _ = read_study(files, key_path, copy, overwrite=False)
    shutil.rmtree(copy / "cold")
    leaderboard.write(copy)
    assert "Tested again since, with other images: cold." in (copy / "leaderboard.md").read_text()
    assert len(read_record(path, StudyRecord).scores) == 2


def test_answers_that_were_read_before_are_not_lost(
    copy: Path, key: StudyKey, key_path: Path, write_answers: Write
) -> None:
    first, second = (write_answers(key, name, left, index) for index, name in enumerate("ab"))
    path, _ = read_study([first], key_path, copy, overwrite=False)
    read_study([first, second], key_path, copy, overwrite=False)
    content = path.read_bytes()
    with pytest.raises(UserError, match=r"answers are not named \(1\): .* --overwrite"):
        read_study([second], key_path, copy, overwrite=False)
    assert path.read_bytes() == content
    read_study([second], key_path, copy, overwrite=True)
    assert len(read_record(path, StudyRecord).participants) == 1


def test_a_damaged_result_is_left_out_with_its_reason(
    copy: Path, key: StudyKey, key_path: Path, write_answers: Write
) -> None:
    path, _ = read_study([write_answers(key, "a", left)], key_path, copy, overwrite=False)
    good = json.loads(path.read_text())
    moved = copy / "study-other.json"
    for name, values in (
        (path, good | {"left_rate": 2}),
        (path, good | {"protocol_hash": "0"}),
        (moved, good),
    ):
        name.write_text(json.dumps(values))
        assert list(leaderboard.write(copy).refused) == [name.name]
        assert "Human study" not in (copy / "leaderboard.md").read_text() or name == moved
        name.write_text(json.dumps(good))
    path.write_text("{")
    assert path.name in leaderboard.write(copy).refused


# ---- answers that cannot be used -----------------------------------------------------------------


def answer_of(key: StudyKey, index: int, **changes: Any) -> dict[str, Any]:
    trial = next(iter(key.lists[index]))
    return {"trial": trial, "choice": "left", "seconds": 1.0, **changes}


def faulty(key: StudyKey) -> dict[str, dict[str, Any]]:
    """A part of the sentence about a file of answers → the changes that make it so."""
    good = answer_of(key, 0)
    return {
        "has answers to another study": {"study": "0" * 64},
        "names list 2, which the study does not have": {"list_index": 2},
        "which its list does not have": {"answers": [answer_of(key, 1)]},
        "twice: leave": {"answers": [good, good]},
        "answers.0.choice: Input should be 'left' or 'right'": {
            "answers": [answer_of(key, 0, choice="both")]
        },
        "answers.0.seconds": {"answers": [answer_of(key, 0, seconds="1")]},
        "answers: List should have at least 1 item": {"answers": []},
        "extra: Extra inputs are not permitted": {"extra": 1},
        "participant": {"participant": ""},
        "schema_version": {"schema_version": 2},
    }


def test_a_file_of_answers_that_cannot_be_used_is_named_and_nothing_is_written(
    copy: Path, key: StudyKey, key_path: Path, write_answers: Write
) -> None:
    for sentence, changes in faulty(key).items():
        path = write_answers(key, "bad", left, changes=changes)
        with pytest.raises(UserError, match=re.escape(str(path))) as caught:
            read_study([path], key_path, copy, overwrite=False)
        assert sentence in str(caught.value)
    assert not study_files(copy)


def test_files_of_other_kinds_are_named(
    copy: Path, key: StudyKey, key_path: Path, results: Path, plan: Plan, tmp_path: Path
) -> None:
    study_page, _, _ = write_study(["warm"], results, plan, tmp_path / "p.html", overwrite=False)
    text = tmp_path / "answers.json"
    text.write_text("{]")
    for path, sentence in (
        (study_page, "is a web page, not the answers that it saves"),
        (text, "is not valid JSON"),
        (key_path, "is no file of answers"),
        (tmp_path, "it is a folder"),
        (tmp_path / "none.json", "does not exist"),
    ):
        with pytest.raises(UserError, match=re.escape(f"{path} ")) as caught:
            read_study([path], key_path, copy, overwrite=False)
        assert sentence in str(caught.value)
    with pytest.raises(UserError, match="written beside the page with --study"):
        read_study([text], tmp_path / "none.json", copy, overwrite=False)
    with pytest.raises(UserError, match=r"is not a answers\.json of this version|as JSON"):
        read_study([text], text, copy, overwrite=False)


def test_of_several_files_each_fault_is_named(
    key: StudyKey, write_answers: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = write_answers(key, "a", left)
    again = tmp_path / "again.json"
    shutil.copy(good, again)
    other = write_answers(key, "b", left, changes={"study": "1" * 64})
    with pytest.raises(UserError, match=r"again\.json is of the same participant as .*answers-a"):
        read_answers([good, again], key)
    with pytest.raises(UserError, match="2 of 3 files of answers cannot be used"):
        read_answers([good, again, other], key)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == [str(again), str(other)]


def test_the_protocol_must_have_a_test_in_the_results(
    key: StudyKey, key_path: Path, write_answers: Write, tmp_path: Path
) -> None:
    answers = write_answers(key, "a", left)
    with pytest.raises(UserError, match="has no test of the study's protocol, soft-32"):
        read_study([answers], key_path, tmp_path / "empty", overwrite=False)
    assert not (tmp_path / "empty").exists()
