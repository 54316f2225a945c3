"""Damaged and forged tests are left out with one sentence, and never stop the others' tables."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark import leaderboard
from benchmark.errors import UserError
from benchmark.evaluation.calibration import PROBABILITIES
from benchmark.evaluation.recorded import write_table
from benchmark.files import sha256_of_bytes
from benchmark.leaderboard import FORMATS, ranking
from benchmark.leaderboard.plots import plots_of
from benchmark.leaderboard.ranking import Leaderboard, read
from benchmark.metrics.table import METRICS
from benchmark.results.folders import TestFolder

Make = Callable[..., dict[str, Any]]
VALUES: list[Any] = [
    None, "", "x\n|<b>$\\\ud800", [None], {"a": 1}, -1, 1e300, 10**400
]  # fmt: skip


REPEATED = re.compile(
    r"calibration\.kinds\.car\.|.*shares\.(?!red)\w+\.|samples\.(mean|best)\.(?!ssim)\w+\."
    r"|metrics\.(?!ssim|kid|diversity_lpips)\w+\."
)
"""Places that have the same schema as another one, and are not tried."""


@pytest.fixture
def good(add_record: Callable[..., Path]) -> TestFolder:
    return TestFolder(add_record("good", {"lpips": 0.2}).parent)


@pytest.fixture
def other(add_record: Callable[..., Path], make_record: Make) -> TestFolder:
    """A test with every part that a test may have: two samples and a calibration."""
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6}
    overall = {
        "n_objects": 3, "n_images": 2, "shares": dict.fromkeys(PROBABILITIES, estimate),
        "total_variation": estimate, "truth": 0.1, "perfect": 0.1, "perfect_high": 0.2,
    }  # fmt: skip
    calibration = {
        "n_samples": 2, "n_left_out": 0, "probabilities": dict(PROBABILITIES), "overall": overall,
        "kinds": {"car": overall}, "per_object": estimate, "per_object_perfect": 0.3,
    }  # fmt: skip
    record = make_record({"lpips": 0.3})
    between = {key for key, metric in METRICS.items() if metric.between_samples}
    measured = record["metrics"]["ssim"]
    for key in between:
        record["metrics"][key] |= {**{k: measured[k] for k in ("mean", "std", "low", "high")}}
        record["metrics"][key]["reason"] = None
    single = {key: record["metrics"][key] for key in METRICS if METRICS[key].per_image}
    best = {key: score for key, score in single.items() if METRICS[key].direction != "none"}
    path = add_record(
        "other",
        metrics=record["metrics"],
        sampling={"steps": 5, "eta": 0.0},
        sampling_changes=["eta"],
        calibration=calibration,
    )
    folder = TestFolder(path.parent)
    first = pd.read_csv(folder.per_image, dtype={"sample": str})
    parts = []
    for sample in ("0", "1", "mean"):
        output = [f"{folder.sample_folder(0 if sample == '0' else sample)}/{n}" for n in first.file]
        part = first.assign(sample=sample, output=output)
        parts.append(part if sample == "mean" else part.assign(**dict.fromkeys(between, 0.5)))
    written = json.loads(path.read_text())
    written["samples"] = {"count": 2, "mean": single, "best": best}
    written["per_image_sha256"] = write_table(folder.per_image, pd.concat(parts))
    path.write_text(json.dumps(written))
    return folder


def mutations(value: Any) -> Iterator[tuple[str, Any]]:
    """Every change of one place of a JSON value: another value there, or the key left out."""
    for replacement in VALUES:
        yield f"= {str(replacement)[:20]}", replacement
    if isinstance(value, dict):
        for key in value:
            yield f"without {key}", {k: v for k, v in value.items() if k != key}
            for what, inner in mutations(value[key]):
                yield f"{key}.{what}", {**value, key: inner}
        yield "and another key", {**value, "other": 1}
    elif isinstance(value, list) and value:
        for what, inner in mutations(value[0]):
            yield f"0.{what}", [inner, *value[1:]]


def try_to_read(folder: TestFolder, what: str) -> ranking.TestResult | None:
    """Read a test; None if it is refused, which must be one sentence."""
    try:
        return ranking._read_test(folder)
    except UserError as error:
        message = str(error)
        assert len(message.splitlines()) == 1, (what, message)
        assert len(message) < 1200, (what, message)
        return None


def write_all(tests: list[ranking.TestResult]) -> None:
    """Write tables of these tests in every format."""
    by_protocol: dict[str, list[ranking.TestResult]] = {}
    for test in tests:
        by_protocol.setdefault(test.record.protocol_hash, []).append(test)
    found = Leaderboard([ranking._board(group, "lpips") for group in by_protocol.values()], {})
    for write in FORMATS.values():
        write(found)


@pytest.mark.usefixtures("without_plots")
def test_every_change_of_a_record_is_refused_in_one_sentence_or_tabulated(
    good: TestFolder, other: TestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads(other.record.read_text())
    first, table = ranking._read_test(good), ranking._read_test(other).table
    monkeypatch.setattr("benchmark.evaluation.recorded.read_table", lambda path, sha256: table)
    monkeypatch.setattr("benchmark.statistics.RESAMPLES", 20)
    monkeypatch.setattr("benchmark.leaderboard.page._gallery", lambda board: None)
    accepted: dict[str, ranking.TestResult] = {}
    refused = 0
    for what, changed in mutations(record):
        if REPEATED.match(what):
            continue
        monkeypatch.setattr("benchmark.results.schema.read_json", lambda path, c=changed: c)
        test = try_to_read(other, what)
        refused += test is None
        if test is not None:
            accepted[what] = test
    assert refused > 300
    assert len(accepted) > 100
    for what, test in accepted.items():
        try:
            write_all([first, test])
        except Exception as error:
            raise AssertionError(what) from error


def rehash(folder: TestFolder, content: bytes) -> None:
    """Write a table and put its hash into run.json."""
    folder.per_image.write_bytes(content)
    record = json.loads(folder.record.read_text())
    folder.record.write_text(json.dumps({**record, "per_image_sha256": sha256_of_bytes(content)}))


def in_a_metric(text: str, value: str) -> str:
    return re.sub(r"0\.8995\d*", value, text)


TABLES: dict[str, Callable[[str], str | bytes]] = {
    "empty": lambda text: "",
    "binary": lambda text: bytes(range(256)) * 20,
    "other encoding": lambda text: text.replace("0.png", "é.png").encode("latin-1"),
    "cut": lambda text: text[: len(text) // 2],
    "cut in a line": lambda text: text[:-30],
    "heading alone": lambda text: text.splitlines()[0] + "\n",
    "no heading": lambda text: "\n".join(text.splitlines()[1:]),
    "line left out": lambda text: "\n".join(text.splitlines()[:-1]),
    "line twice": lambda text: text + text.splitlines()[-1] + "\n",
    "longer line": lambda text: text.replace("images/1.png", "images/1.png,1,2"),
    "unclosed quote": lambda text: text.replace("images/1.png", '"images/1.png'),
    "text in a metric": lambda text: in_a_metric(text, "much"),
    "NaN in a metric": lambda text: in_a_metric(text, "NaN"),
    "nothing in a metric": lambda text: in_a_metric(text, ""),
    "infinity in a metric": lambda text: in_a_metric(text, "inf"),
    "extreme number": lambda text: in_a_metric(text, "1e300"),
    "huge number": lambda text: in_a_metric(text, "9" * 400),
    "truth value": lambda text: in_a_metric(text, "True"),
    "other column": lambda text: text.replace("ssim", "beauty"),
    "column twice": lambda text: text.replace("psnr", "ssim"),
    "no identity": lambda text: text.replace("output_sha256", "hash"),
    "other folder": lambda text: text.replace("images/1.png", "../1.png"),
    "no output": lambda text: text.replace("images/1.png", ""),
    "zero byte": lambda text: text.replace("images/1.png", "images/\0.png"),
    "long field": lambda text: text.replace("images/1.png", f"images/{'x' * 300_000}.png"),
    "deep": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("change", TABLES.values(), ids=TABLES)
def test_a_damaged_table_is_refused_even_with_a_matching_hash(
    good: TestFolder, change: Callable[[str], str | bytes]
) -> None:
    changed = change(good.per_image.read_text())
    rehash(good, changed if isinstance(changed, bytes) else changed.encode())
    assert try_to_read(good, "table") is None


DAMAGES: dict[str, bytes | None] = {
    "empty": b"",
    "cut": b'{"schema_version": 4, "kin',
    "list": b"[]",
    "null": b"null",
    "number": b"1" * 10_000,
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "no UTF-8": b"\xff\xfe{}",
    "zero bytes": bytes(1000),
    "folder": None,
}


@pytest.mark.usefixtures("without_plots")
def test_a_damaged_test_stops_no_other(
    tmp_path: Path, good: TestFolder, add_record: Callable[..., Path]
) -> None:
    for number, content in enumerate(DAMAGES.values()):
        for file in ("run.json", "per_image.csv", "objects.csv"):
            path = add_record(f"{file}-{number}").parent / file
            path.unlink(missing_ok=True)
            path.mkdir() if content is None else path.write_bytes(content)
    found = leaderboard.write(tmp_path)
    assert len(found.refused) == 2 * len(DAMAGES)  # objects.csv is not read
    assert len(found.boards[0].rows) == 1 + len(DAMAGES)
    page = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    left_out = page.partition("## Left out\n\n")[2].splitlines()
    assert len(left_out) == len(found.refused)


def test_odd_but_valid_values_are_drawn(tmp_path: Path, add_record: Callable[..., Path]) -> None:
    """The largest numbers, equal rows, names of 100 characters, devices with control characters."""
    cost = {"device": "\0\n<$x$>" * 50, "training_seconds": 1e19, "peak_device_bytes": 2**62}
    for number, (run, value) in enumerate(
        [("a" * 100, 1e19), ("\u202e</script>", -1e19), ("equal", 0.0), ("$\\frac$", 0.0)]
    ):
        means = dict.fromkeys(METRICS, value)
        path = add_record(run, means)
        record = json.loads(path.read_text())
        record["cost"] |= cost if number % 2 else {}
        record["timing"] = {"ms_per_image": 5e18 * number, "batch_size": 1, "device": "\x1b[0m"}
        path.write_text(json.dumps(record))
    found = read(tmp_path)
    assert found.refused == {}
    assert len(plots_of(found.boards[0], "x")) > 4
    for write in FORMATS.values():
        write(found)
