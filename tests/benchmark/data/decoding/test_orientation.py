"""Photos are shown upright, and damaged EXIF data never cost a photo."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data import reading
from benchmark.data.reading import decode
from tests.image_support import Entry, chunk, directory, png

Make = Callable[..., Image.Image]
SIX: Entry = (0x112, 3, 1, 6)
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

DAMAGED: dict[str, bytes] = {
    "a resolution that is text": directory("<", [SIX, (0x11A, 2, 4, 0x00323700)]),
    "a value beyond the end": directory("<", [(0x10F, 2, 99, 0xFFFFF), SIX]),
    "a type that does not exist": directory(">", [(0x10F, 77, 3, 1), SIX]),
    "a count of four billion": directory(">", [(0x110, 5, 0xFFFFFFFF, 1), SIX]),
    "a nested directory nowhere": directory("<", [SIX, (0x8769, 4, 1, 0xFFFFF)]),
    "a nested directory in itself": directory("<", [SIX, (0x8769, 4, 1, 8), (0x8825, 4, 1, 8)]),
    "division by zero": directory("<", [SIX, (0x11A, 5, 1, bytes(8)), (0x11B, 5, 1, bytes(8))]),
}
RUBBISH = {
    "text": b"not a tiff",
    "header only": b"II*\0",
    "directory beyond the end": b"II*\0\xff\xff\0\0",
    "cut": directory("<", [(0x10F, 2, 4, b"abc\0"), SIX])[:20],
    "two orientations in one": directory("<", [(0x112, 3, 2, 6)]),
}


def save(image: Image.Image, path: Path, exif: bytes) -> None:
    options = {"quality": 99} if path.suffix == ".jpg" else {}
    options |= {"lossless": True} if path.suffix == ".webp" else {}
    image.save(path, exif=b"Exif\0\0" + exif, **options)


def shows(path: Path, expected: Image.Image, tolerance: float = 3) -> bool:
    found = decode(path).image
    close = np.abs(np.asarray(found).astype(int) - np.asarray(expected)).mean() <= tolerance
    return found.size == expected.size and bool(close)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_rotated_upright(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((24, 40, 3), np.uint8)
    upright[:8, :8] = (255, 0, 0)  # a red mark at the top left
    upright[-8:, :8] = (0, 0, 255)  # a blue one below it
    # A camera stores the inverse of the transformation that the orientation asks for.
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(upright)
    if orientation in inverse:
        stored = stored.transpose(inverse[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(decode(tmp_path / "turned.png").image), upright)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_elsewhere_in_exif_does_not_matter(
    tmp_path: Path, make_image: Make, suffix: str, damage: str
) -> None:
    upright = make_image(1, 40, 24)
    path = tmp_path / f"photo{suffix}"
    save(upright.transpose(Image.Transpose.ROTATE_90), path, DAMAGED[damage])
    assert shows(path, upright)
    assert decode(path).notes == ()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_an_orientation_that_cannot_be_read_is_noted(
    tmp_path: Path, make_image: Make, suffix: str, rubbish: str
) -> None:
    path = tmp_path / f"photo{suffix}"
    save(make_image(1, 40, 24), path, RUBBISH[rubbish])
    assert shows(path, make_image(1, 40, 24))
    assert decode(path).notes == ("its EXIF data are damaged, so the orientation is unknown",)


def test_exif_that_is_cut_anywhere_never_costs_the_photo(tmp_path: Path, make_image: Make) -> None:
    upright, path = make_image(1, 40, 24), tmp_path / "photo.png"
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    whole = directory(">", [(0x10F, 2, 9, b"a camera\0"), SIX, (0x11A, 5, 1, bytes(8))])
    for length in range(1, len(whole)):
        save(stored, path, whole[:length])
        assert shows(path, stored) if decode(path).notes else shows(path, upright)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(
    tmp_path: Path, make_image: Make, value: int
) -> None:
    path = tmp_path / "photo.png"
    save(make_image(1, 40, 24), path, directory("<", [(0x112, 3, 1, value)]))
    assert shows(path, make_image(1, 40, 24))
    assert bool(decode(path).notes) == (value != 0)  # 0 is usual for: not known


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_tiff_files_are_turned_once(
    tmp_path: Path, make_image: Make, monkeypatch: pytest.MonkeyPatch, mode: str, orientation: int
) -> None:
    image = make_image(1, 40, 24).convert("RGB" if mode == "RGB" else "L")
    turn = TURNS[orientation]
    upright = (image if turn is None else image.transpose(turn)).convert("RGB")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    for packing in ("raw", "tiff_lzw"):
        path = tmp_path / "photo.tif"
        image.save(path, compression=packing, tiffinfo={0x112: orientation})
        assert shows(path, upright, tolerance=0)
        monkeypatch.setattr(reading, "PIXELS_AT_ONCE", 200)  # five rows at a time
        assert shows(path, upright, tolerance=0)


def test_a_tiff_with_damage_in_its_nested_exif_is_read(tmp_path: Path, make_image: Make) -> None:
    upright, path = make_image(1, 40, 24), tmp_path / "photo.tif"
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    stored.save(path, tiffinfo={0x112: 6, 0x8769: 0xFFFFF, 0x9C9C: 1})
    assert shows(path, upright, tolerance=0)


@pytest.mark.parametrize("exif", [*DAMAGED.values(), *RUBBISH.values()])
def test_an_avif_is_turned_as_the_file_itself_says(
    tmp_path: Path, make_image: Make, exif: bytes
) -> None:
    upright, path = make_image(1, 48, 32), tmp_path / "photo.avif"
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    good = b"Exif\0\0" + directory("<", [SIX, (0x10F, 2, 60, b"a camera" * 7 + b"long")])
    stored.save(path, exif=good, quality=95)
    content = path.read_bytes()
    place = content.rindex(b"MM\0*" if b"MM\0*" in content else b"II*\0")  # Pillow rewrites it
    exif = exif.ljust(60, b"\0")
    path.write_bytes(content[:place] + exif + content[place + len(exif) :])
    assert shows(path, upright, tolerance=6)


def test_the_orientation_in_xmp_and_in_text_of_a_png(tmp_path: Path, make_image: Make) -> None:
    upright, path = make_image(1, 40, 24), tmp_path / "photo.png"
    stored = np.asarray(upright.transpose(Image.Transpose.ROTATE_90))
    exif = directory("<", [SIX]).hex()
    texts = (
        b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>".replace(b"'", b'"'),
        f"Raw profile type exif\0\nexif\n{len(exif) // 2}\n{exif}\n".encode(),
    )
    for name, text in zip((b"iTXt", b"tEXt"), texts, strict=True):
        path.write_bytes(png(stored, 8, 2, chunk(name, text)))
        assert shows(path, upright, tolerance=0)
        whole = reading.read_whole(path)  # by the same rules
        np.testing.assert_array_equal(whole.transpose(1, 2, 0), np.asarray(upright))
