"""The table of pretrained encoders: which rows are paired, and the paired difference."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.leaderboard.pairs import pairs_of
from benchmark.leaderboard.ranking import read
from tests.leaderboard_support import tables

pytestmark = pytest.mark.usefixtures("without_plots")
PRETRAINED = {
    "name": "efficientnet_lite0", "data": "ImageNet-1k", "source": "file", "sha256": "1" * 64,
}  # fmt: skip
LPIPS = "LPIPS (alex) ↓ difference"


def test_a_row_with_an_encoder_is_paired_with_the_best_of_its_model_from_scratch(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    add_record("unet", {"lpips": 0.2, "colorfulness": 20.0})
    add_record("wider", {"lpips": 0.19, "colorfulness": 21.0}, model="unet")
    add_record(
        "unet-lite", {"lpips": 0.15, "colorfulness": 25.0}, model="unet", pretrained=PRETRAINED
    )
    add_record("gan", {"lpips": 0.3})
    add_record("alone", {"lpips": 0.3}, pretrained=PRETRAINED)
    add_record("ddim", {"lpips": 0.3}, sampling={"steps": 50})
    add_record(
        "ddim-lite", {"lpips": 0.3}, model="ddim", sampling={"steps": 20}, pretrained=PRETRAINED
    )
    rows = tables(tmp_path)["photos-64"]
    (board,) = read(tmp_path).boards
    (pair,) = pairs_of(board)
    assert (pair.pretrained.record.run, pair.scratch.record.run) == ("unet-lite", "wider")
    found = {name: row for name, row in rows.items() if LPIPS in row}
    assert list(found) == ["unet-lite (unet)"]
    row = found["unet-lite (unet)"]
    assert row["from scratch"] == "wider (unet)"
    # The images of both rows vary together, so their difference has no spread.
    assert row[LPIPS] == "-0.040 [-0.040, -0.040]"
    assert row["Colorfulness difference"] == "+4.00 [+4.00, +4.00]"


def test_without_pairs_there_is_no_such_table(
    tmp_path: Path, add_record: Callable[..., Path]
) -> None:
    add_record("unet", {"lpips": 0.2})
    add_record("gan", {"lpips": 0.2}, pretrained=PRETRAINED)
    assert not any(LPIPS in row for row in tables(tmp_path)["photos-64"].values())
