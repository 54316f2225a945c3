"""Collects what the figure and the calibration need while images are decoded for scoring."""

from torch import Tensor

from benchmark.evaluation.calibration import PaintedObjects, predicted_paint
from benchmark.results.folders import MEAN, Sample


class Observer:
    """Keeps the first images for the figure, and the paint of each object of known paint.

    num_images: rows of the figure. painted: the objects, if these are images of the built-in
    sample.
    """

    def __init__(self, num_images: int, painted: PaintedObjects | None) -> None:
        self.num_images = num_images
        self.painted = painted
        self.first_images: list[Tensor] = []
        self.paints: dict[Sample, list[str]] = {}

    def wants(self, sample: Sample, row: int = 0) -> bool:
        """Whether an image of a sample is looked at; by default the first one."""
        in_figure = sample == 0 and row < self.num_images
        return in_figure or (self.painted is not None and sample != MEAN)

    def observe(self, sample: Sample, row: int, rgb8: Tensor) -> None:
        """Look at one decoded image, uint8 (3, S, S); rows of a sample come in order."""
        if sample == 0 and row < self.num_images:
            self.first_images.append(rgb8)
        if self.painted is not None:
            paints = self.paints.setdefault(sample, [])
            objects = self.painted.by_image[row]
            paints += [predicted_paint(rgb8, painted.mask) for painted in objects]

    def predicted_paints(self) -> list[list[str]]:
        """The paint of each object in each sample, samples in order.

        Raises ValueError if not every image of each sample was observed.
        """
        expected = len(self.painted.objects) if self.painted is not None else 0
        for sample, paints in self.paints.items():
            if len(paints) != expected:
                raise ValueError(f"sample {sample} has {len(paints)} of {expected} objects")
        return list(self.paints.values())
