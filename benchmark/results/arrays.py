"""The schema of metadata.json, which says what is in the .npz files beside it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from benchmark.results.schema import Amount, Count, Strict

METADATA = "metadata.json"
Normalization = Literal["none", "01", "11"]
"""The range of values: 0 to 255, 0 to 1, or -1 to 1."""


class ArraySettings(Strict):
    """What the files were written with: the options of `main.py data to-npz`.

    size: side of the squares in pixels. test_size: share of the images that are in the test.
    """

    size: Annotated[int, Field(ge=1, lt=2**31)]
    test_size: Amount
    seed: Annotated[int, Field(ge=0)]
    normalize: Normalization


class ArrayFile(Strict):
    """What is in one file. shapes: of its arrays, by name. categories: images of each, by name."""

    images: Count
    shapes: dict[str, list[Count]]
    categories: dict[str, Count]
    sha256: str


class ArraysMetadata(Strict):
    """metadata.json: what is in train.npz and test.npz.

    source: the folder that the images are from. dtype, range: of the values of `rgb` and of
    `grayscale`. grayscale: what that array is. files: by name. left_out: the number of files that
    are in neither, by reason.
    """

    remedy: ClassVar[str] = "Write the files again with `main.py data to-npz`."

    schema_version: Literal[1] = 1
    source: str
    settings: ArraySettings
    normalization: Normalization
    dtype: str
    range: list[float] = Field(min_length=2, max_length=2)
    grayscale: str
    categories: list[str]
    files: dict[str, ArrayFile]
    left_out: dict[str, Count]
