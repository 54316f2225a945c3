"""What a colored copy keeps of a photo's metadata, in every format, and what it must not say."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from benchmark.inference.formats import by_suffix, save_photo
from benchmark.inference.metadata import EXIF, GPS, read_metadata

MakeImage = Callable[..., Image.Image]
SIZE = (48, 32)
COPYRIGHT = "© José"  # cameras write UTF-8, which the standard does not allow


def camera_exif(orientation: int = 1) -> Image.Exif:
    """EXIF data as a camera writes it, with all that is not true of a copy."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x0132] = "2001:02:03 04:05:06"
    exif[0x013B] = "Ann"
    exif[0x8298] = COPYRIGHT.encode()
    exif[0x013E] = (0.3, 0.3)  # WhitePoint
    exif.get_ifd(EXIF).update(
        {
            0x829A: IFDRational(1, 250),
            0x9000: b"0232",
            0x9003: "2001:02:03 04:05:06",
            0x927C: b"maker note",
            0x9286: b"ASCII\0\0\0hello",
            0xA001: 65535,
            0xA002: 4000,
            0xA003: 3000,
            0xA434: "lens",
        }
    )
    exif.get_ifd(GPS).update({1: "N", 2: (50.0, 6.0, 1.5)})
    return exif


def copy(photo: Path, suffix: str, make_image: MakeImage) -> tuple[Image.Image, list[str]]:
    """Write a copy of the photo's metadata with another image; returns it as it is read."""
    path = photo.with_name(f"copy{suffix}")
    metadata = read_metadata(photo)
    notes = save_photo(path, make_image(2, *SIZE), metadata)
    image = Image.open(path)
    image.load()
    return image, metadata.notes + notes


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("suffix", [suffix for suffix in by_suffix() if suffix != ".bmp"])
def test_exif_and_resolution_are_kept_and_made_true(
    tmp_path: Path, make_image: MakeImage, source: str, suffix: str
) -> None:
    exif = camera_exif(6 if source in (".jpg", ".png") else 1)
    options: dict[str, Any] = {} if source == ".webp" else {"dpi": (300, 150)}
    make_image(1, 40, 30).save(tmp_path / f"photo{source}", exif=exif.tobytes(), **options)
    image, notes = copy(tmp_path / f"photo{source}", suffix, make_image)
    assert notes == []
    kept = image.getexif()
    assert kept[0x0132] == "2001:02:03 04:05:06"
    assert kept[0x013B] == "Ann"
    if source != ".tif":  # Pillow wrote the photo itself without them
        assert kept[0x8298].encode("latin-1") == COPYRIGHT.encode()
    assert kept.get(0x0112, 1) == 1
    assert 0x013E not in kept
    inner = kept.get_ifd(EXIF)
    assert inner[0x9003] == "2001:02:03 04:05:06"
    assert float(inner[0x829A]) == 1 / 250
    assert inner[0x9000] == b"0232"
    assert inner[0x9286] == b"ASCII\0\0\0hello"
    assert inner[0xA434] == "lens"
    assert 0x927C not in inner
    assert (inner[0xA001], inner[0xA002], inner[0xA003]) == (1, *SIZE)
    assert kept.get_ifd(GPS) == {1: "N", 2: (50.0, 6.0, 1.5)}
    if source != ".webp":
        expected = (150, 300) if source in (".jpg", ".png") else (300, 150)  # turned by 90°
        assert (kept[0x11A], kept[0x11B], kept[0x128]) == pytest.approx((*expected, 2), abs=0.1)
        if suffix not in (".webp", ".avif"):
            assert image.info["dpi"] == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("suffix", list(by_suffix()))
def test_a_copy_is_in_srgb_whatever_the_photo_was_in(
    tmp_path: Path, make_image: MakeImage, suffix: str
) -> None:
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    make_image(1).save(tmp_path / "photo.jpg", icc_profile=other)
    image, _ = copy(tmp_path / "photo.jpg", suffix, make_image)
    profile = image.info.get("icc_profile")
    if suffix == ".png":
        assert profile is None
        assert image.info["srgb"] == 0
    elif suffix != ".bmp":
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        assert "sRGB" in ImageCms.getProfileDescription(read)
        image.close()
        first = (tmp_path / f"copy{suffix}").read_bytes()
        copy(tmp_path / "photo.jpg", suffix, make_image)
        assert (tmp_path / f"copy{suffix}").read_bytes() == first


def test_what_is_left_out_is_named(tmp_path: Path, make_image: MakeImage) -> None:
    make_image(1).save(
        tmp_path / "photo.jpg", exif=camera_exif(), xmp=b"<x/>", comment=b"a comment"
    )
    assert read_metadata(tmp_path / "photo.jpg").left_out == ["MakerNote", "XMP", "comment"]
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Ann")
    make_image(1).save(tmp_path / "photo.png", pnginfo=text)
    assert read_metadata(tmp_path / "photo.png").left_out == ["text of the PNG file"]
    _, notes = copy(tmp_path / "photo.jpg", ".bmp", make_image)
    assert notes == ["BMP files hold no EXIF data: it is not kept"]


def test_a_preview_of_the_photo_is_left_out(tmp_path: Path, make_image: MakeImage) -> None:
    exif = bytearray(camera_exif().tobytes()[6:])
    order = "<" if exif[:2] == b"II" else ">"
    (entries,) = struct.unpack_from(order + "H", exif, 8)
    struct.pack_into(order + "L", exif, 10 + 12 * entries, len(exif))
    exif += struct.pack(order + "HHHLLL", 1, 0x0201, 4, 1, 0, 0)
    make_image(1).save(tmp_path / "photo.jpg", exif=b"Exif\0\0" + bytes(exif))
    assert "thumbnail" in read_metadata(tmp_path / "photo.jpg").left_out
    image, _ = copy(tmp_path / "photo.jpg", ".jpg", make_image)
    assert image.getexif().get_ifd(1) == {}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_damaged_exif_loses_no_photo(tmp_path: Path, make_image: MakeImage, suffix: str) -> None:
    whole = camera_exif().tobytes()
    damaged = [b"Exif\0\0", b"Exif\0\0junk", whole[:60], b"Exif\0\0II*\0\xff\xff\xff\xff"]
    for place in range(6, len(whole), 7):
        damaged.append(whole[:place] + b"\xff\xff\xff" + whole[place + 3 :])
    noted = 0
    for data in damaged:
        make_image(1).save(tmp_path / "photo.jpg", exif=data)
        _, notes = copy(tmp_path / "photo.jpg", suffix, make_image)
        noted += bool(notes)
    assert noted > 5


def test_resolutions_that_cannot_be_are_dropped(tmp_path: Path, make_image: MakeImage) -> None:
    for dpi in ((0, 0), (1e9, 1e9), (0.001, 300)):
        make_image(1).save(tmp_path / "photo.tif", dpi=dpi)
        metadata = read_metadata(tmp_path / "photo.tif")
        assert metadata.resolution is None
        assert metadata.notes
    exif = Image.Exif()
    exif[0x11A], exif[0x11B], exif[0x128] = 100.0, 50.0, 3
    make_image(1).save(tmp_path / "photo.webp", exif=exif)
    assert read_metadata(tmp_path / "photo.webp").resolution == pytest.approx((254, 127))


def test_exif_that_is_too_long_for_a_jpeg_is_dropped(tmp_path: Path, make_image: MakeImage) -> None:
    exif = camera_exif()
    exif[0x010E] = "x" * 70_000
    make_image(1).save(tmp_path / "photo.png", exif=exif)
    _, notes = copy(tmp_path / "photo.png", ".jpg", make_image)
    assert notes == ["its EXIF data is too long for a JPEG file and is not kept"]
    image, notes = copy(tmp_path / "photo.png", ".png", make_image)
    assert len(image.getexif()[0x010E]) == 70_000
    assert notes == []


def test_a_file_that_is_no_image_has_no_metadata(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"no image")
    metadata = read_metadata(tmp_path / "photo.jpg")
    assert metadata.exif(SIZE) == b""
    assert metadata.notes == []
