"""The options of the metrics and their defaults.

Nothing here imports torch, so that `--help` can show them.
"""

from dataclasses import dataclass
from typing import Literal

LpipsBackbone = Literal["alex", "squeeze"]
Variant = Literal["signed", "absolute"]

DEFAULT_SORT = "lpips"
"""The metric that orders and ranks the rows of a leaderboard."""


@dataclass(frozen=True)
class MetricOptions:
    """The options of the metrics: part of a protocol, hence of its hash, and of the labels."""

    lpips_backbone: LpipsBackbone = "alex"
    colorfulness: Variant = "signed"
