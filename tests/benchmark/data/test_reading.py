"""Every file in a folder is decoded correctly or refused with a reason; no other error occurs."""

import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from benchmark.data import reading
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.reading import (
    UnusableImage,
    decode,
    is_grayscale,
    open_photo,
    open_rgb,
    read_square,
    read_whole,
)
from benchmark.errors import UserError
from tests.hostile import turned
from tests.image_support import chunk

Make = Callable[..., Image.Image]


def pixels(path: Path) -> np.ndarray:
    """Return the pixels of a file as int (H, W, 3)."""
    return np.asarray(open_rgb(path)).astype(int)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def blank_png(side: int) -> bytes:
    """Return a valid, black 1-bit PNG of side × side, compressed to a few kilobytes."""
    row, compressor = bytes(1 + (side + 7) // 8), zlib.compressobj(1)
    data = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


# ---- files that cannot be used -------------------------------------------------------------------


def test_a_text_file_named_jpg_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_text("not a photo")
    with pytest.raises(UnusableImage, match="not an image"):
        open_rgb(path)


def test_an_empty_file_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.touch()
    with pytest.raises(UnusableImage, match="not an image"):
        open_rgb(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_half_a_file_cannot_be_decoded(tmp_path: Path, make_image: Make, kind: str) -> None:
    path = tmp_path / "photo.jpg"
    whole = encoded(make_image(0), kind)
    path.write_bytes(whole)
    assert open_rgb(path).size == (32, 32)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableImage):
        open_rgb(path)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_too_small_images_are_named_with_their_size(
    tmp_path: Path, make_image: Make, size: tuple[int, int]
) -> None:
    path = tmp_path / "small.png"
    make_image(0, *size).save(path)
    with pytest.raises(UnusableImage, match=f"{size[0]}×{size[1]}, smaller than 16"):
        open_rgb(path)


@pytest.mark.parametrize("side", [10_001, 20_000])
def test_enormous_images_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    path = tmp_path / "enormous.png"
    path.write_bytes(blank_png(side))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UnusableImage, match="more than 100,000,000 pixels"):
        open_rgb(path)


def test_the_same_png_is_accepted_at_a_small_size(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    path.write_bytes(blank_png(200))
    assert open_rgb(path).size == (200, 200)
    assert pixels(path).max() == 0


def used_or_refused(path: Path, content: bytes) -> str:
    """Return the mode of the image with this content, or `unusable`; lets other errors pass."""
    path.write_bytes(content)
    try:
        return open_rgb(path).mode
    except UnusableImage:
        return "unusable"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns about damage
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_damage_anywhere_causes_no_error_but_unusable_image(
    tmp_path: Path, make_image: Make, kind: str
) -> None:
    whole = encoded(make_image(0, 20, 20), kind)
    rng = random.Random(0)
    outcomes = set()
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 2, 4))):
            damaged[rng.randrange(len(whole))] = rng.randrange(256)
        outcomes.add(used_or_refused(tmp_path / "photo.jpg", bytes(damaged)))
    assert outcomes == {"RGB", "unusable"}


def test_a_photo_that_cannot_be_opened_is_reported_in_one_sentence(
    tmp_path: Path, make_image: Make
) -> None:
    make_image(0).save(tmp_path / "photo.png")
    (tmp_path / "broken.jpg").write_text("text")
    assert open_photo(tmp_path / "photo.png").mode == "RGB"
    with pytest.raises(UserError, match=r"There is no image .*missing\.jpg"):
        open_photo(tmp_path / "missing.jpg")
    with pytest.raises(UserError, match=r"broken\.jpg cannot be used: not an image"):
        open_photo(tmp_path / "broken.jpg")
    with pytest.raises(UserError, match="There is no image"):
        open_photo(tmp_path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "too large for the memory"),
        (RecursionError("deep"), r"cannot be decoded \(deep\)"),
        (ZeroDivisionError(), r"cannot be decoded \(ZeroDivisionError\)"),
        (OSError("two\nlines"), r"cannot be decoded \(two lines\)"),
        (OSError(13, "Permission denied"), r"cannot be read \(Permission denied\)"),
    ],
)
def test_every_error_is_a_reason_in_one_line(
    tmp_path: Path, make_image: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(_: object) -> None:
        raise error

    make_image(0).save(tmp_path / "photo.png")
    monkeypatch.setattr(reading, "load_and_find_orientation", fail)
    with pytest.raises(UnusableImage, match=f"^{reason}$"):
        open_rgb(tmp_path / "photo.png")


def test_both_png_decoders_detect_damage(tmp_path: Path, make_image: Make) -> None:
    path = tmp_path / "photo.png"
    whole = encoded(make_image(0, 20, 20), "PNG")
    rng = random.Random(0)
    for _ in range(300):
        damaged = bytearray(whole[: rng.choice((len(whole), rng.randrange(len(whole))))])
        for _ in range(rng.choice((0, 1, 2))):
            damaged[rng.randrange(len(damaged) or 1) :][:1] = bytes([rng.randrange(256)])
        if used_or_refused(path, bytes(damaged)) == "unusable":
            with pytest.raises(UserError, match=r"photo\.png cannot be used"):
                read_whole(path)
        else:
            np.testing.assert_array_equal(read_whole(path).transpose(1, 2, 0), pixels(path))


# ---- files that are decoded correctly ------------------------------------------------------------


def test_only_a_plain_png_uses_the_fast_decoder(
    tmp_path: Path, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, exif = make_image(0, 20, 30), Image.Exif()
    exif[0x0112] = 6  # rotated
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files = {
        "plain": encoded(plain, "PNG"),
        "rotated": encoded(plain, "PNG", exif=exif),
        "color profile": encoded(plain, "PNG", icc_profile=profile),
        "one color transparent": encoded(plain, "PNG", transparency=plain.getpixel((3, 3))),
        "alpha channel": encoded(plain.convert("RGBA"), "PNG"),
        "gray": encoded(plain.convert("L"), "PNG"),
        "palette": encoded(plain.quantize(9), "PNG"),
        "jpeg": encoded(plain, "JPEG"),
    }
    for name in ("gAMA", "cHRM", "cICP", "zTXt", "acTL"):
        added = chunk(name.encode(), struct.pack(">8I", *[31000, 33000] * 4))
        files[name] = files["plain"][:33] + added + files["plain"][33:]
    path, by_pillow = tmp_path / "photo.png", []

    def recorded(path: Path) -> Image.Image:
        by_pillow.append(name)
        return open_photo(path)

    monkeypatch.setattr(reading, "open_photo", recorded)
    for name, content in files.items():
        path.write_bytes(content)
        np.testing.assert_array_equal(read_whole(path).transpose(1, 2, 0), pixels(path), name)
    assert by_pillow == list(files)[1:]

    header = struct.pack(">I4sIIBB", 13, b"IHDR", 10**6, 10**6, 8, 2)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header)
    monkeypatch.setattr(reading, "decode_image_png_u8", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UserError, match=r"photo\.png cannot be used"):
        read_whole(path)


def test_transparent_images_are_composited_over_white(tmp_path: Path) -> None:
    layers = np.zeros((20, 20, 4), np.uint8)
    layers[:10] = (200, 0, 0, 0)  # invisible red
    layers[10:] = (0, 0, 0, 128)  # black, half transparent
    Image.fromarray(layers).save(tmp_path / "rgba.png")
    found = pixels(tmp_path / "rgba.png")
    assert (found[:10] == 255).all()
    assert np.abs(found[10:] - 127).max() <= 1
    Image.fromarray(layers).convert("LA").save(tmp_path / "la.png")
    assert (pixels(tmp_path / "la.png")[:10] == 255).all()


def test_palettes_are_decoded_with_their_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 200, 30, 255, 0, 255])
    image.paste(2, (0, 0, 10, 20))
    image.save(tmp_path / "palette.png")
    image.save(tmp_path / "holes.png", transparency=2)
    for name, left in (("palette.png", (255, 0, 255)), ("holes.png", (255, 255, 255))):
        found = pixels(tmp_path / name)
        assert (found[:, :10] == left).all()
        assert (found[:, 10:] == (10, 200, 30)).all()


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    color = (200, 60, 30)
    Image.new("RGB", (32, 32), color).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert np.abs(pixels(tmp_path / "print.jpg") - color).max() <= 6


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "I;16"])
def test_rows_are_converted_as_the_whole_is(
    tmp_path: Path, make_image: Make, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    photo = make_image(6, 37, 23)
    stored = photo.convert("L" if mode == "I;16" else mode)
    if mode == "RGBA":
        stored.putalpha(photo.getchannel(1))
    if mode == "I;16":
        stored = Image.fromarray(np.asarray(stored).astype(np.uint16) * 200)
    path = tmp_path / "photo.tif"
    for orientation in range(1, 9):
        stored.save(path, tiffinfo={0x0112: orientation})
        monkeypatch.setattr(reading, "PIXELS_AT_ONCE", 10**6)
        whole = pixels(path)
        monkeypatch.setattr(reading, "PIXELS_AT_ONCE", 37 * 5)
        np.testing.assert_array_equal(pixels(path), whole)


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp", "avif"])
def test_the_first_frame_is_read_and_the_number_of_frames_noted(
    tmp_path: Path, make_image: Make, suffix: str
) -> None:
    path = tmp_path / f"frames.{suffix}"
    frames = [Image.new("RGB", (24, 20), color) for color in ("red", "lime", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert decode(path).notes == ("the first of 3 frames",)
    assert np.abs(pixels(path) - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_damage_in_further_frames_does_not_cost_the_first(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (24, 20), color) for color in ("red", "lime", "blue")]
    path, alone = tmp_path / "frames", len(encoded(frames[0], kind))
    whole = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    for length in range(alone + 2, len(whole), 53):
        path.write_bytes(whole[:length])
        assert np.abs(pixels(path) - (255, 0, 0)).max() <= 4
        assert all(note.startswith("the first of") for note in decode(path).notes)


PEAK = """
import resource, sys
from pathlib import Path
from benchmark.data.reading import decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decode(Path(sys.argv[1]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P"])
def test_100_megapixels_take_seven_bytes_each(tmp_path: Path, make_image: Make, mode: str) -> None:
    path = tmp_path / "large.tif"
    exif = Image.Exif()
    exif[0x0112] = 6
    make_image(0, 100, 100).convert(mode).resize((10_000, 10_000)).save(
        path, compression="tiff_lzw", exif=exif
    )
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", PEAK, str(path)]
    peak = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    assert int(peak) < 750e6


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.98])
def test_of_a_jpeg_that_is_cut_short_the_part_that_is_there_can_be_kept(
    tmp_path: Path, make_image: Make, mode: str, share: float
) -> None:
    content = encoded(make_image(3, 160, 200).convert(mode), "JPEG", quality=95)
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    whole.write_bytes(content)
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnusableImage, match="cut short"):
        decode(cut)
    found = decode(cut, truncated="keep")
    rows = found.image.height
    assert 16 <= rows < 200
    assert rows > 200 * share - 60
    assert f"the first {rows} of 200 rows" in found.notes[0]
    np.testing.assert_array_equal(np.asarray(found.image), pixels(whole)[:rows])
    assert decode(whole, truncated="keep").notes == ()


def test_what_is_cut_short_too_early_or_is_no_jpeg_is_never_kept(
    tmp_path: Path, make_image: Make
) -> None:
    image = make_image(3, 160, 200)
    for kind, share in (("JPEG", 0.08), ("PNG", 0.5), ("TIFF", 0.5), ("WEBP", 0.5)):
        content = encoded(image, kind)
        (tmp_path / "cut.jpg").write_bytes(content[: int(share * len(content))])
        with pytest.raises(UnusableImage):
            decode(tmp_path / "cut.jpg", truncated="keep")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_large_jpeg_that_is_decoded_at_a_part_of_its_size_gives_the_same_square(
    tmp_path: Path, make_image: Make, mode: str
) -> None:
    path = tmp_path / "photo.jpg"
    make_image(5, 500, 380).convert(mode).save(path, quality=95)
    whole = read_square(path, Preprocessing(32)).astype(int)
    scaled = read_square(path, Preprocessing(32, scaled=True)).astype(int)
    assert decode(path, least=64).image.size == (125, 95)
    assert abs(scaled - whole).max() <= 4
    assert abs(scaled - whole).mean() < 0.5
    path = path.with_suffix(".png")  # which has no such decoding
    make_image(5, 500, 380).save(path)
    assert decode(path, least=64).image.size == (500, 380)


def test_an_image_stored_in_any_orientation_is_upright(tmp_path: Path, make_image: Make) -> None:
    image = make_image(4, 40, 31)
    for name, content in turned(image):
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(np.asarray(open_rgb(tmp_path / name)), np.asarray(image))


def test_the_square_is_the_middle_of_the_long_side(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "high.png")
    for name in ("wide.png", "high.png"):
        square = read_square(tmp_path / name, Preprocessing(20))
        assert square.dtype == np.uint8
        assert square.shape == (3, 20, 20)
        assert (square.transpose(1, 2, 0) == (0, 255, 0)).all()


def test_an_image_of_the_right_size_is_not_changed(tmp_path: Path, make_image: Make) -> None:
    image = make_image(1, 24, 24)
    image.save(tmp_path / "photo.png")
    square = read_square(tmp_path / "photo.png", Preprocessing(24))
    np.testing.assert_array_equal(square.transpose(1, 2, 0), np.asarray(image))


def test_larger_and_smaller_images_are_resized(tmp_path: Path, make_image: Make) -> None:
    for number, size in enumerate([(17, 16), (31, 90), (200, 123)]):
        make_image(number, *size).save(tmp_path / "photo.jpg", quality=95)
        square = read_square(tmp_path / "photo.jpg", Preprocessing(32))
        assert square.shape == (3, 32, 32)
        photo = open_rgb(tmp_path / "photo.jpg")
        middle = photo.resize((1, 1), Image.Resampling.BOX, box=_middle(size))
        np.testing.assert_allclose(square.mean(axis=(1, 2)), np.asarray(middle)[0, 0], atol=4)


def _middle(size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    side = min(size)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


# ---- which images are grayscale ------------------------------------------------------------------


def square_of(path: Path) -> np.ndarray:
    return read_square(path, Preprocessing(32))


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_grayscale_is_recognized_despite_jpeg(
    tmp_path: Path, make_image: Make, quality: int
) -> None:
    gray = make_image(2, 64, 64).convert("L")
    gray.save(tmp_path / "one channel.jpg", quality=quality)
    gray.convert("RGB").save(tmp_path / "three channels.jpg", quality=quality)
    gray.save(tmp_path / "gray.png")
    for path in sorted(tmp_path.iterdir()):
        assert is_grayscale(square_of(path)), path.name


def test_pale_and_tinted_photos_are_not_grayscale(tmp_path: Path, make_image: Make) -> None:
    gray = make_image(3, 64, 64).convert("L").convert("RGB")
    pale = Image.blend(gray, make_image(3, 64, 64), 0.05)
    assert np.ptp(np.asarray(pale), axis=2).max() < 16  # of 255: very little color
    sepia = Image.fromarray((np.asarray(gray) * (1, 0.94, 0.86)).astype(np.uint8))
    spot = gray.copy()
    spot.paste((220, 30, 40), (4, 4, 16, 16))
    for name, image in (("pale", pale), ("sepia", sepia), ("spot", spot)):
        image.save(tmp_path / f"{name}.jpg", quality=90)
        assert not is_grayscale(square_of(tmp_path / f"{name}.jpg")), name
