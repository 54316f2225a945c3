"""From run.json files to ranked tables. Nothing is computed that is not in those files."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd

import metrics

from .console import say
from .errors import UserError
from .files import replacing, write_text
from .recipe import Settings
from .results import RunRecord, Score, read_record

ARROWS = {"up": " ↑", "down": " ↓", "none": ""}
FIRST_COLUMNS = ("ssim", "lpips", "delta_e2000")
"""The classic suite's table comes first: Model, SSIM ↑, LPIPS ↓, ΔE ↓; the others follow."""
MARKS = ("**{}**", "*{}*", "***{}***")
"""Best bold, second italic, third bold italic."""
PROTOCOL_FACTS = ("name", "version", "size", "n_pictures")


def read_all(results: Path) -> list[RunRecord]:
    """Every test below `results` that may stand in a table; the others are named, with reasons."""
    records = []
    for path in sorted(results.glob("*/seed-*/tests/*/run.json")):
        try:
            record = read_record(path)
        except UserError as error:
            say(f"Left out: {error}")
            continue
        reason = record.refusal or _lacks(record)
        if reason:
            say(f"Left out: {path}: {reason}.")
        else:
            records.append(record)
    return records


def _lacks(record: RunRecord) -> str | None:
    """What a table needs and the record does not have, or None."""
    missing = [key for key in metrics.METRICS if key not in record.metrics]
    missing += [key for key in PROTOCOL_FACTS if key not in record.protocol]
    return f"it lacks {', '.join(missing)}" if missing else None


def write(results: Path) -> list[Path]:
    """Write leaderboard.md and leaderboard.csv below `results`. UserError if nothing was tested."""
    records = read_all(results)
    if not records:
        raise UserError(f"{results} holds no finished test: train a model, then --mode test.")
    table, text = results / "leaderboard.csv", results / "leaderboard.md"
    with replacing(table) as part:
        pd.DataFrame([_flat(record) for record in _sorted(records)]).to_csv(part, index=False)
    write_text(text, render(records))
    return [text, table]


def render(records: list[RunRecord]) -> str:
    """The leaderboard in Markdown: a table for each protocol, never one for two."""
    by_protocol = defaultdict(list)
    for record in records:
        by_protocol[record.protocol_hash].append(record)
    groups = sorted(by_protocol.values(), key=lambda group: str(group[0].protocol["name"]))
    return "# Leaderboard\n\n" + "\n".join(_section(group) for group in groups)


def _section(records: list[RunRecord]) -> str:
    protocol, code = records[0].protocol, records[0].protocol_hash[:8]
    n = protocol["n_pictures"]
    spread = (
        "; there is no interval of one picture"
        if n == 1
        else ", with half the width of its 95 % bootstrap interval"
    )
    lines = [
        f"## {protocol['name']}",
        "",
        f"{n} test picture{'s' * (n != 1)} of {protocol['size']}×{protocol['size']}; protocol "
        f"`{code}`, version {protocol['version']}. Each value is the mean over pictures{spread}. "
        "KID (σ over its subsets) and JSD are each one value of the whole set.",
        "",
        _markdown(_sorted(records)),
    ]
    for key in metrics.METRICS:
        scores = [r.metrics[key] for r in records if r.kind == "model"]
        reasons = sorted({score.reason for score in scores if score.reason})
        lines += [f"\n{scores[0].label} is empty: {reason}." for reason in reasons]
    return "\n".join(lines) + "\n"


def _sorted(records: list[RunRecord]) -> list[RunRecord]:
    """Best LPIPS first (ΔE2000 where there is none); the fixed rows below."""

    def order(record: RunRecord) -> tuple[str, bool, float, str]:
        key = "lpips" if record.metrics["lpips"].mean is not None else "delta_e2000"
        value = record.metrics[key].mean or 0.0
        return (record.protocol_hash, record.kind == "fixed", value, record.run)

    return sorted(records, key=order)


def _columns() -> list[str]:
    others = [key for key in metrics.METRICS if key not in FIRST_COLUMNS]
    return [*FIRST_COLUMNS, *others]


def _markdown(records: list[RunRecord]) -> str:
    cells = {_header(records[0].metrics[key]): _column(key, records) for key in _columns()}
    table = pd.DataFrame(
        {
            "Model": [_name(record) for record in records],
            **cells,
            "pictures": [str(record.n_scored) for record in records],
            "steps": [str(record.sampling.get("steps", "")) for record in records],
            "parameters": [_millions(record.cost.get("parameters")) for record in records],
            "training": [_duration(record.cost.get("training_seconds")) for record in records],
            "ms/picture": [_milliseconds(record) for record in records],
            "trained on": [_trained_on(record) for record in records],
        }
    )
    return _to_markdown(table)


def _header(score: Score) -> str:
    """As the record has it, since a label names what was chosen: the backbone of LPIPS, say."""
    unit = f" [{score.unit}]" if score.unit else ""
    return f"{score.label}{unit}{ARROWS[score.direction]}"


def _column(key: str, records: list[RunRecord]) -> list[str]:
    """The values of a metric as text, the three best models marked; equal values share a mark."""
    texts = [_value(key, record) for record in records]
    direction = metrics.METRICS[key].direction
    means = [record.metrics[key].mean for record in records]
    ranked = {
        value
        for value, r in zip(means, records, strict=True)
        if r.kind == "model" and value is not None
    }
    if direction == "none":
        return texts
    best = sorted(ranked, reverse=direction == "up")[: len(MARKS)]
    return [
        MARKS[best.index(mean)].format(text) if record.kind == "model" and mean in best else text
        for text, mean, record in zip(texts, means, records, strict=True)
    ]


def _value(key: str, record: RunRecord) -> str:
    score = record.metrics[key]
    if score.mean is None:
        return ""
    digits = 3 if abs(score.mean) < 2 else 2
    if score.low is None or score.high is None:
        is_set = metrics.METRICS[key].gather is not None
        width = f" (σ {score.std:.{digits}f})" if is_set and score.std is not None else ""
    else:
        half = (score.high - score.low) / 2
        width = f" ± {half:.{digits}f}" if half else ""
    return f"{score.mean:.{digits}f}{width}"


def _name(record: RunRecord) -> str:
    """The run, and what of its sampling, seed and weights is not in another column or usual."""
    if record.kind == "fixed":
        of = record.training_data
        return f"{record.model} of {of['name']}, {of['n_train']} pictures" if of else record.model
    name = record.run if record.run == record.model else f"{record.run} ({record.model})"
    sampling = record.sampling.items()
    facts = [
        f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in sampling if k != "steps"
    ]
    if record.seed != Settings.model_fields["seed"].default:
        facts.append(f"seed {record.seed}")
    if record.weights and record.weights.trained_as != record.model:
        facts.append(f"weights of {record.weights.trained_as}")
    if record.weights and Path(record.weights.file).stem != "best":
        facts.append(f"weights {Path(record.weights.file).stem}")
    return ", ".join([name, *facts])


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.2f} M"


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds / 60:.1f} min"


def _milliseconds(record: RunRecord) -> str:
    """With the device, where it is another than trained on."""
    if record.kind == "fixed":
        return ""
    device = record.timing.device
    where = "" if device == record.cost.get("device") else f" ({device})"
    return f"{record.timing.ms_per_picture:.1f}{where}"


def _trained_on(record: RunRecord) -> str:
    return "" if record.kind == "fixed" else str(record.cost.get("device", ""))


def _to_markdown(table: pd.DataFrame) -> str:
    """A Markdown table, columns padded so that the file reads well as plain text too."""
    rows = [list(table.columns), *(list(row) for row in table.itertuples(index=False))]
    safe = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in safe) for column in range(len(table.columns))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in safe]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _flat(record: RunRecord) -> dict[str, Any]:
    """A row of leaderboard.csv, at full precision."""
    row: dict[str, Any] = {
        "protocol": record.protocol["name"],
        "protocol_hash": record.protocol_hash,
        "kind": record.kind,
        "model": record.model,
        "run": record.run,
        "seed": record.seed,
        "sampling": " ".join(f"{key}={value}" for key, value in record.sampling.items()),
        "weights_sha256": record.weights.sha256 if record.weights else "",
        "n": record.n_scored,
    }
    for key, score in record.metrics.items():
        row |= {key: score.mean, f"{key}_std": score.std, f"{key}_low": score.low}
        row |= {f"{key}_high": score.high}
    row |= {"ms_per_picture": record.timing.ms_per_picture, "test_device": record.timing.device}
    row |= record.cost
    return row
