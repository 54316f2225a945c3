"""Adversarial training: the discriminator, what it sees, and the losses on both sides.

The discriminator judges color at the resolution that generators decide it at, each place with all
of L that belongs to it. Shown full images, it made generators weave stripes into skies: texture
of color, which no photo has either, is the cheapest way to look unlike an average.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchmark.randomness import Randomness
from benchmark.settings import Settings

from .unet import Widths

Kind = Literal["hinge", "bce"]
Augmentation = Callable[[Tensor], Tensor]


class AdversarialSettings(Settings):
    """What can be set of a training in two phases: the generator alone, then both."""

    learning_rate: float = Field(1e-3, gt=0, description="AdamW's, of the generator")
    discriminator_rate: float = Field(1e-3, gt=0, description="AdamW's, of the discriminator")
    discriminator_widths: Widths = [64, 128]
    alone: float = Field(
        0.6, ge=0, le=1, description="share of training in which the generator learns alone"
    )
    adversarial: Kind = Field("hinge", description="loss of the game; bce as in the classic suite")
    adversarial_weight: float = Field(0.05, ge=0, description="beside the distance of colors")
    feature_weight: float = Field(0.5, ge=0, description="of the discriminator's features matched")
    augment: bool = Field(True, description="shift and cut out what the discriminator sees")

    @model_validator(mode="after")
    def _check_discriminator(self) -> Self:
        least = self.architecture["fold"] * 2 ** len(self.discriminator_widths)
        if self.size < least:
            raise ValueError(
                f"so many discriminator_widths need a size of {least}, not {self.size}"
            )
        return self


class Discriminator(nn.Module):
    """Is this patch of color real, given L? One answer for each place (Isola et al. 2017, 3.2.2).

    Fully convolutional, with spectral norm in every layer (Miyato et al. 2018), which bounds how
    steep it can get, and so how hard it can pull.
    """

    def __init__(self, channels: int, fold: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.fold = fold
        before = [fold**2 + channels, *widths[:-1]]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1))
            for inputs, outputs in zip(before, widths, strict=True)
        )
        # No bias: the hinge gives it no gradient until answers leave its margins.
        self.last = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False))

    def see(self, lightness: Tensor, color: Tensor) -> Tensor:
        """Both standardized, (B, 1, H, W) and (B, C, H, W) → (B, fold² + C, H/fold, W/fold).

        L is folded into channels, so none of it is lost; of color, the means are taken.
        """
        folded = F.pixel_unshuffle(lightness, self.fold)
        return torch.cat([folded, F.avg_pool2d(color, self.fold)], dim=1)

    def forward(self, seen: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What `see` gives → logits (B, 1, h, w), features of the layers."""
        features = []
        x = seen
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.last(x), features


class Contest:
    """One step's game between a generator and the discriminator, about images of given L.

    lightness: standardized, (B, 1, H, W). What the discriminator sees is augmented by one draw.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        settings: AdversarialSettings,
        lightness: Tensor,
        rng: Randomness,
    ) -> None:
        self.discriminator, self.settings, self.lightness = discriminator, settings, lightness
        count, _, height, width = lightness.shape
        size = height // discriminator.fold, width // discriminator.fold
        self.augment = augmentation(rng, count, *size) if settings.augment else None

    def judge(self, color: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The discriminator's answers and features for standardized color (B, C, H, W)."""
        seen = self.discriminator.see(self.lightness, color)
        logits, features = self.discriminator(self.augment(seen) if self.augment else seen)
        return logits, features

    def discriminator_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What the discriminator minimizes; the generator gets no gradient."""
        answers = self.judge(real)[0], self.judge(fake.detach())[0]
        return {"discriminator": discriminator_loss(*answers, self.settings.adversarial)}

    def generator_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What the generator minimizes beside the distance of colors, weighted."""
        s = self.settings
        with torch.no_grad():
            wanted = self.judge(real)[1]
        logits, features = self.judge(fake)
        return {
            "adversarial": s.adversarial_weight * generator_loss(logits, s.adversarial),
            "features": s.feature_weight * feature_matching(wanted, features),
        }


def discriminator_loss(real: Tensor, fake: Tensor, kind: Kind) -> Tensor:
    """Of logits. Hinge (Lim and Ye 2017, eq. 9), or cross-entropy (Goodfellow et al. 2014)."""
    real, fake = real.float(), fake.float()
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor, kind: Kind) -> Tensor:
    """Of logits. Hinge (Lim and Ye 2017, eq. 10), or the non-saturating cross-entropy."""
    return -fake.float().mean() if kind == "hinge" else F.softplus(-fake.float()).mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean distance of the discriminator's features (Wang et al. 2018, pix2pixHD, eq. 4)."""
    distances = [F.l1_loss(f.float(), r.detach().float()) for r, f in zip(real, fake, strict=True)]
    return torch.stack(distances).mean()


def augmentation(rng: Randomness, count: int, height: int, width: int) -> Augmentation:
    """A draw of shift and cutout for `count` images (Zhao et al. 2020), never of color.

    Real and generated images get the same draw, so that their features can be matched. Shifts
    reach an eighth of each side; the hole is half as high and wide as the image.
    """
    draws = rng.uniform(count, 4)
    sides = (height, width)  # as Python's numbers too: reading a tensor would wait for a GPU
    size = torch.tensor(sides, device=draws.device)
    room = size // 8
    shift = ((2 * room + 1) * draws[:, :2]).long() - room
    corner = (size * draws[:, 2:]).long() - size // 4  # the hole may reach over the border

    def places(axis: int) -> Tensor:
        return torch.arange(sides[axis], device=draws.device).expand(count, -1)

    def source(axis: int) -> Tensor:
        """Index into images padded by one, whose border is 0."""
        return (places(axis) - shift[:, axis, None] + 1).clamp(0, sides[axis] + 1)

    def hidden(axis: int) -> Tensor:
        offset = places(axis) - corner[:, axis, None]
        return (offset >= 0) & (offset < sides[axis] // 2)

    image = torch.arange(count, device=draws.device)[:, None, None]
    rows, columns = source(0)[:, :, None], source(1)[:, None, :]
    kept = ~(hidden(0)[:, :, None] & hidden(1)[:, None, :])[:, None]

    def apply(seen: Tensor) -> Tensor:
        padded = F.pad(seen, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        return padded[image, rows, columns].permute(0, 3, 1, 2) * kept

    return apply
