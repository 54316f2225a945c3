"""`data import` from the command line."""

import json
from pathlib import Path

import pytest

from benchmark.data.importing.finding import find_importers
from benchmark.data.manifest import Digests
from benchmark.data.sources import locate
from tests.benchmark.cli.test_help import help_of
from tests.import_support import files_in, zip_of
from tests.support import RunCommand
from tests.web_support import serving


def test_images_become_a_dataset_that_the_project_reads(
    run: RunCommand, images_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "d"
    command = ["data", "import", str(images_folder), "--to", str(folder)]
    code, out, err = run(*command, "--limit", "5", "--max_mb", "1", "--size", "20")
    assert (code, out) == (0, f"{folder}\n")
    assert "Imported 5 images, 0.0 MB, into" in err
    assert "--limit ended the import" in err
    assert len(files_in(folder)) == 5
    record = json.loads((folder / "import.json").read_text())
    assert record["settings"] == {
        "name": str(images_folder), "limit": 5, "max_mb": 1.0, "classes": [], "size": 20,
    }  # fmt: skip
    found = locate(str(folder), None, tmp_path / "R").images(Digests(None))
    assert len(found.files) == 5
    assert not found.passed_over
    assert run(*command, "--limit", "5", "--max_mb", "1", "--size", "20")[1] == f"{folder}\n"
    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert "replace it with --overwrite" in err
    assert run(*command, "--overwrite")[0] == 0
    assert len(files_in(folder)) == 24


def test_a_mistake_is_one_sentence_and_leaves_nothing(
    run: RunCommand, images_folder: Path, tmp_path: Path
) -> None:
    with serving() as site:
        site.bodies |= {"/page.zip": b"<html>", "/broken.zip": b"PK", "/empty.zip": zip_of({})}
        for arguments, message in (
            (["tiny-imagenett"], "did you mean 'tiny-imagenet'?"),
            (["folder:none"], "There is no folder none: check the path."),
            (["none.zip"], "There is no archive none.zip: check the path."),
            ([f"{site.address}/page.zip"], "the answer was a web page and not the file"),
            ([f"{site.address}/broken.zip"], "broken.zip is damaged, or no zip or tar archive"),
            ([f"{site.address}/empty.zip"], "has no image that can be used."),
            ([f"{site.address}/none.zip"], "HTTP Error 404"),
            (["photos", "--classes", "cat"], "the images have no classes; leave it out."),
            (["photos", "--max_mb", "0"], "name a number of megabytes above 0"),
            (["photos", "--limit", "0"], "greater than or equal to 1"),
            (["photos", "--size", "8"], "greater than or equal to 16"),
            ([], "Missing argument 'NAME'"),
        ):
            code, out, err = run("data", "import", *arguments, "--to", str(tmp_path / "d"))
            assert (code, out) == (2, ""), arguments
            assert message in err
            assert "Traceback" not in err
            assert not (tmp_path / "d").exists(), arguments


def test_ctrl_c_is_one_sentence(
    run: RunCommand, images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.data.importing import writing

    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "open_rgb", stop)
    code, out, err = run("data", "import", str(images_folder), "--to", str(tmp_path / "d"))
    assert (code, out) == (130, "")
    assert err == f"The import was stopped: nothing was written to {tmp_path / 'd'}.\n"
    assert not (tmp_path / "d").exists()


def test_the_help_and_the_documentation_name_every_set() -> None:
    found, _ = find_importers()
    text = help_of("data", "import")
    document = (Path(__file__).parents[3] / "docs/data.md").read_text(encoding="utf-8")
    for name in (name for kind in found.values() for name in kind.sets):
        assert name in text
        assert f"`{name}`" in document
    assert "[default: Dataset]" in text
