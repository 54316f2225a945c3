"""Colors become sRGB by littlecms and the formulas of the formats, in every mode of samples."""

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from benchmark.data.reading import UnusableImage, decode, read_whole
from tests.image_support import chunk, png

Make = Callable[..., Image.Image]
SRGB = ImageCms.createProfile("sRGB")
P3_TO_XYZ = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
P3_CHROMATICITIES = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
GRAY, RGB, GRAY_ALPHA = 0, 2, 4  # color types of a PNG
CHANNELS = (b"r", b"g", b"b")


def fixed(values: Sequence[float]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def icc(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    table, data, place = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content
    head = struct.pack(">I", place + len(data)) + b"lcms\x02\x10\0\0mntr" + space + connection
    head += bytes(12) + b"acsp" + bytes(28) + fixed((0.9642, 1, 0.8249)) + bytes(48)
    return head + table + data


def power(exponent: float) -> bytes:
    return b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(exponent * 256))


def display_p3(exponent: float = 2.2) -> bytes:
    tags = {
        c + b"XYZ": b"XYZ \0\0\0\0" + fixed(v) for c, v in zip(CHANNELS, P3_TO_XYZ, strict=True)
    }
    tags |= {c + b"TRC": power(exponent) for c in CHANNELS}
    return icc(b"RGB ", tags | {b"wtpt": b"XYZ \0\0\0\0" + fixed((0.9642, 1, 0.8249))})


def gray(exponent: float) -> bytes:
    return icc(b"GRAY", {b"kTRC": power(exponent)})


def ink() -> bytes:
    """Return a profile of CMYK: a table of two values for each ink, in CIELAB."""
    amounts = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), -1).reshape(-1, 4)
    rgb = (1 - amounts[:, :3]) * (1 - amounts[:, 3:])
    lab = np.stack([rgb @ (80, 100, 70), 128 + rgb @ (60, -70, 20), 128 + rgb @ (30, 60, -90)], 1)
    ramp = np.arange(256, dtype=np.uint8).tobytes()
    table = b"mft1\0\0\0\0\4\3\2\0" + fixed(np.eye(3).ravel().tolist()) + ramp * 4
    table += lab.clip(0, 255).round().astype(np.uint8).tobytes() + ramp * 3
    return icc(b"CMYK", {b"A2B0": table}, b"Lab ").replace(b"mntr", b"prtr", 1)


P3 = display_p3()


def by_littlecms(image: Image.Image, profile: bytes) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    exact = ImageCms.Flags.NOOPTIMIZE if image.mode == "L" else ImageCms.Flags.NONE
    found = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB", flags=exact)
    return np.asarray(found).astype(int)


def shown(path: Path) -> np.ndarray:
    return np.asarray(decode(path).image).astype(int)


# ---- color profiles ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.jpg", "a.avif"])
def test_a_profile_counts_in_every_mode_and_format(
    tmp_path: Path, make_image: Make, name: str
) -> None:
    path, photo = tmp_path / name, make_image(5, 40, 24)
    linear = gray(1.0)
    cases = {
        "RGB": (photo, P3),
        "RGBA": (photo.convert("RGBA"), P3),
        "P": (photo.quantize(50), P3),
        "L": (photo.convert("L"), linear),
        "LA": (photo.convert("LA"), linear),
        "CMYK": (photo.convert("CMYK"), ink()),
    }
    for mode, (image, profile) in cases.items():
        try:
            image.save(path, icc_profile=profile, **({"quality": 95} if name[2] in "ja" else {}))
        except OSError:  # the format has no such mode
            continue
        with Image.open(path) as stored:
            if (stored.mode == "CMYK") != (mode == "CMYK") or (
                mode in ("L", "LA") and stored.mode not in ("L", "LA")
            ):
                continue  # stored in colors that the profile is not of
            kept = {"CMYK": "CMYK", "L": "L", "LA": "L"}.get(mode, "RGB")
            plain = stored.convert(kept)
        expected = by_littlecms(plain, profile)
        assert np.abs(shown(path) - expected).max() <= 1, mode
        assert np.abs(expected - np.asarray(plain.convert("RGB"))).max() > 5, mode
        assert decode(path).notes == (), mode


def test_gray_of_16_bits_is_converted_at_16_bits(tmp_path: Path) -> None:
    values = np.arange(20 * 40).reshape(20, 40) * 10  # dark, where a linear curve needs all bits
    path = tmp_path / "gray.png"
    Image.fromarray(values.astype(np.uint16)).save(path, icc_profile=gray(1.0))
    light = values / 65535
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(shown(path) - expected[..., None]).max() <= 1


def test_gray_with_opacity_of_16_bits_takes_a_profile_of_gray(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(40), (20, 1)) * 1600
    samples = np.dstack([ramp, np.full_like(ramp, 65535)])
    path = tmp_path / "gray.png"
    path.write_bytes(png(samples, 16, GRAY_ALPHA, chunk(b"gAMA", struct.pack(">I", 100000))))
    expected = by_littlecms(Image.fromarray((ramp >> 8).astype(np.uint8)), gray(1.0))
    assert np.abs(shown(path) - expected).max() <= 1


def test_cielab_is_converted_with_and_without_a_profile(tmp_path: Path, make_image: Make) -> None:
    photo, cielab = make_image(5, 40, 24), ImageCms.createProfile("LAB")
    photo = Image.blend(photo, Image.new("RGB", photo.size, "gray"), 0.5)
    lab = ImageCms.profileToProfile(photo, SRGB, cielab, outputMode="LAB")
    for options in ({}, {"icc_profile": ImageCms.ImageCmsProfile(cielab).tobytes()}):
        lab.save(tmp_path / "lab.tif", **options)
        assert np.abs(shown(tmp_path / "lab.tif") - np.asarray(photo)).max() <= 3


def test_colors_are_converted_before_white_is_put_behind_them(tmp_path: Path) -> None:
    color, opacity = Image.new("RGB", (20, 20), (200, 40, 90)), 100
    layer = color.convert("RGBA")
    layer.putalpha(opacity)
    layer.save(tmp_path / "layer.png", icc_profile=P3)
    converted = by_littlecms(color, P3)[0, 0]
    expected = (converted * opacity + 255 * (255 - opacity)) / 255
    assert np.abs(shown(tmp_path / "layer.png") - expected).max() <= 1


@pytest.mark.parametrize(
    ("mode", "profile", "words"),
    [
        ("RGB", gray(1.8), "is one of GRAY and not of RGB colors"),
        ("L", P3, "is one of RGB and not of GRAY colors"),
        ("RGB", P3[:200], "is damaged"),
        ("RGBA", b"no profile", "is damaged"),
        ("P", b"", ""),
    ],
)
def test_a_profile_that_cannot_be_used_is_noted(
    tmp_path: Path, make_image: Make, mode: str, profile: bytes, words: str
) -> None:
    photo = make_image(5, 40, 24).convert(mode)
    photo.save(tmp_path / "photo.png", icc_profile=profile)
    notes = (f"its color profile {words} and was taken as sRGB",) if words else ()
    assert decode(tmp_path / "photo.png").notes == notes
    np.testing.assert_array_equal(shown(tmp_path / "photo.png"), np.asarray(photo.convert("RGB")))


def test_a_profile_that_cannot_be_extracted_is_noted(tmp_path: Path, make_image: Make) -> None:
    photo = make_image(5, 40, 24)
    broken = chunk(b"iCCP", b"name\0\0not compressed")
    (tmp_path / "photo.png").write_bytes(png(np.asarray(photo), 8, RGB, broken))
    photo.save(tmp_path / "photo.jpg", icc_profile=P3)
    content = (tmp_path / "photo.jpg").read_bytes()
    one_of_one = b"ICC_PROFILE\0\1\1"
    assert one_of_one in content
    (tmp_path / "photo.jpg").write_bytes(content.replace(one_of_one, b"ICC_PROFILE\0\1\2"))
    for name in ("photo.png", "photo.jpg"):
        note = "its color profile is damaged and was taken as sRGB"
        assert decode(tmp_path / name).notes == (note,)
        np.testing.assert_array_equal(
            shown(tmp_path / name), np.asarray(Image.open(tmp_path / name))
        )


def test_profiles_that_pillow_does_not_look_for(tmp_path: Path, make_image: Make) -> None:
    photo, path = make_image(5, 40, 24), tmp_path / "photo.jp2"
    expected = by_littlecms(photo, P3)
    photo.save(path, irreversible=False)
    content = path.read_bytes()
    start = content.index(b"colr") - 4
    length = int.from_bytes(content[start : start + 4], "big")
    box = struct.pack(">I4sBBB", len(P3) + 11, b"colr", 2, 0, 0) + P3
    content = content[:start] + box + content[start + length :]
    header = content.index(b"jp2h") - 4
    grown = int.from_bytes(content[header : header + 4], "big") + len(box) - length
    path.write_bytes(content[:header] + struct.pack(">I", grown) + content[header + 4 :])
    assert np.abs(shown(path) - expected).max() <= 1

    rows = np.asarray(photo)[::-1, :, ::-1].tobytes()  # 120 bytes a row, from the bottom, BGR
    info = struct.pack("<IiiHHIIiiII", 124, 40, 24, 1, 24, 0, len(rows), 0, 0, 0, 0).ljust(
        56, b"\0"
    )
    info += b"DEBM" + bytes(52) + struct.pack("<III", 124 + len(rows), len(P3), 0)
    head = b"BM" + struct.pack("<IHHI", 138 + len(rows) + len(P3), 0, 0, 138)
    (tmp_path / "photo.bmp").write_bytes(head + info + rows + P3)
    assert np.abs(shown(tmp_path / "photo.bmp") - expected).max() <= 1


# ---- gAMA, cHRM, sRGB and code points ------------------------------------------------------------


def with_chunks(path: Path, image: Image.Image, **data: bytes) -> Path:
    color = GRAY if image.mode == "L" else RGB
    chunks = [chunk(name.encode(), content) for name, content in data.items()]
    path.write_bytes(png(np.asarray(image), 8, color, *chunks))
    return path


def gama(value: float) -> bytes:
    return struct.pack(">I", round(value * 100000))


def chrm(values: Sequence[float]) -> bytes:
    return struct.pack(">8I", *(round(value * 100000) for value in values))


@pytest.mark.parametrize("value", [1.0, 0.55556, 0.35, 0.7])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_gama_is_the_power_that_the_specification_of_png_says(
    tmp_path: Path, make_image: Make, mode: str, value: float
) -> None:
    photo = make_image(5, 40, 24).convert(mode)
    path = with_chunks(tmp_path / "photo.png", photo, gAMA=gama(value))
    light = (np.asarray(photo.convert("RGB")) / 255) ** (1 / value)
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(shown(path) - expected).max() <= 1.5
    np.testing.assert_array_equal(read_whole(path).transpose(1, 2, 0), shown(path))


def test_what_counts_before_gama(tmp_path: Path, make_image: Make) -> None:
    photo, path = make_image(5, 40, 24), tmp_path / "photo.png"
    plain = np.asarray(photo)
    with_chunks(path, photo, gAMA=gama(0.45455))
    np.testing.assert_array_equal(shown(path), plain)
    with_chunks(path, photo, sRGB=b"\0", gAMA=gama(1.0), cHRM=chrm(P3_CHROMATICITIES))
    np.testing.assert_array_equal(shown(path), plain)
    photo.save(path, icc_profile=P3)
    with_profile = path.read_bytes()
    path.write_bytes(with_profile[:33] + chunk(b"gAMA", gama(1.0)) + with_profile[33:])
    assert np.abs(shown(path) - by_littlecms(photo, P3)).max() <= 1
    photo.save(path, icc_profile=b"damaged")
    damaged = path.read_bytes()
    path.write_bytes(damaged[:33] + chunk(b"gAMA", gama(1.0)) + damaged[33:])
    assert np.abs(shown(path) - by_littlecms(photo, icc_of_srgb(1.0))).max() <= 1
    assert decode(path).notes == ("its color profile is damaged and was ignored",)


def icc_of_srgb(exponent: float) -> bytes:
    columns = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
    tags = {c + b"XYZ": b"XYZ \0\0\0\0" + fixed(v) for c, v in zip(CHANNELS, columns, strict=True)}
    return icc(b"RGB ", tags | {c + b"TRC": power(exponent) for c in CHANNELS})


def test_chrm_and_code_points_state_the_primaries(tmp_path: Path, make_image: Make) -> None:
    photo, path = make_image(5, 40, 24), tmp_path / "photo.png"
    for exponent in (2.2, 1.0):
        with_chunks(path, photo, gAMA=gama(1 / exponent), cHRM=chrm(P3_CHROMATICITIES))
        assert np.abs(shown(path) - by_littlecms(photo, display_p3(exponent))).max() <= 2
    with_chunks(path, photo, cHRM=chrm(P3_CHROMATICITIES))
    by_chrm = shown(path)
    assert np.abs(by_chrm - np.asarray(photo)).max() > 5
    with_chunks(path, photo, cICP=bytes((12, 13, 0, 1)), gAMA=gama(1.0))
    assert np.abs(shown(path) - by_chrm).max() <= 1
    with_chunks(path, photo, cICP=bytes((1, 13, 0, 1)), gAMA=gama(1.0))
    np.testing.assert_array_equal(shown(path), np.asarray(photo))


def test_code_points_of_an_avif(tmp_path: Path, make_image: Make) -> None:
    photo, path = make_image(5, 40, 24), tmp_path / "photo.avif"
    photo.save(path, quality=100, subsampling="4:4:4")
    plain, content = Image.fromarray(shown(path).astype(np.uint8)), path.read_bytes()
    place = content.index(b"colrnclx") + 8
    path.write_bytes(content[:place] + struct.pack(">HH", 12, 4) + content[place + 4 :])
    assert np.abs(shown(path) - by_littlecms(plain, P3)).max() <= 2


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_refused(tmp_path: Path, make_image: Make, transfer: int) -> None:
    path = with_chunks(tmp_path / "a.png", make_image(5), cICP=bytes((9, transfer, 0, 1)))
    with pytest.raises(UnusableImage, match="its colors are of high dynamic range"):
        decode(path)


@pytest.mark.parametrize(
    "data",
    [
        {"gAMA": gama(0)},
        {"gAMA": gama(1.0), "cHRM": bytes(32)},
        {"cHRM": chrm((0.3127, 0.329) * 4)},
        {"cICP": bytes((99, 99, 0, 1))},
    ],
)
def test_impossible_statements_are_noted(
    tmp_path: Path, make_image: Make, data: dict[str, bytes]
) -> None:
    path = with_chunks(tmp_path / "photo.png", make_image(5), **data)
    np.testing.assert_array_equal(shown(path), np.asarray(make_image(5)))
    (note,) = decode(path).notes
    assert "chunk is damaged and was taken as sRGB" in note


# ---- what EXIF data and the tags of a TIFF say ---------------------------------------------------

ADOBE_RGB = icc(
    b"RGB ",
    {
        # The published colorants of the profile, adapted to D50.
        b"rXYZ": b"XYZ \0\0\0\0" + fixed((0.60974, 0.31111, 0.01947)),
        b"gXYZ": b"XYZ \0\0\0\0" + fixed((0.20528, 0.62567, 0.06087)),
        b"bXYZ": b"XYZ \0\0\0\0" + fixed((0.14919, 0.06322, 0.74457)),
        b"wtpt": b"XYZ \0\0\0\0" + fixed((0.9642, 1, 0.8249)),
        **{c + b"TRC": power(563 / 256) for c in CHANNELS},
    },
)


def exif(color_space: int, index: str = "") -> bytes:
    data = Image.Exif()
    data.get_ifd(0x8769)[0xA001] = color_space
    if index:
        data.get_ifd(0x8769)[0xA005] = {1: index}
    return data.tobytes()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize(
    ("color_space", "index", "is_adobe"),
    [
        (2, "", True),
        (65535, "R03", True),
        (65535, "", False),
        (65535, "R98", False),
        (1, "", False),
    ],
)
def test_adobe_rgb_is_told_by_exif_alone(
    tmp_path: Path, make_image: Make, name: str, color_space: int, index: str, is_adobe: bool
) -> None:
    path, plain = tmp_path / name, tmp_path / f"plain-{name}"
    options = {"lossless": True} if name.endswith("webp") else {}
    make_image(5, 40, 24).save(path, exif=exif(color_space, index), **options)
    make_image(5, 40, 24).save(plain, **options)
    with Image.open(plain) as image:
        stored = image.convert("RGB")
    expected = by_littlecms(stored, ADOBE_RGB) if is_adobe else np.asarray(stored).astype(int)
    assert np.abs(shown(path) - expected).max() <= is_adobe
    make_image(5, 40, 24).save(path, exif=exif(color_space, index), icc_profile=P3, **options)
    assert np.abs(shown(path) - by_littlecms(stored, P3)).max() <= 1, "a profile counts first"


def test_the_tags_of_a_tiff_state_curve_and_primaries(tmp_path: Path, make_image: Make) -> None:
    photo, path = make_image(5, 40, 24), tmp_path / "photo.tif"
    table = [round(65535 * (i / 255) ** 1.8) for i in range(256)]
    white, *colors = np.array(P3_CHROMATICITIES).reshape(4, 2)
    primaries: dict[int, object] = {318: tuple(white), 319: tuple(np.concatenate(colors))}
    p3_of = {exponent: display_p3(exponent) for exponent in (1.8, 2.2)}
    curved = icc_of_srgb(1.8)
    for tags, profile in (
        ({301: table}, curved),
        ({301: table * 3}, curved),
        ({301: table, **primaries}, p3_of[1.8]),
    ):
        photo.save(path, tiffinfo=tags)
        assert np.abs(shown(path) - by_littlecms(photo, profile)).max() <= 1
    photo.save(path, tiffinfo=primaries)
    with_curve_of_srgb = shown(path)
    assert np.abs(with_curve_of_srgb - by_littlecms(photo, p3_of[2.2])).mean() < 2
    assert np.abs(with_curve_of_srgb - np.asarray(photo)).max() > 5
    photo.save(path, tiffinfo={301: table[:100]})
    np.testing.assert_array_equal(shown(path), np.asarray(photo))
    assert "TransferFunction" in decode(path).notes[0]
