"""Archives, workplaces and imports for the tests of `data import`."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from benchmark.data.importing.contract import Workplace
from benchmark.data.importing.writing import Limits
from benchmark.jobs.data_import import import_images


def jpeg(image: Image.Image) -> bytes:
    """Return the bytes of a JPEG file."""
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    return stream.getvalue()


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive of files, by their paths."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tar_of(files: Mapping[str, bytes | tarfile.TarInfo], mode: str = "w") -> bytes:
    """Return a tar archive of files by their paths; a TarInfo is a member without content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            if isinstance(data, tarfile.TarInfo):
                archive.addfile(data)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@contextmanager
def workplace(folder: Path) -> Iterator[Workplace]:
    """A workplace in a folder of a test."""
    (folder / "work").mkdir()
    with ExitStack() as cleanup:
        yield Workplace(folder / "work", folder / "downloads", cleanup)


def imported(name: str, folder: Path, limits: Limits | None = None, **more: Any) -> dict[str, Any]:
    """Import, and return import.json."""
    import_images(name, folder, limits or Limits(), **more)
    record: dict[str, Any] = json.loads((folder / "import.json").read_text(encoding="utf-8"))
    return record


def files_in(folder: Path) -> list[str]:
    """Return the paths of all files below a folder but import.json, also of hidden ones."""
    paths = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())
    return sorted(path for path in paths if path != "import.json" and not path.endswith(".lock"))
