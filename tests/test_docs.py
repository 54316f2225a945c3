"""The site of the documentation is built without a warning, complete, and asks no other host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.cli.commands import find_commands
from benchmark.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\bsrc=[\"']?(?:https?:)?//"
    r"|<link[^>]*\brel=[\"']?(?:stylesheet|preload|icon|preconnect)[^>]*\bhref=[\"']?(?:https?:)?//"
    r"|url\([\"']?(?:https?:)?//|@import[^;]*//"
)
"""What makes a browser ask another host when it shows a page."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", ROOT / "docs", folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_the_site_has_every_page_and_asks_no_other_host(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").is_file(), page.name
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        found = FOREIGN.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.name}: {found and found[0]}"
    assert "<math" in (site / "diffusion.html").read_text(encoding="utf-8")


def test_the_reference_has_every_command_and_setting(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "reference.html").read_text(encoding="utf-8"))
    for name, _ in find_commands():
        assert f"python main.py {name}" in text
    for name in Settings.model_fields.keys() - {"architecture"}:
        assert name in text
    for entry in registry.entries():
        for name in registry.load_settings(entry.name).described():
            assert name in text, (entry.name, name)


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_between_files_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (ROOT / "docs" / target).exists(), target
