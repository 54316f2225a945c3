"""`study` and `study read` from the command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmark.evaluation import baselines
from benchmark.results.folders import require_run_name
from tests.leaderboard_support import add, prepare
from tests.support import RunCommand


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of a model, of one called read, and of the ground truth, on 4 images."""
    folder, setup = tmp_path / "R", prepare(4)
    baselines.test_baselines(folder, setup, None)
    add(folder, "warm", (20.0, 60.0), setup)
    add(folder, "read", (0.0, -40.0), setup)
    return folder


def answers_of(key: dict[str, Any], digest: str, participant: str) -> dict[str, Any]:
    answers = [{"trial": trial, "choice": "right", "seconds": 0.5} for trial in key["lists"][0]]
    return {
        "schema_version": 1, "study": digest, "participant": participant, "list_index": 0,
        "started": "2025-01-01T00:00:00Z", "answers": answers,
    }  # fmt: skip


def test_a_page_is_written_and_its_answers_are_read(
    run: RunCommand, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ["--results", str(results)]
    code, text, err = run("study", "warm", str(results / "read/seed-8000"), *out)
    assert code == 0, err
    assert text.splitlines() == ["study.html", "study.json"]
    assert "`main.py study read`" in err
    page = Path("study.html").read_text(encoding="utf-8")
    key = json.loads(Path("study.json").read_text(encoding="utf-8"))
    digest = page.split('{"hash": "')[1][:64]
    for participant in ("a", "b"):
        content = json.dumps(answers_of(key, digest, participant))
        Path(f"answers-{participant}.json").write_text(content)
    code, text, err = run("study", "read", "answers-a.json", "answers-b.json", *out)
    assert code == 0, err
    assert f"### Human study {digest[:8]}: Which is the real photo?" in text
    assert f"Written: {results / f'study-{digest[:12]}.json'}" in err

    for wrong, message in (
        (("study", "warm", *out), "study.html exists: name another --out"),
        (("study", "warm", "nobody", *out, "--out", "x.html"), "nobody"),
        (("study", "read", "answers-a.json", *out), "answers are not named (1)"),
        (("study", "read", "study.html", *out), "study.html is a web page"),
        (("study", "read", "answers-a.json", "--study", "no.json", *out), "no.json does not exist"),
        (("study", "warm", "--question", "best", *out), "'best' is not one of"),
        (("study", "warm", "--seconds", "0", *out), "0.05"),
    ):
        code, text, err = run(*wrong)
        assert (code, text) == (2, "")
        assert message in err
        assert "Traceback" not in err


def test_a_run_or_folder_that_is_called_read_is_named_by_its_path(
    run: RunCommand, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ["--results", str(results), "--out"]
    shutil.copytree(results / "read", "read")
    code, _, err = run("study", "read", *out[:2])
    assert code == 2
    assert "Missing argument 'ANSWERS...'" in err
    (tmp_path / "a.json").write_text("{}")
    Path("study.json").write_text("{}")
    assert "write ./read" in run("study", "read", "a.json", *out[:2])[2]
    Path("study.json").unlink()
    assert run("study", str(results / "read"), *out, "one.html")[0] == 0
    assert run("study", "warm", "read", *out, "two.html")[0] == 0
    shutil.copytree(results / "ground-truth", "R2/ground-truth")
    shutil.move("read", "R2/read")
    monkeypatch.chdir("R2")
    assert run("study", "./read", *out, "three.html")[0] == 0


def test_no_run_may_have_the_name_of_a_study() -> None:
    require_run_name("--run", "study-1")
    with pytest.raises(Exception, match="reserved"):
        require_run_name("--run", "study-0123456789ab.json")
