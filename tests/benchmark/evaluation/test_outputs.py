"""Names of outputs: unchanged where they are ordinary, and always ones that a file system takes."""

import os
import unicodedata
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.cache import ImageSet
from benchmark.data.manifest import ImageFile
from benchmark.evaluation.outputs import file_names

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


def names_of(paths: list[str]) -> list[str]:
    files = [ImageFile(path, Path(path), "0") for path in paths]
    return file_names(ImageSet(files, torch.zeros(len(paths), 3, 1, 1), {}))


@given(st.lists(PATHS.map("{}.png".format), max_size=4, unique=True))
def test_names_are_distinct_short_and_the_same_each_time(paths: list[str]) -> None:
    names = names_of(paths)
    folded = {unicodedata.normalize("NFC", name).casefold() for name in names}
    assert len(folded) == len(paths)
    assert all(len(os.fsencode(name)) <= 200 and "/" not in name for name in names)
    assert names_of(paths) == names


def test_ordinary_names_are_unchanged_and_colliding_ones_are_numbered() -> None:
    paths = ["a.jpg", "b/c.png", "b__c.png", "A.png", "a~2.png", "é.png", "e\u0301.png"]
    assert names_of(paths) == [
        "a.png",
        "b__c.png",
        "b__c~2.png",
        "A~2.png",
        "a~2~2.png",
        "é.png",
        "e\u0301~2.png",
    ]


def test_long_names_with_the_same_start_stay_apart() -> None:
    paths = [f"{'ä' * 120}/{'b' * 130}{number}.png" for number in range(3)]
    assert len(set(names_of(paths))) == 3
