"""Each file is decoded once, and images are returned in the order of the files."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

from benchmark.data import cache as cache_module
from benchmark.data.cache import Cache, ImageSet, Square, decode_square
from benchmark.data.manifest import ImageFile
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.reading import read_square
from benchmark.data.rows import StoredRows, in_memory
from benchmark.errors import UserError
from benchmark.files import sha256_of_file

AT_16 = Preprocessing(16)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the decoded files, in the order of decoding."""
    names: list[str] = []

    def watched(path: Path, preprocessing: Preprocessing) -> Square:
        names.append(path.name)
        return decode_square(path, preprocessing)

    monkeypatch.setattr(cache_module, "decode_square", watched)
    return names


def listed(folder: Path) -> list[ImageFile]:
    return [ImageFile(p.name, p, sha256_of_file(p)) for p in sorted(folder.iterdir())]


def check(images: ImageSet, files: list[ImageFile], preprocessing: Preprocessing) -> None:
    """Check that every row is the image of its file."""
    assert images.files == files
    assert images.rgb8.dtype == torch.uint8
    side = preprocessing.size
    assert images.rgb8.shape == (len(files), 3, side, side)
    for row, image in zip(images.rgb8.numpy(), files, strict=True):
        np.testing.assert_array_equal(row, read_square(image.path, preprocessing))


def test_a_second_load_decodes_nothing(
    tmp_path: Path, images_folder: Path, decoded: list[str]
) -> None:
    files = listed(images_folder)
    check(Cache(tmp_path / "cache").load(files, AT_16), files, AT_16)
    assert sorted(decoded) == [file.name for file in files]
    decoded.clear()
    check(Cache(tmp_path / "cache").load(files, AT_16), files, AT_16)
    assert decoded == []


def test_rows_are_in_the_order_of_the_files_and_not_of_the_cache(
    tmp_path: Path, images_folder: Path, decoded: list[str]
) -> None:
    files, cache = listed(images_folder), Cache(tmp_path / "cache")
    cache.load(files, AT_16)
    decoded.clear()
    chosen = files[::-2]
    check(cache.load(chosen, AT_16), chosen, AT_16)
    check(cache.load([], AT_16), [], AT_16)
    assert decoded == []


def test_adding_an_image_decodes_that_image_alone(
    tmp_path: Path,
    images_folder: Path,
    fill_folder: Callable[..., list[Path]],
    decoded: list[str],
) -> None:
    cache = Cache(tmp_path / "cache")
    cache.load(listed(images_folder), AT_16)
    packs = {path: path.read_bytes() for path in (tmp_path / "cache").rglob("*.safetensors")}
    decoded.clear()
    fill_folder(images_folder, range(100, 101))
    files = listed(images_folder)
    check(cache.load(files, AT_16), files, AT_16)
    assert decoded == ["image_100.png"]
    assert all(path.read_bytes() == content for path, content in packs.items())
    decoded.clear()
    check(cache.load(files, AT_16), files, AT_16)
    assert decoded == []


def test_a_renamed_file_is_recognized_by_its_content(
    tmp_path: Path, images_folder: Path, decoded: list[str]
) -> None:
    cache = Cache(tmp_path / "cache")
    cache.load(listed(images_folder), AT_16)
    decoded.clear()
    (images_folder / "image_000.png").rename(images_folder / "zebra.png")
    files = listed(images_folder)
    check(cache.load(files, AT_16), files, AT_16)
    assert decoded == []


def test_two_files_of_the_same_content_are_two_rows_and_decoded_once(
    tmp_path: Path, fill_folder: Callable[..., list[Path]], decoded: list[str]
) -> None:
    (path,) = fill_folder(tmp_path / "images", range(1))
    path.with_name("copy.png").write_bytes(path.read_bytes())
    files = listed(path.parent)
    check(Cache(tmp_path / "cache").load(files, AT_16), files, AT_16)
    assert len(files) == 2
    assert len(decoded) == 1


def index_of(pack: Path) -> str:
    with safe_open(pack, framework="np") as opened:
        index: str = opened.metadata()["index"]
        return index


DAMAGES = ["truncated", "emptied", "overwritten", "a flipped bit of a pixel", "deep", "a list"]
DAMAGES += ["a flipped bit of a digest", "no index", "other tensors", "other pixels"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_pack_is_reported_and_its_images_decoded_again(
    tmp_path: Path,
    images_folder: Path,
    decoded: list[str],
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    files, cache = listed(images_folder), Cache(tmp_path / "cache")
    cache.load(files, AT_16)
    (pack,) = (tmp_path / "cache").rglob("*.safetensors")
    content = pack.read_bytes()
    pack.write_bytes(
        {
            "truncated": content[:-1000],
            "emptied": b"",
            "overwritten": b"\xff" * 500 + content[500:],
            "a flipped bit of a pixel": content[:-7] + bytes([content[-7] ^ 1]) + content[-6:],
            "a flipped bit of a digest": content.replace(b"1", b"3", 1),
            "deep": save({"rgb8": torch.zeros(1)}, metadata={"index": "[" * 100_000}),
            "a list": save({"rgb8": torch.zeros(1)}, metadata={"index": "[]"}),
            "no index": save({"rgb8": torch.zeros(1)}),
            "other tensors": save({"rgb": torch.zeros(1)}, metadata={"index": index_of(pack)}),
            "other pixels": save({"rgb8": torch.zeros(24, 3, 16, 16)}, {"index": index_of(pack)}),
        }[damage]
    )
    decoded.clear()
    check(cache.load(files, AT_16), files, AT_16)
    assert sorted(decoded) == [file.name for file in files]
    assert str(pack) in capsys.readouterr().err
    decoded.clear()
    check(cache.load(files, AT_16), files, AT_16)
    assert decoded == []


def test_every_preprocessing_has_its_own_pack(
    tmp_path: Path, images_folder: Path, decoded: list[str]
) -> None:
    files, cache = listed(images_folder), Cache(tmp_path / "cache")
    kinds = (AT_16, Preprocessing(20), Preprocessing(16, "bilinear"))
    loaded = [cache.load(files, kind) for kind in kinds]
    assert len(decoded) == 3 * len(files)
    assert not torch.equal(loaded[0].rgb8, loaded[2].rgb8)
    decoded.clear()
    for kind in kinds:
        check(cache.load(files, kind), files, kind)
    assert decoded == []


def test_unusable_files_are_left_out_and_named_with_the_reason(
    tmp_path: Path, images_folder: Path
) -> None:
    (images_folder / "aaa.jpg").write_text("text")
    (images_folder / "mmm.jpg").touch()
    files = listed(images_folder)
    good = [file for file in files if file.name.startswith("image")]
    cache = Cache(tmp_path / "cache")
    for _ in range(2):  # the second load reads the pack
        images = cache.load(files, AT_16)
        check(images, good, AT_16)
        assert images.failures == {"aaa.jpg": "not an image", "mmm.jpg": "not an image"}


def test_unusable_files_alone_give_no_images_and_no_pack(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_text("text")
    images = Cache(tmp_path / "cache").load(listed(tmp_path / "images"), AT_16)
    check(images, [], AT_16)
    assert list(images.failures) == ["a.jpg"]
    assert not list(tmp_path.rglob("*.safetensors"))


def test_selected_rows_keep_their_files(tmp_path: Path, images_folder: Path) -> None:
    files = listed(images_folder)
    images = Cache(tmp_path / "cache").load(files, AT_16)
    chosen = images.select(range(21, -1, -3))
    check(chosen, files[21::-3], AT_16)
    assert chosen.contents == images.contents[21::-3]
    assert len(images.select([])) == 0


def test_without_a_folder_nothing_is_written_and_nothing_believed(
    tmp_path: Path, images_folder: Path, decoded: list[str]
) -> None:
    files = listed(images_folder)
    for _ in range(2):
        decoded.clear()
        check(Cache(None).load(files, AT_16), files, AT_16)
        assert len(decoded) == len(files)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_contents_depend_on_the_pixels_alone(
    tmp_path: Path, make_image: Callable[..., Image.Image]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    image = make_image(0, 40, 30)
    image.save(folder / "a.png")
    image.save(folder / "b.bmp")
    image.save(folder / "c.webp", lossless=True)
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "d.png")
    make_image(1, 40, 30).save(folder / "e.png")
    image.resize((80, 60), Image.Resampling.NEAREST).save(folder / "f.png")
    for _ in range(2):  # the second load reads the pack
        a, b, c, *others = Cache(tmp_path / "cache").load(listed(folder), AT_16).contents
        assert a == b == c
        assert len({a, *others}) == 4


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, images_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("a file in the place of the folder")
    files = listed(images_folder)
    check(Cache(tmp_path / "cache").load(files, AT_16), files, AT_16)
    assert "are not kept" in capsys.readouterr().err


@pytest.mark.parametrize("backward", [False, True])
def test_copies_under_other_suffixes_change_nothing(tmp_path: Path, backward: bool) -> None:
    """A TGA file is known by its suffix alone, so a copy under another one cannot be read."""
    content = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 20, 20, 24, 0) + bytes(1200)
    for name in ("a.png", "b.tga", "c.jpg"):
        (tmp_path / name).write_bytes(content)
    files = sorted(listed(tmp_path), key=lambda image: image.name, reverse=backward)
    for cache in (Cache(None), Cache(tmp_path / ".cache"), Cache(tmp_path / ".cache")):
        images = cache.load(files, AT_16)
        assert [image.name for image in images.files] == ["b.tga"]
        assert sorted(images.failures) == ["a.png", "c.jpg"]


# ---- more than the memory holds ------------------------------------------------------------------


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every set of images in packs of two images each."""
    monkeypatch.setattr(cache_module, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(cache_module, "PACK_BYTES", 2 * 3 * 16**2)


def test_stored_images_are_those_in_memory(
    tmp_path: Path, images_folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = listed(images_folder)
    whole = Cache(None).load(files, AT_16)
    monkeypatch.setattr(cache_module, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(cache_module, "PACK_BYTES", 2 * 3 * 16**2)
    for _ in range(2):  # decoded, and then from the packs
        images = Cache(tmp_path / "cache").load(files, AT_16)
        assert isinstance(images.rgb8, StoredRows)
        assert torch.equal(in_memory(images.rgb8), in_memory(whole.rgb8))
        assert torch.equal(torch.stack(list(images.rgb8)), in_memory(whole.rgb8))
        assert images.rgb8.shape == whole.rgb8.shape
        assert images.rgb8[:0].shape == whole.rgb8[:0].shape
        assert (images.files, images.contents) == (whole.files, whole.contents)
        chosen = [2, 0, 3]
        some, same = images.select(chosen), whole.select(chosen)
        assert torch.equal(some.rgb8[[1, 2]], same.rgb8[[1, 2]])
        assert torch.equal(some.rgb8[-1], same.rgb8[-1])
    assert len(decoded) == 2 * len(files)
    packs = list((tmp_path / "cache").rglob("*.safetensors"))
    assert len(packs) == (len(files) + 1) // 2


@pytest.mark.usefixtures("stored")
def test_stored_images_whose_pack_is_gone_are_decoded_again(
    tmp_path: Path, images_folder: Path
) -> None:
    files = listed(images_folder)
    kept, none = Cache(tmp_path / "cache").load(files, AT_16), Cache(None).load(files, AT_16)
    for pack in (tmp_path / "cache").rglob("*.safetensors"):
        pack.unlink()
    for images in (kept, none):
        for row, image in zip(images.rgb8, files, strict=True):
            np.testing.assert_array_equal(row.numpy(), read_square(image.path, AT_16))
    Image.new("RGB", (40, 40), "red").save(files[0].path)
    with pytest.raises(UserError, match="changed meanwhile"):
        _ = none.rgb8[0]
    files[0].path.write_bytes(b"")
    with pytest.raises(UserError, match="can no longer be used"):
        _ = none.rgb8[0]


@pytest.mark.usefixtures("stored")
def test_a_pack_that_cannot_be_written_leaves_stored_images_usable(
    tmp_path: Path, images_folder: Path
) -> None:
    (tmp_path / "cache").write_text("in the way")
    files = listed(images_folder)
    images = Cache(tmp_path / "cache").load(files, AT_16)
    for row, image in zip(images.rgb8, files, strict=True):
        np.testing.assert_array_equal(row.numpy(), read_square(image.path, AT_16))
