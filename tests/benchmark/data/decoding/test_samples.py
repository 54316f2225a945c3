"""Samples of every depth and kind are read as the format defines them, or refused with a reason."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data.reading import UnusableImage, open_rgb
from tests.image_support import chunk, packed, png, tiff

Y, X = np.mgrid[0:20, 0:31]
RAMP = X / 30  # in [0, 1], (H, W)
COLORS = np.dstack([RAMP, Y / 19, 1 - RAMP])
OPACITY = Y / 19
GRAY_PNG, RGB_PNG, GRAY_ALPHA_PNG, RGBA_PNG = 0, 2, 4, 6
UNSIGNED, SIGNED, FLOAT = 1, 2, 3


def read(tmp_path: Path, content: bytes, name: str = "photo.png") -> np.ndarray:
    path = tmp_path / name
    path.write_bytes(content)
    return np.asarray(open_rgb(path)).astype(float)


def over_white(colors: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    return 255 * (colors * opacity[..., None] + 1 - opacity[..., None])


def levels(shares: np.ndarray, depth: int) -> np.ndarray:
    return (shares * (2**depth - 1)).round().astype(np.int64)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_gray_png_of_every_depth_with_and_without_a_transparent_value(
    tmp_path: Path, depth: int
) -> None:
    samples = levels(RAMP, depth)
    gray = samples / (2**depth - 1) * 255
    found = read(tmp_path, png(samples, depth, GRAY_PNG))
    assert np.abs(found - gray[..., None]).max() <= 0.5
    for key in (0, int(samples[0, 12])):
        transparent = chunk(b"tRNS", struct.pack(">H", key))
        shown = np.where(samples == key, 255, gray)
        found = read(tmp_path, png(samples, depth, GRAY_PNG, transparent))
        assert np.abs(found - shown[..., None]).max() <= 0.5


def test_the_transparent_value_is_compared_at_full_depth(tmp_path: Path) -> None:
    near = np.full((20, 31, 3), (0x1234, 0x5678, 0x9ABC))
    near[:10, :, 1] += 1  # differs in the lower byte of one channel
    key = chunk(b"tRNS", struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC))
    found = read(tmp_path, png(near, 16, RGB_PNG, key))
    assert (found[10:] == 255).all()
    assert np.abs(found[:10] - near[:10] / 257).max() < 1
    gray = np.full((20, 31), 0x1234)
    gray[:10] += 1
    found = read(tmp_path, png(gray, 16, GRAY_PNG, chunk(b"tRNS", b"\x12\x34")))
    assert (found[10:] == 255).all()
    assert (found[:10] == 0x12).all()


@pytest.mark.parametrize("depth", [8, 16])
def test_colors_and_opacity_of_a_png(tmp_path: Path, depth: int) -> None:
    colors, opacity = levels(COLORS, depth), levels(OPACITY, depth)[..., None]
    found = read(tmp_path, png(colors, depth, RGB_PNG))
    assert np.abs(found - COLORS * 255).max() < 1.01
    found = read(tmp_path, png(np.concatenate([colors, opacity], 2), depth, RGBA_PNG))
    assert np.abs(found - over_white(COLORS, OPACITY)).max() < 2
    found = read(
        tmp_path, png(np.concatenate([colors[..., :1], opacity], 2), depth, GRAY_ALPHA_PNG)
    )
    assert np.abs(found - over_white(RAMP[..., None], OPACITY)).max() < 2


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize(
    ("kind", "form"), [(UNSIGNED, "u1"), (UNSIGNED, "u2"), (UNSIGNED, "u4"), (FLOAT, "f4")]
)
def test_gray_tiff_is_read_rightly_or_refused(
    tmp_path: Path, order: str, white_is_zero: bool, kind: int, form: str
) -> None:
    most = 1 if kind == FLOAT else 2 ** (8 * int(form[1])) - 1
    values = (1 - RAMP if white_is_zero else RAMP) * most
    rows = (values if kind == FLOAT else values.round()).astype(order + form).tobytes()
    bits, photometric = (8 * int(form[1]),), (0 if white_is_zero else 1,)
    content = tiff(rows, (31, 20), order, bits=bits, photometric=photometric, kind=(kind,))
    # Pillow knows no unsigned 32 bits, and no big-endian 16 bits, in all of these forms.
    unread = (form == "u4" and (white_is_zero or order == ">")) or (
        form == "u2" and white_is_zero and order == ">"
    )
    if unread:
        with pytest.raises(UnusableImage, match=rf"its {bits[0]}-bit unsigned.* cannot be read"):
            read(tmp_path, content)
    else:
        assert np.abs(read(tmp_path, content) - RAMP[..., None] * 255).max() <= 0.51


@pytest.mark.parametrize("width", [30, 31])
def test_gray_tiff_of_12_bits(tmp_path: Path, width: int) -> None:
    samples = levels(RAMP[:, :width], 12)
    rows = b"".join(packed(row, 12) for row in samples)
    found = read(tmp_path, tiff(rows, (width, 20), bits=(12,)))
    assert np.abs(found - samples[..., None] / 4095 * 255).max() <= 0.51


@pytest.mark.parametrize("form", ["i1", "i2", "i4", "f2", "f8", "u8"])
def test_other_kinds_of_samples_are_refused(tmp_path: Path, form: str) -> None:
    kind = {"i": SIGNED, "f": FLOAT, "u": UNSIGNED}[form[0]]
    bits = 8 * int(form[1])
    content = tiff(RAMP.astype(form).tobytes(), (31, 20), bits=(bits,), kind=(kind,))
    words = {SIGNED: "signed", FLOAT: "floating-point", UNSIGNED: "unsigned"}[kind]
    with pytest.raises(UnusableImage, match=f"its {bits}-bit {words} samples cannot be read"):
        read(tmp_path, content)


@pytest.mark.parametrize("order", ["<", ">"])
def test_color_in_floating_point(tmp_path: Path, order: str) -> None:
    def content(values: np.ndarray) -> bytes:
        rows = values.astype(order + "f4").tobytes()
        return tiff(rows, (31, 20), order, bits=(32,) * 3, photometric=(2,), kind=(FLOAT,))

    assert np.abs(read(tmp_path, content(COLORS)) - COLORS * 255).max() <= 0.51
    for wrong in (2.0, -0.5, np.nan, np.inf):
        values = COLORS.copy()
        values[3, 4, 1] = wrong
        with pytest.raises(UnusableImage, match="not all between 0 and 1"):
            read(tmp_path, content(values))


def test_large_color_in_floating_point_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    content = tiff(b"cut", (5000, 2001), bits=(32,) * 3, photometric=(2,), kind=(FLOAT,))
    with pytest.raises(UnusableImage, match="more than 10,000,000 pixels in floating point"):
        read(tmp_path, content)


def test_gray_in_floating_point_beyond_its_range_is_refused(tmp_path: Path) -> None:
    for wrong in (255.0, -0.5, np.nan, np.inf):
        values = RAMP.copy()
        values[3, 4] = wrong
        Image.fromarray(values.astype(np.float32)).save(tmp_path / "gray.tif")
        with pytest.raises(UnusableImage, match="not all between 0 and 1"):
            open_rgb(tmp_path / "gray.tif")


def test_colors_multiplied_by_their_opacity_are_divided_by_it(tmp_path: Path) -> None:
    opacity = OPACITY[..., None]
    for channels, photometric in ((3, 2), (1, 1)):
        colors = COLORS[..., :channels]
        samples = levels(np.concatenate([colors * opacity, opacity], 2), 8).astype(np.uint8)
        bits = (8,) * (channels + 1)
        content = tiff(
            samples.tobytes(), (31, 20), bits=bits, photometric=(photometric,), extra=(1,)
        )
        assert np.abs(read(tmp_path, content) - over_white(colors, OPACITY)).max() < 2


def test_planes_of_a_tiff_are_read_rightly_or_refused(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "photo.tif"
    for form, channels in (("u1", 3), ("u1", 4), ("u1", 2), ("u2", 3), ("u2", 4), ("f4", 3)):
        shares = np.concatenate([COLORS, OPACITY[..., None]], 2)
        shares = shares[..., [0, 3]] if channels == 2 else shares[..., :channels]
        values = shares if form == "f4" else levels(shares, 8 * int(form[1]))
        kind = "rgb" if channels > 2 else "minisblack"
        extra = ["unassalpha"] if channels in (2, 4) else None
        planes = values.astype(form).transpose(2, 0, 1)
        for packing in (None, "zlib"):
            tifffile.imwrite(
                path,
                planes,
                photometric=kind,
                planarconfig="separate",
                extrasamples=extra,
                compression=packing,
            )
            try:
                found = np.asarray(open_rgb(path))
            except UnusableImage:
                assert (form, channels) not in (("u1", 3), ("u1", 4))
                continue
            colors = COLORS if channels > 2 else RAMP[..., None]
            opaque = OPACITY if extra else np.ones_like(OPACITY)
            assert np.abs(found - over_white(colors, opaque)).max() < 2, (form, channels, packing)


@pytest.mark.parametrize("most", [1, 3, 100, 255, 1000, 4095, 65535])
def test_netpbm_files_of_every_maximum(tmp_path: Path, most: int) -> None:
    form = ">u2" if most > 255 else "u1"
    for magic, shares in ((b"P5", RAMP), (b"P6", COLORS)):
        values = (shares * most).round()
        content = magic + b"\n31 20\n%d\n" % most + values.astype(form).tobytes()
        shown = (values / most * 255).reshape(20, 31, -1)
        assert np.abs(read(tmp_path, content, "photo.ppm") - shown).max() <= 0.51


def test_portable_float_maps(tmp_path: Path) -> None:
    for scale, form in ((b"-1.0", "<f4"), (b"1.0", ">f4")):
        content = b"Pf\n31 20\n" + scale + b"\n" + RAMP[::-1].astype(form).tobytes()
        assert np.abs(read(tmp_path, content, "photo.pfm") - RAMP[..., None] * 255).max() <= 0.51


def test_jpeg_2000_of_16_bits(tmp_path: Path) -> None:
    Image.fromarray(levels(RAMP, 16).astype(np.uint16)).save(tmp_path / "photo.jp2")
    found = np.asarray(open_rgb(tmp_path / "photo.jp2"))
    assert np.abs(found - RAMP[..., None] * 255).max() <= 1


@pytest.mark.parametrize(("alpha_bits", "is_opaque"), [(0, True), (8, False)])
def test_a_tga_says_whether_its_fourth_byte_is_alpha(
    tmp_path: Path, alpha_bits: int, is_opaque: bool
) -> None:
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 20, 20, 32, alpha_bits)
    found = read(tmp_path, header + b"\x10\x20\x30\x00" * 400, "photo.tga")
    assert (found == ((0x30, 0x20, 0x10) if is_opaque else 255)).all()


def test_a_fourth_channel_without_a_meaning_is_not_opacity(tmp_path: Path) -> None:
    pixels = np.full((20, 20, 4), (0x30, 0x20, 0x10, 0), np.uint8)
    content = tiff(pixels.tobytes(), (20, 20), bits=(8,) * 4, photometric=(2,), extra=(0,))
    assert (read(tmp_path, content, "photo.tif") == (0x30, 0x20, 0x10)).all()
    head = struct.pack("<IiiHHIIiiII", 40, 20, 20, 1, 32, 0, 1600, 0, 0, 0, 0)
    bmp = b"BM" + struct.pack("<IHHI", 54 + 1600, 0, 0, 54) + head + b"\x10\x20\x30\x00" * 400
    assert (read(tmp_path, bmp, "photo.bmp") == (0x30, 0x20, 0x10)).all()
