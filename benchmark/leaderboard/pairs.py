"""What a pretrained encoder changes: each row with one beside the same model from scratch."""

from dataclasses import dataclass

from benchmark.leaderboard.ranking import ProtocolBoard
from benchmark.leaderboard.rows import Row
from benchmark.statistics import Interval, mean_interval


@dataclass(frozen=True)
class Pair:
    """A row with a pretrained encoder, and the same model trained from scratch."""

    pretrained: Row
    scratch: Row

    def difference(self, key: str) -> Interval | None:
        """The mean over images of a metric's difference, pretrained minus from scratch.

        None where a row lacks the metric of any image.
        """
        ours, others = self.pretrained.values(key), self.scratch.values(key)
        return None if ours is None or others is None else mean_interval((ours - others).tolist())


def pairs_of(board: ProtocolBoard) -> list[Pair]:
    """Every pair of a board, in the order of its rows.

    The two share the model, the training images, the sampling and whose weights they are. Of
    several rows from scratch, the first is taken, which is the best by the board's metric.
    """
    scratch: dict[str, Row] = {}
    for row in board.models:
        if row.record.kind == "model" and row.record.pretrained is None:
            scratch.setdefault(_common(row), row)
    return [
        Pair(row, scratch[_common(row)])
        for row in board.models
        if row.record.pretrained is not None and _common(row) in scratch
    ]


def _common(row: Row) -> str:
    """What the two rows of a pair share."""
    record, data, weights = row.record, row.record.training_data, row.record.weights
    sampling = sorted(record.sampling.items())
    return repr((record.model, data and data.manifest, weights and weights.trained_as, sampling))
