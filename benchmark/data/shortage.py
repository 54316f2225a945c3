"""What helps where a split has no image that can be used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.data.sources import Sources
from benchmark.data.split_names import Split
from benchmark.data.splits import HELD_OUT, Splits
from benchmark.errors import UserError

WORDS: dict[Split, str] = {"train": "training", "val": "validation", "test": "the test"}


@dataclass(frozen=True)
class SplitCounts:
    """How many images of a split there are.

    found: files. usable: those that can be decoded. own: of these, those that are no copy of an
    image of another split. left: of these, those that the settings allow.
    """

    found: int
    usable: int
    own: int
    left: int

    @classmethod
    def of_files(cls, count: int) -> "SplitCounts":
        """The counts of a split of which only the files are known, or none was left out."""
        return cls(count, count, count, count)


def require_images(
    sources: Sources,
    splits: Splits,
    found: int,
    counts: Mapping[Split, SplitCounts],
    needed: Sequence[Split],
) -> None:
    """Raise UserError if a needed split has no image left, with what each has and what helps.

    found: the number of all image files.
    """
    lacking = [key for key in needed if not counts[key].left]
    if not lacking:
        return
    folders = f"{sources.named_dataset}"
    if sources.test_images not in (None, sources.dataset):
        folders += f" and {sources.named_test_images}"
    left = {key: count.left for key, count in counts.items()}
    purposes = " or ".join(WORDS[key] for key in lacking)
    raise UserError(
        f"{folders}: of {found} image files, {left['train']} can be used for training, "
        f"{left['val']} for validation and {left['test']} for the test, so there are none for "
        f"{purposes}: {_remedies(sources, splits, counts, lacking)}."
    )


def _remedies(
    sources: Sources,
    splits: Splits,
    counts: Mapping[Split, SplitCounts],
    lacking: Sequence[Split],
) -> str:
    """What helps the splits without images, by what they lost them to."""
    held_out = [key for key in counts if splits.origins.get(key) == HELD_OUT]
    least = ("one image", "two different images", "three different images")[len(held_out)]
    needed = f"training needs at least {least}"
    needed += ", of which some are held out" if held_out else ""
    first, rest = list[str](), list(lacking)
    if "train" in lacking:  # what is held out follows from it
        first = [_remedy_for_training(sources, splits, counts["train"]), needed]
        rest = [key for key in lacking if key != "train" and key not in held_out]
    others = []
    for key in rest:
        if counts[key].found or key not in held_out:
            others.append(_remedy(key, splits, counts[key]))
        else:
            outside = not counts["train"].found
            more = (
                _remedy_for_training(sources, splits, counts["train"]) if outside else "add images"
            )
            others += [more, needed]
    return "; ".join(dict.fromkeys([*first, *others]))


def _remedy_for_training(sources: Sources, splits: Splits, counts: SplitCounts) -> str:
    if not counts.found:
        origins = [origin for key, origin in splits.origins.items() if origin != HELD_OUT]
        held_back = f"all are held back ({'; '.join(origins)}): " if origins else ""
        return (
            f"{held_back}put images into {sources.named_dataset}, outside of folders for "
            "validation, for the test and of masks, such as into a folder train beside"
        )
    if not counts.usable:
        return "replace the files for training that cannot be used"
    if not counts.own:
        return "add images for training that are in no other split"
    return (
        "add images in color, or train on those that were left out, with --set "
        "drop_grayscale=false and --set min_colorfulness=0"
    )


def _remedy(key: Split, splits: Splits, counts: SplitCounts) -> str:
    """What helps validation or the test, which have files."""
    origin = splits.origins[key]
    if not counts.usable:
        return f"replace the files for {WORDS[key]} that cannot be used ({origin})"
    if origin == HELD_OUT:
        return "delete the copies that the warnings name from the images for training"
    return f"add images for {WORDS[key]} that are in no other split"
