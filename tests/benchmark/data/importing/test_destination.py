"""The destination of an import: it holds one import as a whole, and never loses other images."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.data.importing import destination
from benchmark.data.importing.writing import Limits
from benchmark.errors import Interrupted, UserError
from benchmark.files import read_json, write_json
from tests.import_support import files_in, imported

FillFolder = Callable[..., list[Path]]


@pytest.fixture
def sources(tmp_path: Path, fill_folder: FillFolder) -> tuple[str, str]:
    """Two folders of images, of which the first has splits."""
    fill_folder(tmp_path / "a/train", range(4))
    fill_folder(tmp_path / "a/test", range(4, 6))
    fill_folder(tmp_path / "b", range(6, 9))
    return str(tmp_path / "a"), str(tmp_path / "b")


def test_another_import_is_replaced_only_if_asked(tmp_path: Path, sources: tuple[str, str]) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "README.md").write_text("stays")
    first = imported(sources[0], folder)
    assert imported(sources[0], folder) == first
    before = files_in(folder)
    for name, limits in ((sources[1], Limits()), (sources[0], Limits(images=1))):
        with pytest.raises(
            UserError, match=r"holds an import of .*/a with 6 images: .*--overwrite"
        ):
            imported(name, folder, limits)
    assert files_in(folder) == before
    record = imported(sources[1], folder, overwrite=True)
    assert record["settings"]["name"] == sources[1]
    assert files_in(folder) == ["README.md", *(f"images/image_00{i}.png" for i in (6, 7, 8))]


def test_the_user_s_own_images_are_never_replaced(
    tmp_path: Path, sources: tuple[str, str], fill_folder: FillFolder
) -> None:
    folder = tmp_path / "d"
    (own,) = fill_folder(folder, range(30, 31))
    for overwrite in (False, True):
        with pytest.raises(UserError, match="holds 1 images that no import wrote"):
            imported(sources[0], folder, overwrite=overwrite)
    own.unlink()
    imported(sources[0], folder)
    (own,) = fill_folder(folder / "train", range(31, 32))
    with pytest.raises(UserError, match="holds 1 images more than its import"):
        imported(sources[1], folder, overwrite=True)
    assert own.exists()


@pytest.mark.parametrize("step", range(6))
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_an_import_that_ends_while_it_is_put_in_place_changes_nothing(
    tmp_path: Path,
    sources: tuple[str, str],
    step: int,
    stop: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "d"
    imported(sources[0], folder)
    before = {file: (folder / file).read_bytes() for file in [*files_in(folder), "import.json"]}
    real, done = os.replace, []

    def replace(source: Path, target: Path) -> None:
        if ".import-" in f"{source}{target}" and ".part-" not in str(source):
            done.append(source)
            if len(done) == step + 1:
                raise stop
        real(source, target)

    monkeypatch.setattr(destination.os, "replace", replace)  # type: ignore[attr-defined]
    expected = Interrupted if stop is KeyboardInterrupt else UserError
    if step < 5:  # three names leave, and two come
        with pytest.raises(expected):
            imported(sources[1], folder, overwrite=True)
        names = [*files_in(folder), "import.json"]
        assert {file: (folder / file).read_bytes() for file in names} == before
    else:
        imported(sources[1], folder, overwrite=True)
        assert len(files_in(folder)) == 3


def test_what_a_killed_import_left_is_removed(tmp_path: Path, sources: tuple[str, str]) -> None:
    left = tmp_path / "d" / f"{destination.WORK}x/new/train"
    left.mkdir(parents=True)
    (left / "half.png").write_bytes(b"half")
    imported(sources[0], tmp_path / "d")
    assert len(files_in(tmp_path / "d")) == 6


def test_a_record_cannot_name_files_elsewhere(tmp_path: Path, sources: tuple[str, str]) -> None:
    folder = tmp_path / "d"
    imported(sources[0], folder)
    for name in ("../a", "/tmp", "..", ""):
        record = {**read_json(folder / "import.json"), "folders": [name]}
        write_json(folder / "import.json", record)
        with pytest.raises(UserError, match=r"Name another folder with --to"):
            imported(sources[1], folder, overwrite=True)
    assert len(list((tmp_path / "a").rglob("*.png"))) == 6


def test_two_imports_into_one_folder_do_not_mix(tmp_path: Path, sources: tuple[str, str]) -> None:
    with (
        destination.workplace_in(tmp_path / "d"),
        pytest.raises(UserError, match="being imported into by another process"),
    ):
        imported(sources[0], tmp_path / "d")


def test_a_destination_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, sources: tuple[str, str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        imported(sources[0], tmp_path / "file/d")
