"""The split of a dataset into images for training, for validation and for the test.

Folders named after a split are that split; those of masks beside them are none. Of all other images
some are held out, each by its own content and a seed, so renaming a file or adding one moves no
other image.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.console import info
from benchmark.data.manifest import ImageFile
from benchmark.data.split_names import Split, SplitFolders
from benchmark.files import sha256_of_json

HELD_OUT = "held out"
"""The origin of a split that has no folders of its own."""
HELD_OUT_FOR_TEST = 0.10  # share of all images
HELD_OUT_FOR_VALIDATION = 0.15  # share of the images that are not for the test


@dataclass(frozen=True)
class Splits:
    """The image files of each split.

    train, val, test: the files. reserved: files that are in no split and must not be trained on.
    origins: how each split was found, in a few words. warnings: sentences for the user about
    folders that may mean something else than was understood.
    """

    train: list[ImageFile]
    val: list[ImageFile]
    test: list[ImageFile]
    reserved: list[ImageFile] = field(default_factory=list)
    origins: dict[Split, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def split(
    dataset: list[ImageFile],
    tests: list[ImageFile],
    split_seed: int,
    contents: Mapping[str, str] | None = None,
) -> Splits:
    """Split the images of `dataset` into those for training, for validation and for the test.

    tests: the images of a separate test folder, or none. contents: a hash of the decoded pixels of
    a file by its digest, where it is known; files of the same pixels are held out together.

    Images below a folder named after validation or test belong to these splits, wherever the folder
    is. Of all others 10 % are held out for the test if there is no other test set, and 15 % of the
    rest for validation if there is no folder for it; at least one each where there are enough.
    """
    folders = SplitFolders([image.name for image in dataset])
    folders_of_tests = SplitFolders([image.name for image in tests])
    parts: dict[Split | None, list[ImageFile]] = defaultdict(list)
    unclear = [image for image in tests if folders_of_tests.is_mask(image.name)]
    tests = [image for image in tests if not folders_of_tests.is_mask(image.name)]
    for image in dataset:
        if folders.is_mask(image.name) or folders.looks_like_test(image.name):
            unclear.append(image)
        else:
            parts[folders.split_of(image.name)].append(image)
    train, val, test = parts["train"] + parts[None], parts["val"], parts["test"]
    origins = folders.origins()
    reserved = unclear
    if tests:
        test, reserved = tests, [*test, *unclear]
        origins["test"] = "of the folder of test images"
    if not test:
        keep = 1 if val else 2  # one for training, and one for validation
        test, train = _hold_out(train, HELD_OUT_FOR_TEST, split_seed, "test", keep, contents or {})
        origins["test"] = HELD_OUT
    if not val:
        share = HELD_OUT_FOR_VALIDATION
        val, train = _hold_out(train, share, split_seed, "val", 1, contents or {})
        origins["val"] = HELD_OUT
    warnings = folders.warnings() + folders_of_tests.warnings_of_masks()
    return Splits(train, val, test, reserved, origins, warnings)


def warn_of_splits_in_test(folder: Path, tests: Sequence[ImageFile]) -> None:
    """Warn if a folder of test images has folders of other splits, which are tested on too."""
    origins = SplitFolders([image.name for image in tests]).origins()
    others = [origins[key] for key in ("train", "val") if key in origins]
    if others:
        info(
            f"Warning: all images below {folder} are test images, also those "
            f"{' and '.join(others)}."
        )


def _hold_out(
    images: list[ImageFile],
    share: float,
    seed: int,
    purpose: str,
    keep: int,
    contents: Mapping[str, str],
) -> tuple[list[ImageFile], list[ImageFile]]:
    """Return (held out, rest). Each image is drawn by its own content alone.

    Files of the same decoded pixels are one image; the least of their digests is drawn, so that the
    draw of a single file does not depend on whether `contents` knows it. Only where that would hold
    out none, or leave fewer than `keep` images, the lowest draws decide.
    """
    least: dict[str, str] = {}
    for digest in sorted(image.digest for image in images):
        least.setdefault(contents.get(digest, digest), digest)
    key = {image.digest: least[contents.get(image.digest, image.digest)] for image in images}
    draws = {
        digest: int(sha256_of_json([seed, purpose, digest])[:13], 16) / 16**13
        for digest in least.values()
    }
    lowest = sorted(draws, key=draws.__getitem__)
    count = sum(draw < share for draw in draws.values())
    held = set(lowest[: max(0, min(max(count, 1), len(lowest) - keep))])
    rest = [image for image in images if key[image.digest] not in held]
    return [image for image in images if key[image.digest] in held], rest
