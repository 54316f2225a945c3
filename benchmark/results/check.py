"""The schema of check.json: what a dataset holds, and what a training would do with it."""

from pydantic import Field

from benchmark.results.schema import Amount, Count, Strict

Names = list[str]
Reasons = dict[str, str]


class CheckedSplit(Strict):
    """One split of a dataset. origin: how it was found. files: all of its image files. used: those
    that would be trained, validated or tested on."""

    origin: str
    files: Count
    used: Count


class Copies(Strict):
    """Images of one kind of likeness. name: of a file; other: of the file that it is like."""

    name: str
    other: str


class Spread(Strict):
    """The least, the median and the greatest of the images' widths or heights, in pixels."""

    least: Count
    median: Amount
    most: Count


class CheckRecord(Strict):
    """check.json of a dataset. All files are named by their path within their folder.

    files: the number of image files; bytes: of all of them. suffixes, formats, modes, sizes,
    profiles: numbers of files; formats and modes are Pillow's, a size is such as 640×480, profiles
    the descriptions of embedded color profiles. width, height: of the files whose header can be
    read. unreadable: reasons; truncated: those of them that end too early. noted: what would be
    read otherwise than the file says. passed_over: why other files are not read. grayscale: images
    without color; near_gray: further ones whose colorfulness is below `near_gray_below`. copies:
    files of the same content or pixels; look_alikes: images that look the same, or mirrored.
    in_training_and_test: copies and look-alikes of test images among those for training and
    validation. ab_mean, ab_std: of a* and b* over the images for training, None if there are none.
    skipped: the number of files that no split would use.
    """

    dataset: str
    test_images: str | None
    files: Count
    bytes: Count
    suffixes: dict[str, Count]
    formats: dict[str, Count]
    modes: dict[str, Count]
    sizes: dict[str, Count]
    profiles: dict[str, Count]
    width: Spread | None
    height: Spread | None
    splits: dict[str, CheckedSplit]
    warnings: Names
    unreadable: Reasons
    truncated: Names
    noted: Reasons
    passed_over: Reasons
    grayscale: Names
    near_gray: Names
    near_gray_below: Amount
    copies: list[Copies]
    look_alikes: list[Copies]
    in_training_and_test: list[Copies]
    ab_mean: list[float] | None = Field(min_length=2, max_length=2)
    ab_std: list[float] | None = Field(min_length=2, max_length=2)
    skipped: Count
