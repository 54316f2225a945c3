"""What is published can be re-made: the tables follow from the records, whose numbers agree."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark import leaderboard
from benchmark.results.folders import TestFolder, study_file, study_files
from benchmark.results.records import RunRecord
from benchmark.results.schema import read_record, write_record
from benchmark.results.study import StudyRecord
from experiments.publish import PUBLISHED, main

FOLDERS = sorted(path for path in PUBLISHED.glob("*") if path.is_dir())
TABLES = ("md", "csv", "tex", "html")
ALLOWED = {"run.json", "per_image.csv", "settings.json", "history.jsonl", "cost.json"}
ALLOWED |= {f"leaderboard.{suffix}" for suffix in TABLES}


def test_something_is_published() -> None:
    assert FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_tables_are_those_of_the_records(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / folder.name
    shutil.copytree(folder, copied)
    for suffix in TABLES:
        (copied / f"leaderboard.{suffix}").unlink()
    leaderboard.write(copied)
    for suffix in TABLES:
        written = (copied / f"leaderboard.{suffix}").read_text()
        assert written == (folder / f"leaderboard.{suffix}").read_text()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_records_agree_with_the_scores_of_single_images(folder: Path) -> None:
    tests = list(TestFolder.all_below(folder))
    assert tests
    for test in tests:
        record = read_record(test.record, RunRecord)
        table = pd.read_csv(test.per_image, dtype={"sample": str})  # "mean" is one of several
        samples = table[table["sample"] != "mean"]
        first = samples[samples["sample"] == "0"]
        assert record.n_scored == len(first)
        for key, score in record.metrics.items():
            if key in first and score.mean is not None:
                rows = samples if key.startswith("diversity_") else first
                assert score.mean == pytest.approx(rows[key].mean(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_neither_weights_nor_images_are_published(folder: Path) -> None:
    studies = {path.name for path in study_files(folder)}
    assert {path.name for path in folder.rglob("*") if path.is_file()} <= ALLOWED | studies
    page = (folder / "leaderboard.html").read_text()
    assert "data:image" not in page
    assert "Gallery" not in page


def test_a_study_with_people_is_published_with_its_table(tmp_path: Path) -> None:
    results = tmp_path / "R"
    shutil.copytree(FOLDERS[0], results)
    record = read_record(next(TestFolder.all_below(results)).record, RunRecord)
    model = {
        "name": record.model, "run": record.run, "seed": record.seed, "test": "t",
        "per_image_sha256": record.per_image_sha256,
    }  # fmt: skip
    rate = {"value": 0.25, "low": 0.125, "high": 0.5}
    score = {"model": model, "answers": 8, "participants": 2, "rate": rate, "strength": None}
    study = StudyRecord.model_validate(
        {
            "study": "0" * 64, "question": "real", "protocol": record.protocol.name,
            "protocol_hash": record.protocol_hash, "seconds": 1.0, "participants": ["a", "b"],
            "n_images": 4, "n_answers": 8, "left_rate": 0.5, "repeated": 0, "alike": 0,
            "scores": [score], "finished": "2025-01-01T00:00:00+00:00",
        }
    )  # fmt: skip
    write_record(study_file(results, study.study), study)
    main("with-study", results=results, published=tmp_path)
    folder = tmp_path / "with-study"
    assert read_record(study_file(folder, study.study), StudyRecord) == study
    text = (folder / "leaderboard.md").read_text()
    assert "### Human study 00000000: Which is the real photo?" in text
    assert r"| 0.25 \[0.12, 0.50\] | 8       | 2 " in text


def test_publishing_what_is_published_changes_nothing(tmp_path: Path) -> None:
    folder = FOLDERS[0]
    main(folder.name, results=folder, published=tmp_path)
    for path in folder.rglob("*"):
        if path.is_file():
            assert (tmp_path / folder.name / path.relative_to(folder)).read_bytes() == (
                path.read_bytes()
            )
