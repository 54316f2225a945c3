"""The batches of a training: the images of each step are a function of the seed and the step."""

import torch
from torch import Tensor

from benchmark.color import rgb_from_8bit
from benchmark.data.augmentation import augment
from benchmark.data.cache import ImageSet
from benchmark.data.rows import in_memory
from benchmark.device import memory_format
from benchmark.randomness import Randomness, derive_seed
from benchmark.settings import Settings


class Batches:
    """The training images on the device, in the order in which each epoch takes them.

    side: of the squares that are cut from them, in pixels. A step takes `images_per_step` images in
    `batches_per_step` batches; an epoch has `steps_per_epoch` steps.
    """

    def __init__(
        self, images: ImageSet, settings: Settings, side: int, device: torch.device
    ) -> None:
        self.files, self.settings, self.side, self.device = images.files, settings, side, device
        # The whole set is kept on the device as bytes, so that no step waits for a file.
        self.pixels = in_memory(images.rgb8).to(device)
        self.batch_size = min(settings.batch_size, len(self.pixels))
        self.batches_per_step = min(settings.accumulate, len(self.pixels) // self.batch_size)
        self.images_per_step = self.batch_size * self.batches_per_step
        self.steps_per_epoch = len(self.pixels) // self.images_per_step
        self._order: tuple[int, Tensor] | None = None

    def draw(self, step: int, rng: Randomness) -> Tensor:
        """Return the images of the batch of a step that `rng` is a share of, sRGB (B, 3, H, W)."""
        rows = self._rows(step)[rng.index * self.batch_size :][: self.batch_size]
        rgb = rgb_from_8bit(self.pixels[rows.to(self.device)])
        rgb = augment(rgb, self.side, self.settings.augmentation, rng, self.settings.degrade)
        return rgb.contiguous(memory_format=memory_format(self.device))

    def names(self, step: int) -> list[str]:
        """The names of the files whose images a step takes."""
        return [self.files[row].name for row in self._rows(step).tolist()]

    def _rows(self, step: int) -> Tensor:
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            seed = derive_seed(self.settings.seed, "order", epoch)
            generator = torch.Generator().manual_seed(seed)
            self._order = (epoch, torch.randperm(len(self.pixels), generator=generator))
        return self._order[1][step_in_epoch * self.images_per_step :][: self.images_per_step]
