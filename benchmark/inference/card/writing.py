"""A model card: what weights are for, how they score, and their limits, as the Hub shows them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.checkpoints import Weights
from benchmark.inference.hub import library
from benchmark.leaderboard.formats import markdown_table, markdown_text
from benchmark.leaderboard.notes import caption
from benchmark.leaderboard.ranking import Leaderboard
from benchmark.leaderboard.tables import Cell, Table, metric_heading, quality_of, value_text
from benchmark.results.portable import Portable, TestScores

TEMPLATE = Path(__file__).with_name("card.md.jinja")
TASK = "image-colorization"
TAGS = [TASK, "colorization", "chromabench"]
DRAWN = "Two seeds give two colorings, and both are guesses."
MEAN = "Where several colors are likely, the answer tends to their mean, which is brownish or gray."


@dataclass(frozen=True)
class Subject:
    """What a card is about.

    name: of the run. summary: of the model under models/. weights: what `--weights` has to be to
    use them. figure: the name of the figure beside the card, or None.
    """

    name: str
    summary: str
    weights: str
    figure: str | None


def card_of(subject: Subject, loaded: Weights, about: Portable, board: Leaderboard | None) -> str:
    """Return a model card as Markdown with the metadata of the Hub.

    board: the leaderboard of the results that the weights are of, for the row with its rank; None
    for a file from elsewhere, whose own scores are shown. Raises UserError without huggingface_hub.
    """
    hub = library()
    data = hub.ModelCardData(
        model_name=subject.name,
        library_name="chromabench",
        pipeline_tag="image-to-image",
        tags=[*TAGS, loaded.trained_as],
        license="other",
        license_name="see-below",
        eval_results=[*_eval_results(hub, about.tests)] or None,
    )
    rows = [] if board is None else list(_rows(board, loaded.sha256))
    content: dict[str, Any] = {
        "title": markdown_text(subject.name),
        "summary": subject.summary,
        "figure": subject.figure,
        "weights": subject.weights,
        "size": about.training.settings["size"],
        "facts": [(name, markdown_text(value)) for name, value in _facts(loaded, about)],
        "boards": rows or [*_own_scores(about.tests)],
        "guess": DRAWN if loaded.model.stochastic else MEAN,
        "license": markdown_text(about.license),
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    return str(hub.ModelCard.from_template(data, template_str=template, **content))


def _eval_results(hub: Any, tests: Sequence[TestScores]) -> Iterator[Any]:
    """Yield a result for each metric of each test that has a value."""
    for test in tests:
        for key, score in test.metrics.items():
            if score.mean is not None:
                yield hub.EvalResult(
                    task_type=TASK,
                    dataset_type=test.protocol.name,
                    dataset_name=f"{test.protocol.name}, {test.n_scored} images",
                    dataset_revision=test.protocol.manifest,
                    dataset_args={"protocol_hash": test.protocol_hash, **_sampling(test)},
                    metric_type=key,
                    metric_name=score.label,
                    metric_value=score.mean,
                )


def _sampling(test: TestScores) -> dict[str, Any]:
    return {name: test.sampling.get(name) for name in test.sampling_changes}


def _rows(board: Leaderboard, sha256: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield the row of the weights under each protocol, with the fixed rows beside it."""
    for one in board.boards:
        own = [
            row
            for row in one.models
            if any(t.record.weights and t.record.weights.sha256 == sha256 for t in row.tests)
        ]
        if own:
            table = quality_of(one, [*own, *(row for row in one.rows if row.is_fixed)])
            text = f"{caption(one)} Its rank is among {len(one.models)} rows."
            yield markdown_text(one.protocol.name), text, markdown_table(table), table.note


def _own_scores(tests: Sequence[TestScores]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the scores that a file of weights has of each test."""
    for test in tests:
        scores = [score for score in test.metrics.values() if score.mean is not None]
        cells = [Cell(value_text(score)) for score in scores]
        table = Table("", [metric_heading(score) for score in scores], [cells])
        text = f"{test.n_scored} images. Protocol {test.protocol_hash[:12]}."
        yield markdown_text(test.protocol.name), text, markdown_table(table), ""


def _facts(loaded: Weights, about: Portable) -> Iterator[tuple[str, str]]:
    training, data = about.training, about.training.training_data
    yield "Model", loaded.trained_as
    yield "Parameters", f"{sum(p.numel() for p in loaded.model.parameters()):,}"
    yield "Training images", f"{data.n_train:,} of {data.name}, {training.settings['size']} pixels"
    yield "Manifest of the images", data.manifest
    pretrained = training.pretrained
    yield "Encoder pretrained on", "nothing" if pretrained is None else pretrained.label
    yield "Weights of epoch", f"{loaded.epoch}, averaged"
    if about.cost is not None:
        minutes = about.cost.training_seconds / 60
        yield "Training time", f"{minutes:.0f} minutes on {about.cost.device}"
    yield "Seed", str(about.seed)
    yield "SHA-256 of the weights in their run", about.source_sha256
    yield "Commit", about.environment.get("commit", "unknown")
