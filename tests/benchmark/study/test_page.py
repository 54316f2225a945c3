"""The page of a study: blind, reproducible, complete, and made of the images that were scored."""

import json
import re
import shutil
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.jobs.study import Plan, make_key, write_study
from benchmark.results.folders import TestFolder
from benchmark.results.schema import read_record
from benchmark.results.study import StudyKey
from benchmark.study.outputs import gather


class Parts(HTMLParser):
    """The data of a page, and everything else that stands in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.data: dict[str, Any] = {}
        self.rest = text
        self.feed(text)

    def handle_data(self, data: str) -> None:
        if data.startswith('{"hash"'):
            self.data = json.loads(data)
            self.rest = self.rest.replace(data, "")


def written(results: Path, folder: Path, plan: Plan, *names: str) -> tuple[str, StudyKey]:
    """Return the text of a study's page and its key as read from their files."""
    page, key_path, _ = write_study(
        names or ("warm", "cold"), results, plan, folder / "study.html", overwrite=True
    )
    return page.read_text(encoding="utf-8"), read_record(key_path, StudyKey)


@pytest.mark.parametrize("question", ["real", "better"])
def test_the_page_shows_the_images_of_the_key(
    results: Path, tmp_path: Path, plan: Plan, question: Any
) -> None:
    plan = replace(plan, question=question, repeats=2, seconds=1.0)
    text, key = written(results, tmp_path, plan)
    data = Parts(text).data
    assert (data["hash"], data["seconds"]) == (key.hash, 1.0)
    material = gather(("warm", "cold"), results, question)
    assert len(data["lists"]) == len(key.lists) == (2 if question == "real" else 1)
    for shown, trials in zip(data["lists"], key.lists, strict=True):
        assert [pair[0] for pair in shown] == list(trials)
        for (_, *places), trial in zip(shown, trials.values(), strict=True):
            for place, side in zip(places, (trial.left, trial.right), strict=True):
                outputs = material.truth if side is None else material.models[side]
                assert outputs is not None
                head, content = data["images"][place].split(",")
                assert head == "data:image/png;base64"
                assert b64decode(content) == outputs.read(trial.image)
    assert len(set(data["images"])) == len(data["images"]) == (24 if question == "real" else 16)


@pytest.mark.parametrize("question", ["real", "better"])
def test_nothing_in_the_page_names_a_model_a_file_or_the_answer(
    results: Path, tmp_path: Path, plan: Plan, question: Any
) -> None:
    text, key = written(results, tmp_path, replace(plan, question=question))
    images = r"data:image/png;base64,[A-Za-z0-9+/=]+"
    plain = re.sub(images, "", text).lower()
    names = {model.name for model in key.models} | {model.test for model in key.models}
    names |= {trial.image for trial in key.lists[0].values()}
    names |= {"truth", "soft-32", key.protocol_hash, "alert(1)", str(results).lower(), ".png"}
    assert not [name for name in names if name.lower() in plain]
    data = Parts(text).data
    assert data.keys() == {"hash", "seconds", "images", "lists"}
    assert all(re.fullmatch("[0-9a-f]{8}", pair[0]) for one in data["lists"] for pair in one)
    # Neither the place of an image nor that of a pair tells whether it is of the first model.
    order = [
        str(trial.right if trial.left is None else trial.left) for trial in key.lists[0].values()
    ]
    assert order != sorted(order)


def test_the_page_fetches_nothing_and_is_the_same_again(
    results: Path, tmp_path: Path, plan: Plan
) -> None:
    text, _ = written(results, tmp_path, plan)
    assert "default-src 'none'" in text
    assert "://" not in Parts(text).rest
    assert not re.search(r"\b(src|href)=\"(?!data:)", Parts(text).rest)
    assert written(results, tmp_path, plan)[0] == text
    assert written(results, tmp_path, replace(plan, seed=1))[0] != text


def test_names_of_models_are_those_of_their_rows_and_differ(
    results: Path, tmp_path: Path, plan: Plan
) -> None:
    tests = [f"{results}/seeds/seed-{seed}" for seed in (1, 2)]
    _, key = written(results, tmp_path, plan, *tests, "gray")
    assert [model.name for model in key.models] == ["seeds, seed 1", "seeds, seed 2", "gray"]


MISTAKES: list[tuple[list[str], dict[str, Any], str]] = [
    (["warm", "alone"], {}, "different protocols, soft-32 ("),
    (["warm"], {"question": "better"}, "name two or more tests"),
    (["warm", "warm"], {}, "name it once"),
    (["ground-truth"], {}, "is the truth itself"),
    (["seeds"], {}, "has 2 tests: name the folder of one"),
    (["nobody"], {}, "There is no run.json in nobody"),
    (["warm"], {"images": 9}, "--images 9: the test has 8 images"),
    (["warm"], {"images": 4, "trials": 5}, "--trials 5: a participant sees each image once"),
    (["warm"], {"trials": 5, "repeats": 6}, "--repeats 6: a list has 5 pairs"),
    (["alone"], {}, "has no row of the ground truth of spare-32"),
]


@pytest.mark.parametrize(("names", "changes", "sentence"), MISTAKES, ids=lambda value: str(value))
def test_tests_that_make_no_study_are_refused_before_anything_is_written(
    results: Path,
    tmp_path: Path,
    plan: Plan,
    names: list[str],
    changes: dict[str, Any],
    sentence: str,
) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        write_study(names, results, replace(plan, **changes), tmp_path / "s.html", overwrite=False)
    assert not list(tmp_path.iterdir())


def test_a_missing_or_changed_image_is_named_and_nothing_is_written(
    results: Path, tmp_path: Path, plan: Plan
) -> None:
    copy, out = tmp_path / "R", tmp_path / "study.html"
    shutil.copytree(results, copy)
    (test,) = TestFolder.named("warm", copy)
    image = next(test.images.iterdir())
    image.write_bytes(b"no image")
    with pytest.raises(UserError, match="is not the image that was scored"):
        write_study(["warm"], copy, plan, out, overwrite=False)
    image.unlink()
    with pytest.raises(UserError, match=r"cannot be read \(No such file or directory\)"):
        write_study(["warm"], copy, plan, out, overwrite=False)
    assert list(tmp_path.iterdir()) == [copy]


def test_neither_page_nor_key_is_written_over_unless_asked_for(
    results: Path, tmp_path: Path, plan: Plan
) -> None:
    for name in ("study.html", "study.json"):
        path = tmp_path / name
        path.write_text("kept")
        with pytest.raises(UserError, match=f"{name} exists: .* --overwrite"):
            write_study(["warm"], results, plan, tmp_path / "study.html", overwrite=False)
        assert path.read_text() == "kept"
        path.unlink()
        path.mkdir()
        with pytest.raises(UserError, match=f"{name} is a folder"):
            write_study(["warm"], results, plan, tmp_path / "study.html", overwrite=True)
        path.rmdir()
    with pytest.raises(UserError, match=r"ends in \.html"):
        write_study(["warm"], results, plan, tmp_path / "study.json", overwrite=True)


def test_a_key_that_was_changed_is_another_study(results: Path, plan: Plan) -> None:
    key = make_key(gather(["warm", "cold"], results, "real"), plan)
    models = list(reversed(key.models))
    assert key.model_copy(update={"models": models}).hash != key.hash
    assert StudyKey.model_validate(key.model_dump()).hash == key.hash
    values = key.model_dump()
    next(iter(values["lists"][0].values()))["left"] = 2
    with pytest.raises(ValueError, match="not of two models"):
        StudyKey.model_validate(values)
