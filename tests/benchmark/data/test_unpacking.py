"""Files of arrays as datasets: those of other programs, and damaged and hostile ones."""

import io
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from benchmark.data import sources as sources_module
from benchmark.data.npz import write_array
from benchmark.data.reading import read_whole
from benchmark.data.sources import Sources, locate
from benchmark.errors import UserError

RGB8 = np.random.default_rng(0).integers(0, 256, (6, 16, 24, 3), np.uint8)
RGB8[0, 0, 0], RGB8[0, 0, 1] = 0, 255
SHARES = RGB8 / 255
FIRST = RGB8.transpose(0, 3, 1, 2)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "TEST_IMAGES", tmp_path / "none")


def open_file(path: Path) -> Sources:
    return locate(str(path), None, path.parent / "Results")


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def images_of(sources: Sources) -> dict[str, np.ndarray]:
    """The images of a dataset, uint8 (H, W, 3), by the names of their files."""
    paths = sorted(sources.dataset.rglob("*.ppm"), key=lambda path: path.name)
    names = [path.relative_to(sources.dataset).as_posix() for path in paths]
    return {
        name: read_whole(path).transpose(1, 2, 0) for name, path in zip(names, paths, strict=True)
    }


# ---- files of other programs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"rgb": RGB8}, "uint8"),
        ({"images": FIRST}, "in images, uint8"),
        ({"x": SHARES.astype(np.float16)}, "float16 from 0 to 1, read as 0 to 1"),
        ({"x_train": SHARES.astype(">f4"), "x_test": RGB8}, "not used: x_test"),
        ({"arr_0": SHARES * 2 - 1}, "float64 from -1 to 1, read as -1 to 1"),
        ({"rgb": RGB8.astype(np.float32)}, "float32 from 0 to 255, read as 0 to 255"),
        ({"rgb": FIRST.astype(np.int64)}, "int64 from 0 to 255, read as 0 to 255"),
        ({"rgb": SHARES * 1.001, "labels": SHARES}, "float64 from 0 to 1.001, read as 0 to 1"),
    ],
)
def test_common_names_shapes_and_ranges_are_read(
    tmp_path: Path, arrays: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = open_file(save(tmp_path / "data.npz", **arrays))
    found = images_of(sources)
    assert [*found] == [f"{row}.ppm" for row in range(6)]
    assert np.abs(np.stack([*found.values()]).astype(int) - RGB8).max() <= ("1.001" in said)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "6 images of 24×16" in line)
    assert said in line
    assert (sources.name, sources.named_dataset) == ("data", tmp_path / "data.npz")


def test_labels_become_folders_whatever_the_names_are(tmp_path: Path) -> None:
    names = np.array(["cats", "../../up", "a/.hidden", "0.ppm", "x" * 300])
    path = save(tmp_path / "d.npz", rgb=RGB8, labels=np.array([0, 1, 2, 3, 4, 9]),
                category_names=names)  # fmt: skip
    found = images_of(open_file(path))
    long = "x" * 60
    assert [*found] == ["cats/0.ppm", "__/__/up/1.ppm", "a/_hidden/2.ppm", "0_ppm/3.ppm",
                        f"{long}/4.ppm", "9/5.ppm"]  # fmt: skip


def test_a_file_is_unpacked_once_and_again_if_its_images_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "d.npz", rgb=SHARES)
    folder = open_file(path).dataset
    times = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert open_file(path).dataset == folder
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == times
    next(folder.glob("*.ppm")).unlink()
    assert len(images_of(open_file(path))) == 6
    next(folder.glob("*.ppm")).write_bytes(b"")
    assert len(images_of(open_file(path))) == 6
    other = save(tmp_path / "other.npz", rgb=RGB8[:3])
    assert open_file(other).dataset != folder

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    another = save(tmp_path / "another.npz", rgb=RGB8[:2])
    monkeypatch.setattr("benchmark.data.unpacking.to_8bit", fail)
    with pytest.raises(KeyboardInterrupt):
        open_file(another)
    monkeypatch.undo()
    assert len(images_of(open_file(another))) == 2
    assert not [*(tmp_path / "Results/.cache/arrays").glob("*.part")]


def test_a_test_file_beside_a_dataset_is_mentioned_and_not_mixed_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = save(tmp_path / "train.npz", rgb=RGB8), save(tmp_path / "test.npz", rgb=RGB8)
    assert open_file(train).test_images is None
    assert f"{test} is not used: to test on its images" in capsys.readouterr().err
    sources = locate(str(train), str(test), tmp_path / "Results")
    assert "is not used" not in capsys.readouterr().err
    assert sources.record().model_dump() == {"dataset": str(train), "test_images": str(test)}


# ---- damaged and hostile files -------------------------------------------------------------------


def zipped(**members: bytes) -> bytes:
    """Return a zip of .npy files, by name, whose contents may lie."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def header(shape: tuple[int, ...], descr: str = "|u1", fortran_order: bool = False) -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(
        stream, {"descr": descr, "fortran_order": fortran_order, "shape": shape}
    )
    return stream.getvalue()


def saved(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


class Exploit:
    """An object whose unpickling would leave a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('code of the file was run')",)


def with_nan() -> np.ndarray:
    values = SHARES.copy()
    values[5, 3, 3, 1] = np.nan
    return values


WHOLE = saved(rgb=RGB8)
FLIPPED = bytearray(WHOLE)
FLIPPED[2000] ^= 255
OBJECTS = np.array([Exploit(), None], dtype=object)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "no .npz file"),
    "text": (b"no zip at all", "no .npz file"),
    "pickle": (pickle.dumps(Exploit()), "no .npz file"),
    "cut short": (WHOLE[:-200], "no .npz file"),
    "flipped bit": (bytes(FLIPPED), "cannot be read (Bad CRC-32"),
    "objects": (saved(rgb=OBJECTS), "holds Python objects"),
    "objects as labels": (saved(rgb=RGB8, labels=OBJECTS), "array labels holds Python objects"),
    "no images": (saved(grayscale=RGB8[..., :1]), "it holds grayscale, and needed is one of rgb"),
    "nothing": (zipped(), "it holds no array"),
    "gray": (saved(rgb=RGB8[..., 0]), "shape (6, 16, 24) and type uint8, and needed is"),
    "transparent": (saved(rgb=RGB8[..., [0, 1, 2, 2]]), "needed is (N, H, W, 3)"),
    "zero images": (saved(rgb=RGB8[:0]), "holds no image"),
    "tiny": (saved(rgb=RGB8[:, :8, :8]), "8×8, smaller than 16 pixels"),
    "text array": (saved(rgb=RGB8.astype(str)), "which is not read"),
    "complex": (saved(rgb=RGB8.astype(complex)), "which is not read"),
    "NaN": (saved(rgb=with_nan()), "not finite"),
    "infinite": (saved(rgb=np.where(SHARES > 0.9, np.inf, SHARES)), "not finite"),
    "standardized": (saved(rgb=SHARES * 5 - 2.5), "undo its standardization"),
    "16 bits": (saved(rgb=RGB8.astype(np.uint16) * 257), "from 0 to 6.554e+04, and needed"),
    "columns": (saved(rgb=np.asfortranarray(RGB8)), "numpy.ascontiguousarray"),
    "lying shape": (zipped(rgb=header((10**12, 64, 64, 3))), "instead of the"),
    "absurd shape": (zipped(rgb=header((10**400, 10**400, 64, 3))), "instead of the"),
    "negative shape": (zipped(rgb=header((-1, 64, 64, 3))), "impossible shape"),
    "wide": (zipped(rgb=header((0, 10**9, 10**9, 3))), "holds no image"),
    "lying labels": (
        zipped(rgb=header(RGB8.shape) + RGB8.tobytes(), labels=header((6,), "<i8")),
        "its array labels has 0 bytes",
    ),
    "no array": (zipped(rgb=b"\x93NUMPY"), "cannot be read"),
    "long header": (zipped(rgb=b"\x93NUMPY\x02\0\xff\xff\xff\xff" + b" " * 10**6), "be read"),
    "nested header": (zipped(rgb=b"\x93NUMPY\x01\0\xff\x0f" + b"(" * 4095), "be read"),
    "version": (zipped(rgb=b"\x93NUMPY\x09\0" + header((1,))[8:]), "version (9, 0)"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_cannot_be_used_is_reported_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, reason = HOSTILE[name]
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        open_file(path)
    message = str(caught.value)
    assert message.startswith(f"--dataset: {path} cannot be used: ")
    assert message.endswith("; name another file, or a folder of images.")
    assert reason in message
    assert message.isprintable()
    folder = tmp_path / "Results/.cache/arrays"
    assert not [file for file in folder.rglob("*") if file.suffix != ".lock"]


def test_a_bomb_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "d.npz", rgb=RGB8)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("benchmark.data.unpacking.shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"when it is unpacked, and .* --results"):
        open_file(path)


def test_metadata_that_a_file_does_not_agree_with_is_reported(
    tmp_path: Path, fill_folder: Callable[..., list[Path]]
) -> None:
    from benchmark.files import sha256_of_file
    from benchmark.jobs.to_npz import to_npz
    from benchmark.results.arrays import ArraySettings

    fill_folder(tmp_path / "photos", range(4))
    chosen = ArraySettings(size=16, test_size=0.5, seed=0, normalize="01")
    to_npz(tmp_path / "photos", tmp_path / "out", chosen, overwrite=False)
    metadata = tmp_path / "out/metadata.json"
    path = save(tmp_path / "out/own.npz", rgb=SHARES * 2 - 1)
    assert len(images_of(open_file(path))) == 6  # the metadata are of other files
    sha256 = sha256_of_file(tmp_path / "out/train.npz")
    metadata.write_text(metadata.read_text().replace(sha256, sha256_of_file(path)))
    with pytest.raises(UserError, match=r"from -1 to 1, and metadata.json says 0 to 1"):
        open_file(path)
    metadata.write_text("[" * 100_000)
    assert len(images_of(open_file(path))) == 6


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w") as archive:
        write_array(archive, "rgb", (1500, 64, 64, 3), np.float32, (image for _ in range(1500)))
    assert path.stat().st_size > 70e6
    tracemalloc.start()
    folder = open_file(path).dataset
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len([*folder.glob("*.ppm")]) == 1500
    assert peak < 25e6
