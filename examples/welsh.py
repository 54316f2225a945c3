"""An example of a program outside the benchmark whose outputs get a row on the leaderboard.

It colors gray images by color transfer from an exemplar (Welsh, Ashikhmin and Mueller 2002), with
scikit-image. The exemplar of an input is that image of a folder of color images whose lightness
looks most like it. Every pixel of the input takes a* and b* from the pixel of the exemplar with the
most similar lightness and texture.

    python main.py inputs gray --truth photos/test
    python examples/welsh.py gray photos/train colored
    python main.py score colored --name welsh --truth photos/test

This file imports nothing from the benchmark, and the benchmark imports nothing from this file.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import KDTree
from skimage.color import lab2rgb, rgb2lab
from skimage.io import imread, imsave
from skimage.transform import resize
from skimage.util import img_as_ubyte

Array = NDArray[np.floating]

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
THUMBNAIL = 8  # side in pixels of the thumbnails by which two images are compared
SIDE = 64  # side in pixels to which exemplars are reduced, enough for their colors
SAMPLES = 1024  # pixels drawn from an exemplar (about 200 in the paper)
NEIGHBORHOOD = 5  # side in pixels, as in the paper
TEXTURE = 1.0  # weight of the deviation relative to the lightness, as in the paper


def read_lab(path: Path) -> Array:
    """Read an image as Lab, (H, W, 3)."""
    pixels = imread(path)
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, axis=-1)
    lab: Array = rgb2lab(pixels[..., :3])
    return lab


def thumbnail(lightness: Array) -> Array:
    """Reduce L* (H, W) to a thumbnail, (THUMBNAIL²,), with mean 0 and standard deviation 1."""
    small = resize(lightness, (THUMBNAIL, THUMBNAIL), anti_aliasing=True).ravel()
    small = small - small.mean()
    return np.asarray(small / max(small.std(), 1e-6))


def features(lightness: Array) -> Array:
    """Return the lightness of each pixel and its deviation in the neighborhood, (H·W, 2)."""
    mean = uniform_filter(lightness, NEIGHBORHOOD)
    variance = uniform_filter(lightness**2, NEIGHBORHOOD) - mean**2
    deviation = np.sqrt(np.maximum(variance, 0))
    return np.stack([lightness, TEXTURE * deviation], axis=-1).reshape(-1, 2)


def transfer(lightness: Array, exemplar: Array) -> Array:
    """Give the input's L* (H, W) the colors of an exemplar, Lab (h, w, 3): sRGB in [0, 1]."""
    source = exemplar[..., 0]
    # The exemplar's lightness gets the mean and the deviation of the input's (section 3).
    scale = lightness.std() / max(source.std(), 1e-6)
    remapped = (source - source.mean()) * scale + lightness.mean()
    count = min(SAMPLES, source.size)
    sampled = np.random.default_rng(0).choice(source.size, count, replace=False)
    tree = KDTree(features(remapped)[sampled])
    _, nearest = tree.query(features(lightness))
    ab = exemplar[..., 1:].reshape(-1, 2)[sampled][nearest].reshape(*lightness.shape, 2)
    with warnings.catch_warnings():  # of colors outside the gamut, which are clipped
        warnings.simplefilter("ignore")
        return np.asarray(lab2rgb(np.dstack([lightness, ab])))


def main() -> None:
    """Color every image of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("inputs", type=Path, help="folder of gray images")
    parser.add_argument(
        "exemplars", type=Path, help="folder of color images, searched with all folders below it"
    )
    parser.add_argument(
        "out", type=Path, help="folder for the colored images, which keep the names of the inputs"
    )
    options = parser.parse_args()
    files = sorted(path for path in options.exemplars.rglob("*") if path.suffix.lower() in SUFFIXES)
    exemplars = [resize(read_lab(path), (SIDE, SIDE, 3), anti_aliasing=True) for path in files]
    tree = KDTree([thumbnail(lab[..., 0]) for lab in exemplars])
    options.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(options.inputs.iterdir()):
        lightness = read_lab(path)[..., 0]
        _, index = tree.query(thumbnail(lightness))
        rgb = transfer(lightness, exemplars[int(index)])
        imsave(options.out / f"{path.stem}.png", img_as_ubyte(rgb), check_contrast=False)


if __name__ == "__main__":
    main()
