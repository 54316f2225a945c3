"""ChromaBench as a library: a trained model that colors images in memory.

    from benchmark import load
    load(name).colorize("photo.jpg").save("colored.png")

Nothing is printed. A user's mistake is a UserError, whose text is one sentence.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from benchmark.colorizer import Sampling
from benchmark.console import silenced
from benchmark.data.reading import open_photo
from benchmark.errors import UserError
from benchmark.files import ROOT
from benchmark.inference.photo import PhotoColorizer
from benchmark.jobs.colorize import Trained, load_colorizer
from benchmark.jobs.job import DEFAULT_SEED
from benchmark.jobs.weights import is_file, model_in
from benchmark.results.folders import RunFolder, require_run_name

AS_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""The modes of images that a PNG file holds; TIFF files hold all others."""


@dataclass(frozen=True)
class LoadedModel:
    """A trained model in memory, as `load` returns it.

    name: the model under models/.
    """

    name: str
    colorizer: PhotoColorizer

    @property
    def sampling(self) -> Sampling:
        """How the model samples, every value set."""
        return self.colorizer.sampling

    def colorize(
        self,
        image: Image.Image | str | Path,
        *,
        seed: int = DEFAULT_SEED,
        sample: int = 0,
        strength: float = 1.0,
    ) -> Image.Image:
        """Color a photo, in color or gray, at its full resolution and with its own L*.

        image: an image of Pillow, which stays as it is, or the path of a file. seed, sample: of a
        model that samples; with the name of the file they give the image that `main.py colorize`
        writes. strength: what chroma is multiplied by.
        Returns an upright image in 8-bit sRGB (mode RGB) of the photo's size. Raises UserError for
        a file that is no image, and for sides that are too small or too large.
        """
        if isinstance(image, Image.Image):
            name = Path(getattr(image, "filename", None) or "").name
            colored = _upright(image)
        else:
            name = Path(image).name
            colored = open_photo(Path(image))
        colorizer = replace(self.colorizer, seed=seed)
        colorizer.color(colored, name, sample=sample, strength=strength)
        return colored


def load(
    name_or_path: str | Path,
    *,
    results: str | Path = ROOT / "Results",
    run: str | None = None,
    seed: int = DEFAULT_SEED,
    weights: str = "best",
    device: str | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Load a trained model: by its name, from a file that `main.py export` wrote, or from the Hub.

    name_or_path: a model under models/, the path of a file of weights, or `hf:owner/name`.
    results, run, seed, weights: where the weights of a model that is named lie, as the options of
    these names. device: cpu, cuda, mps or the index of a GPU; None for the fastest. sampling:
    values of the model's sampling, such as {"steps": 20}. Raises UserError without such weights.
    """
    asked = str(name_or_path)
    with silenced():
        from_file = is_file(asked)
        model, which = (model_in(asked), asked) if from_file else (asked, weights)
        if run is not None:
            require_run_name("run", run)
        folder = RunFolder(Path(results), run or model, seed)
        trained = Trained(model, folder, which, dict(sampling or {}), device)
        return LoadedModel(model, load_colorizer(trained))


def _upright(image: Image.Image) -> Image.Image:
    """Return an image of Pillow as an upright copy in 8-bit sRGB.

    It is read again from a file without loss, so that gray of 16 bits, palettes, transparency and
    color profiles mean the same as in the file of a photo. UserError if it cannot be used.
    """
    suffix = "png" if image.mode in AS_PNG else "tif"
    more: dict[str, Any] = {"icc_profile": image.info.get("icc_profile"), "exif": image.getexif()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image.{suffix}"
        try:
            image.save(path, **{key: value for key, value in more.items() if value})
            return open_photo(path)
        except UserError as error:
            reason = str(error).partition(": ")[2]
            raise UserError(f"The image cannot be used: {reason}") from error
        except (OSError, ValueError) as error:
            raise UserError(f"An image of mode {image.mode} cannot be used ({error}).") from error
