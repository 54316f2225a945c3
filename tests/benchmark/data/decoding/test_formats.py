"""What is read is decided by a list of formats, and the rest has a remedy."""

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from PIL import Image

from benchmark.data.decoding import formats

ROOT = Path(__file__).resolve().parents[4]


def test_the_suffixes_are_all_that_pillow_knows_for_the_formats() -> None:
    Image.init()
    known = {s for s, of in Image.EXTENSION.items() if of in {*formats.FORMATS, "MPO"}}
    listed = {s for of in formats.FORMATS.values() for s in of}
    assert listed == known
    assert set(formats.FORMATS) <= set(Image.OPEN)


def test_every_other_suffix_of_a_still_image_has_a_remedy() -> None:
    Image.init()
    not_images = {".bufr", ".grib", ".h5", ".hdf", ".iim", ".im", ".blp", ".dcx", ".flc", ".fli"}
    not_images |= {".ftc", ".ftu", ".gbr", ".mic", ".palm", ".qoi"}
    for suffix in set(Image.EXTENSION) - formats.suffixes() - not_images:
        assert formats.remedy_for(suffix), suffix


@pytest.mark.parametrize(
    ("suffix", "word"),
    [
        (".heic", "install pillow-heif"),
        (".HEIF", "install pillow-heif"),
        (".NEF", "raw camera files"),
        (".svg", "convert"),
        (".psd", "convert"),
        (".eps", "convert"),
        (".mp4", "frames"),
        (".zip", "unpack"),
        (".GZ", "unpack"),
        (".parquet", "export"),
    ],
)
def test_remedies(suffix: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "has_heif", lambda: False)
    formats.suffixes.cache_clear()
    assert word in formats.remedy_for(suffix)
    assert suffix.lower() not in formats.suffixes()
    formats.suffixes.cache_clear()


def test_files_that_are_read_or_are_no_images_have_no_remedy() -> None:
    for suffix in (*formats.suffixes(), ".txt", "", ".py"):
        assert formats.remedy_for(suffix) == ""


def test_heic_counts_as_read_where_its_library_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for clear in (formats.has_heif.cache_clear, formats.suffixes.cache_clear):
        clear()
    monkeypatch.setattr(formats, "find_spec", lambda name: ModuleSpec(name, None))
    assert ".heic" in formats.suffixes()
    assert formats.remedy_for(".heic") == ""
    for clear in (formats.has_heif.cache_clear, formats.suffixes.cache_clear):
        clear()


def test_the_list_is_at_hand_without_pillow() -> None:
    code = "import sys, benchmark.data.decoding.formats; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
