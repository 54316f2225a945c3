"""The options of the metrics and their defaults.

Nothing here imports torch, so that `--help` can show them.
"""

from dataclasses import asdict, dataclass
from typing import Literal

LpipsBackbone = Literal["alex", "squeeze", "vgg"]
Variant = Literal["signed", "absolute"]
Switch = Literal["off", "on"]

DEFAULT_SORT = "lpips"
"""The metric that orders and ranks the rows of a leaderboard."""


@dataclass(frozen=True)
class MetricOptions:
    """The options of the metrics: part of a protocol, hence of its hash, and of the labels.

    fid: whether FID is measured beside KID. chroma_matched: whether LPIPS and, if it is measured,
    FID are also measured of outputs whose chroma was scaled to the truth's colorfulness. reference:
    `none` if the photos have no true color, so that nothing can be compared with it.
    """

    lpips_backbone: LpipsBackbone = "alex"
    colorfulness: Variant = "signed"
    fid: Switch = "off"
    chroma_matched: Switch = "off"
    reference: Literal["color", "none"] = "color"

    def describe(self) -> dict[str, str]:
        """The options as a protocol records them; those of newer versions only if they are set."""
        defaults = MetricOptions()
        always = ("lpips_backbone", "colorfulness")
        return {
            name: value
            for name, value in asdict(self).items()
            if name in always or value != getattr(defaults, name)
        }
