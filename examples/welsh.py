"""An outside program that colors gray images, to show how such a one gets its row.

Color transfer from an exemplar (Welsh, Ashikhmin and Mueller 2002), with scikit-image: of a folder
of color images the one that looks most like the input in gray lends its colors. Every pixel of
the input takes a* and b* of the exemplar's pixel of the most similar lightness and texture.

    python main.py inputs gray --truth photos/test
    python examples/welsh.py gray photos/train colored
    python main.py score colored --name welsh --truth photos/test

Nothing here knows of the suite, and the suite knows nothing of this.
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
THUMBNAIL = 8  # pixels a side: what two images are compared by
SIDE = 64  # of an exemplar: more pixels would lend no other colors
SAMPLES = 1024  # of an exemplar's pixels (the paper takes about 200)
NEIGHBOURHOOD = 5  # pixels a side, as in the paper
TEXTURE = 1.0  # weight of the deviation beside the lightness, equal as in the paper


def read_lab(path: Path) -> Array:
    """An image as Lab, (H, W, 3)."""
    pixels = imread(path)
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, axis=-1)
    lab: Array = rgb2lab(pixels[..., :3])
    return lab


def thumbnail(lightness: Array) -> Array:
    """What an image looks like from afar in gray, (64,): 0 on average, deviation 1."""
    small = resize(lightness, (THUMBNAIL, THUMBNAIL), anti_aliasing=True).ravel()
    small = small - small.mean()
    return np.asarray(small / max(small.std(), 1e-6))


def features(lightness: Array) -> Array:
    """Lightness and its deviation in the neighborhood, (H·W, 2)."""
    mean = uniform_filter(lightness, NEIGHBOURHOOD)
    variance = uniform_filter(lightness**2, NEIGHBOURHOOD) - mean**2
    deviation = np.sqrt(np.maximum(variance, 0))
    return np.stack([lightness, TEXTURE * deviation], axis=-1).reshape(-1, 2)


def transfer(lightness: Array, exemplar: Array) -> Array:
    """The input's L* (H, W) with the exemplar's colors (Lab, H, W, 3): sRGB in [0, 1]."""
    lent = exemplar[..., 0]
    # The exemplar's lightness is brought to the input's mean and deviation (section 3).
    scale = lightness.std() / max(lent.std(), 1e-6)
    remapped = (lent - lent.mean()) * scale + lightness.mean()
    sampled = np.random.default_rng(0).choice(lent.size, min(SAMPLES, lent.size), replace=False)
    tree = KDTree(features(remapped)[sampled])
    _, nearest = tree.query(features(lightness))
    ab = exemplar[..., 1:].reshape(-1, 2)[sampled][nearest].reshape(*lightness.shape, 2)
    with warnings.catch_warnings():  # colors that no screen has are clipped
        warnings.simplefilter("ignore")
        return np.asarray(lab2rgb(np.dstack([lightness, ab])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("inputs", type=Path, help="folder of gray images")
    parser.add_argument("exemplars", type=Path, help="folder of color images, any depth")
    parser.add_argument("out", type=Path, help="folder to write into, the inputs' names kept")
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
