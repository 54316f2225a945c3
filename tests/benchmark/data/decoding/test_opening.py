"""Files are opened by their content as one of the formats that are read, and never otherwise."""

import contextlib
import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmark.data.decoding import formats, opening
from benchmark.data.reading import UnusableImage, decode, open_rgb
from tests.image_support import chunk, png

Make = Callable[..., Image.Image]
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 40 40
%%EndComments
/showpage {} def
"""
HEIC = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(200)


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UnusableImage) as raised:
        open_rgb(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("MPO", {"quality": 95}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 95}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("JPEG2000", {}),
        ("PPM", {}),
        ("SGI", {}),
        ("QOI", {}),
    ],
)
def test_the_content_decides_and_not_the_name(
    tmp_path: Path, make_image: Make, kind: str, options: dict[str, int]
) -> None:
    image, stream = make_image(2, 40, 24), io.BytesIO()
    image.save(stream, kind, **options)
    for name in ("photo.jpg", "photo.png", "photo.tga", "photo"):
        (tmp_path / name).write_bytes(stream.getvalue())
        found = decode(tmp_path / name)
        assert found.image.size == (40, 24)
        assert np.abs(np.asarray(found.image).astype(int) - np.asarray(image)).mean() < 6
        assert found.notes == ()


@pytest.mark.parametrize("suffix", [".tga", ".pcx", ".dib"])
def test_formats_without_a_signature_need_their_suffix(
    tmp_path: Path, make_image: Make, suffix: str
) -> None:
    path = tmp_path / f"photo{suffix}"
    make_image(2, 40, 24).save(path)
    np.testing.assert_array_equal(np.asarray(open_rgb(path)), np.asarray(make_image(2, 40, 24)))
    assert refused(tmp_path / "photo.jpg", path.read_bytes()) == "not an image"


@pytest.mark.parametrize("name", ["photo.jpg", "photo.eps", "photo.png"])
def test_postscript_never_starts_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started a program"))
    assert refused(tmp_path / name, EPS).startswith("a PostScript file, which is not read; convert")
    binary = b"\xc5\xd0\xd3\xc6" + struct.pack("<6IHH", 32, len(EPS), 0, 0, 0, 0, 0xFFFF, 0) + EPS
    assert refused(tmp_path / name, binary).startswith("an EPS file, which is not read; convert")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"  <svg xmlns=''>", "SVG"),
        (b"\xff\x0a\xfa", "JPEG XL"),
        (b"PF\n40 24\n-1.0\n", "color PFM"),
    ],
)
def test_the_reason_names_a_format_that_is_not_read(
    tmp_path: Path, content: bytes, word: str
) -> None:
    assert f" {word} file, which is not read" in refused(tmp_path / "photo.jpg", content)


@pytest.mark.parametrize(
    "brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic", b"msf1\0\0\0\0hevc"]
)
@pytest.mark.parametrize("name", ["photo.heic", "photo.jpg"])
def test_heic_without_its_library_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brands: bytes, name: str
) -> None:
    monkeypatch.setattr(opening, "has_heif", lambda: False)
    monkeypatch.setattr(formats, "has_heif", lambda: False)
    content = struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(100)
    assert "install pillow-heif" in refused(tmp_path / name, content)


def test_heic_is_read_by_its_library(
    tmp_path: Path, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.BytesIO()
    make_image(2, 40, 24).save(stream, "PNG")

    def register() -> None:  # a library that reads as PNG what follows the header
        Image.register_open("HEIF", lambda file, name: Image.open(io.BytesIO(file.read()[24:])))

    library = SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, "pillow_heif", library)
    monkeypatch.setattr(opening, "has_heif", lambda: True)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    (tmp_path / "photo.jpg").write_bytes(HEIC[:24] + stream.getvalue())
    found = open_rgb(tmp_path / "photo.jpg")
    np.testing.assert_array_equal(np.asarray(found), np.asarray(make_image(2, 40, 24)))


def test_nothing_is_printed_of_a_damaged_file(
    tmp_path: Path, make_image: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    path, rng = tmp_path / "photo.jpg", np.random.default_rng(0)
    for kind, options in {"TIFF": {"compression": "tiff_lzw"}, "PNG": {}, "JPEG": {}}.items():
        stream = io.BytesIO()
        make_image(0, 20, 20).save(stream, kind, exif=b"Exif\0\0II*\0\xff\0\0\0", **options)
        for _ in range(40):
            content = bytearray(stream.getvalue())
            for place in rng.integers(0, len(content), 3):
                content[place] = rng.integers(256)
            path.write_bytes(content)
            with contextlib.suppress(UnusableImage):
                decode(path)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_chunk_that_no_reader_needs_loses_no_png(
    tmp_path: Path, make_image: Make
) -> None:
    pixels, path = np.asarray(make_image(5, 40, 24)), tmp_path / "photo.png"

    def with_damaged(name: bytes, data: bytes) -> bytes:
        whole = chunk(name, data)
        return png(pixels, 8, 2, whole[:-1] + bytes([whole[-1] ^ 1]))

    for name in (b"tEXt", b"tIME", b"pHYs", b"eXIf"):
        path.write_bytes(with_damaged(name, b"a\0text"))
        assert decode(path).notes == ()
        np.testing.assert_array_equal(np.asarray(open_rgb(path)), pixels)
    for name, data in ((b"gAMA", struct.pack(">I", 100000)), (b"tRNS", bytes(6))):
        path.write_bytes(with_damaged(name, data))
        assert decode(path).notes == (f"its {name.decode()} chunk is damaged and was ignored",)
        np.testing.assert_array_equal(np.asarray(open_rgb(path)), pixels)
    content = png(pixels, 8, 2)
    late = chunk(b"tEXt", b"a\0text")[:-1] + b"\0"
    path.write_bytes(content[:-12] + late + content[-12:])
    np.testing.assert_array_equal(np.asarray(open_rgb(path)), pixels)
    place = content.index(b"IDAT")
    assert "decoded" in refused(path, content[: place + 8] + b"\xff" + content[place + 9 :])
