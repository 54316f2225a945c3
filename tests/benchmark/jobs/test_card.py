"""A model card says what run.json says, and is uploaded with weights that can be loaded."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import ModelCard

from benchmark.checkpoints import read_header
from benchmark.inference import hub
from benchmark.inference.card import writing
from tests.export_support import export_tiny
from tests.support import RunCommand

Push = Callable[..., tuple[int, str, str]]


def test_the_card_of_a_run_has_its_row_its_figure_and_its_scores(
    run: RunCommand, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--model", "unet", *options)[0] == 0
    results = ["--results", str(tmp_path / "out")]
    code, out, err = run("card", "unet", *results, "--license", "CC BY 4.0 <b>")
    assert (code, out) == (0, "card/README.md\ncard/figure.png\n"), err
    text = Path("card/README.md").read_text(encoding="utf-8")
    card = ModelCard(text)
    about = read_header_of(run, results)
    (scores,) = about.tests
    found = {result.metric_type: result for result in card.data.eval_results}
    assert found["ssim"].metric_value == scores.metrics["ssim"].mean
    assert found["ssim"].dataset_revision == scores.protocol.manifest
    assert set(found) == {key for key, score in scores.metrics.items() if score.mean is not None}
    row = next(line for line in text.splitlines() if line.startswith("| 1 "))
    leaderboard = Path("out/leaderboard.md").read_text(encoding="utf-8")
    assert (
        row.split()
        == next(line for line in leaderboard.splitlines() if line.startswith("| 1 ")).split()
    )
    assert "![The gray input" in text
    assert "CC BY 4.0 \\<b\\>" in text
    assert "brownish or gray" in text
    assert str(tmp_path) not in text
    code, _, err = run("card", "unet", *results)
    assert code == 2
    assert "card/README.md exists" in err


def read_header_of(run: RunCommand, results: list[str]) -> Any:
    assert run("export", "unet", *results)[0] == 0
    return read_header(Path("unet.safetensors")).portable


@pytest.fixture
def push(run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Push:
    """push(token) → (code, stdout, stderr); what is uploaded lies in the folder `uploaded`."""
    monkeypatch.chdir(tmp_path)
    export_tiny(tmp_path / "w.safetensors", "unetddim")
    made: list[Any] = []

    class Api:
        def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> str:
            made.append((name, private))
            return f"https://hub.example/{name}"

        def create_commit(self, name: str, operations: list[Any], commit_message: str) -> None:
            Path("uploaded").mkdir()
            for operation in operations:
                target = Path("uploaded") / operation.path_in_repo
                shutil.copyfile(operation.path_or_fileobj, target)

    def call(token: str | None, *more: str) -> tuple[int, str, str]:
        fake = SimpleNamespace(
            get_token=lambda: token,
            HfApi=Api,
            CommitOperationAdd=huggingface_hub.CommitOperationAdd,
            ModelCardData=huggingface_hub.ModelCardData,
            EvalResult=huggingface_hub.EvalResult,
            ModelCard=huggingface_hub.ModelCard,
        )
        monkeypatch.setattr(hub, "library", lambda: fake)
        monkeypatch.setattr(writing, "library", lambda: fake)
        return run("push", "unetddim", "--weights", "w.safetensors", "--to", "me/colors", *more)

    return call


def test_push_uploads_weights_and_card_in_one_commit(push: Push) -> None:
    code, out, err = push("token")
    assert (code, out) == (0, "https://hub.example/me/colors\n"), err
    assert sorted(path.name for path in Path("uploaded").iterdir()) == [
        "README.md",
        "model.safetensors",
    ]
    text = Path("uploaded/README.md").read_text(encoding="utf-8")
    assert "--weights hf:me/colors" in text
    assert "Two seeds give two colorings" in text
    assert ModelCard(text).data.tags == [*writing.TAGS, "unetddim"]
    assert read_header(Path("uploaded/model.safetensors")).model == "unetddim"


def test_push_needs_a_login_and_a_repository(push: Push, run: RunCommand) -> None:
    code, out, err = push(None)
    assert (code, out) == (2, "")
    assert "You are not logged in to the Hugging Face Hub: run `hf auth login` first." in err
    assert not Path("uploaded").exists()
    code, _, err = run("push", "unetddim", "--weights", "w.safetensors", "--to", "colors")
    assert code == 2
    assert "colors is no repository: name it as owner/name" in err
