"""The folders of a dataset whose names say that they are a split."""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Literal

from benchmark.console import shorten

Split = Literal["train", "val", "test"]

_TRAIN = (
    "train training trainings trainval entrenamiento entrainement entraînement addestramento "
    "treino обучение 训练 训练集 訓練"
)
_VAL = (
    "val valid validation validierung validacion validación validazione validação валидация "
    "验证 验证集 検証"
)
_TEST = (
    "test tests testing teste prueba pruebas тест 测试 测试集 テスト "
    "eval evaluation holdout heldout"
)
_SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(_TRAIN.split(), "train"),
    **dict.fromkeys(_VAL.split(), "val"),
    **dict.fromkeys(_TEST.split(), "test"),
}
_OBJECTS = (
    "image images img imgs photo photos picture pictures pics bilder sbilder fotos imagenes set "
    "split splits data dataset folder dir jpg jpeg png"
)
_MASKS = "mask masks label labels annotation annotations annot annots segmentation trimap trimaps"
_WORDS_WITHOUT_MEANING = {*_OBJECTS.split(), *["dev", "the", "color", "colour", "rgb", "a", "b"]}


class SplitFolders:
    """The folders of a dataset whose names say that they are a split.

    A name is `train`, `Validation`, `test_images`, `val2017` and the like. A name with further
    words, such as `flowers-test`, counts where a folder beside it has the same words and another
    split, such as `flowers-train`. A folder that holds the whole dataset says nothing if there are
    splits within it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.counts: dict[str, int] = defaultdict(int)
        for name in names:
            for folder in _folders_of(name):
                self.counts[folder] += 1
        self.beside: dict[tuple[str, tuple[str, ...]], set[Split]] = defaultdict(set)
        for folder in self.counts:
            splits, words = read_name(_last(folder))
            self.beside[_parent(folder), words] |= splits
        self.parents_of_images = {_parent(f) for f in self.counts if _names_images(_last(f))}
        whole = {folder for folder, count in self.counts.items() if count == len(names)}
        self.ignored = set[str]()
        inner = any(self._split(folder) for folder in self.counts.keys() - whole)
        if inner:
            self.ignored = whole

    def split_of(self, name: str) -> Split | None:
        """The split of an image. One that is below two split folders is held back the most."""
        found = {self._split(folder) for folder in _folders_of(name)}
        return next((split for split in ("test", "val", "train") if split in found), None)

    def is_mask(self, name: str) -> bool:
        """Whether an image is below a folder of masks, as `train_masks` is, or `masks` beside
        `images` or `train`."""
        return any(self._holds_masks(folder) for folder in _folders_of(name))

    def looks_like_test(self, name: str) -> bool:
        """Whether the innermost folder that names a split is not clear, and may be a test."""
        mentioned = [folder for folder in _folders_of(name) if _splits(folder)]
        unclear = bool(mentioned) and self._is_unclear(mentioned[-1])
        return unclear and "test" in _splits(mentioned[-1]) and self.split_of(name) != "test"

    def origins(self) -> dict[Split, str]:
        """Name the folders of each split that has some, the outermost ones."""
        found: dict[Split, list[str]] = defaultdict(list)
        for folder in sorted(self.counts):
            outer = {self._split(f) for f in _folders_of(folder)}
            if self.is_mask(f"{folder}/"):
                continue
            if (split := self._split(folder)) is not None and split not in outer:
                found[split].append(f"{folder}/")
        return {split: f"of {shorten(folders)}" for split, folders in found.items()}

    def warnings(self) -> list[str]:
        """Sentences about folders that look like a split and are not taken as one."""
        tests, others = defaultdict[str, int](int), defaultdict[str, int](int)
        for name in self.names:
            if self.is_mask(name):
                continue
            unclear = [folder for folder in _folders_of(name) if self._is_unclear(folder)]
            if unclear and self.looks_like_test(name):
                tests[unclear[-1]] += 1
            elif unclear and self.split_of(name) is None:
                others[unclear[-1]] += 1
        found = [
            f"The folder {folder} looks like a test and is not taken as one: {count} images of it "
            "are neither trained nor tested on. Rename it to test, or name it with --test_images; "
            "to train on it, give it another name."
            for folder, count in sorted(tests.items())
        ]
        found += self.warnings_of_masks()
        found += [
            f"The folders {shorten(sorted(folders))} are taken as splits too, beside those without "
            f"the word {' '.join(words)}. If they hold no photos, move them out of the dataset."
            for words, folders in sorted(self._further().items())
        ]
        return found + [
            f"The folder {folder} looks like a split and is not taken as one: {count} images of it "
            "belong to the images without a split. Rename it to train or val if it is one."
            for folder, count in sorted(others.items())
        ]

    def warnings_of_masks(self) -> list[str]:
        """Sentences about the folders of masks."""
        masks = defaultdict[str, int](int)
        for name in self.names:
            if outermost := [f for f in _folders_of(name) if self._holds_masks(f)][:1]:
                masks[outermost[0]] += 1
        return [
            f"The folder {folder} holds masks, by its name: {count} images of it are neither "
            "trained nor tested on. Give it another name if they are photos."
            for folder, count in sorted(masks.items())
        ]

    def _further(self) -> dict[tuple[str, ...], list[str]]:
        """Folders of splits with further words in their names, beside plain ones, by these words:
        `train_depth` and `test_depth` beside `train` and `test`."""
        found: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for folder in self.counts:
            _, words = read_name(_last(folder))
            plain = self.beside.get((_parent(folder), ()))
            if words and plain and self._split(folder) is not None:
                found[words].append(folder)
        return found

    def _holds_masks(self, folder: str) -> bool:
        splits, words = read_name(_last(folder))
        return any(map(_is_mask_word, words)) and (
            bool(splits)
            or any(map(_is_mask_word_of_split, words))
            or _parent(folder) in self.parents_of_images
        )

    def _split(self, folder: str) -> Split | None:
        if folder in self.ignored or self._holds_masks(folder):
            return None
        splits, words = read_name(_last(folder))
        if len(splits) != 1 or (words and len(self.beside[_parent(folder), words]) < 2):
            return None
        return next(iter(splits))

    def _is_unclear(self, folder: str) -> bool:
        return bool(_splits(folder)) and self._split(folder) is None and folder not in self.ignored


def splits_in(folder: str) -> frozenset[Split]:
    """The splits that any part of a folder's path, with forward slashes, mentions."""
    return frozenset(split for part in folder.split("/") for split in read_name(part)[0])


def _folders_of(name: str) -> list[str]:
    """The folders that an image is below, from the outermost on: `a/b/c.png` → a, a/b."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _names_images(folder: str) -> bool:
    """Whether a folder's name, such as `images`, `JPEGImages` or `train`, has no other meaning."""
    return not read_name(folder)[1] and any(letter.isalpha() for letter in folder)


def _is_mask_word(word: str) -> bool:
    return word in _MASKS.split() or _is_mask_word_of_split(word)


@cache
def _is_mask_word_of_split(word: str) -> bool:
    """Whether a word names a split and masks in one, as `trainannot` and `testmasks` do."""
    masks = _MASKS.split()
    pairs = ((word[:place], word[place:]) for place in range(2, len(word) - 1))
    return any(
        (first in _SPLIT_WORDS and second in masks) or (second in _SPLIT_WORDS and first in masks)
        for first, second in pairs
    )


def _parent(folder: str) -> str:
    return folder.rpartition("/")[0]


def _last(folder: str) -> str:
    return folder.rpartition("/")[2]


def _splits(folder: str) -> frozenset[Split]:
    return read_name(_last(folder))[0]


@cache
def read_name(name: str) -> tuple[frozenset[Split], tuple[str, ...]]:
    """The splits that a folder's name mentions, and its other words: `my-Test2` → test, my."""
    # The words of `TestImages`, `JPEGImages` and `VOCtest` are told apart by their capitals.
    by_capital = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    by_run = re.sub(r"(?<=[A-Z]{2})(?=[a-z])", " ", name)
    readings = [_read_words(text) for text in (by_capital, by_run)]
    return next((reading for reading in readings if reading[0]), readings[0])


def _read_words(text: str) -> tuple[frozenset[Split], tuple[str, ...]]:
    text = re.sub(r"(?i)(hold|held)[-_ ]out", r"\1out", text)
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", text)]
    meanings = [_split_of_word(word) for word in words]
    others = [
        word
        for word, meaning in zip(words, meanings, strict=True)
        if meaning is None and word not in _WORDS_WITHOUT_MEANING
    ]
    return frozenset(meaning for meaning in meanings if meaning is not None), tuple(others)


def _split_of_word(word: str) -> Split | None:
    """The split that a word names, alone or together with a word without meaning: `testimages`."""
    if word in _SPLIT_WORDS:
        return _SPLIT_WORDS[word]
    pairs = ((word[:place], word[place:]) for place in range(2, len(word) - 1))
    for first, second in pairs:
        for name, rest in ((first, second), (second, first)):
            if name in _SPLIT_WORDS and rest in _OBJECTS.split():
                return _SPLIT_WORDS[name]
    return None
