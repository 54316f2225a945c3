"""Weights on the Hub: one file is downloaded from a server, and errors are one sentence each."""

import builtins
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark.errors import UserError
from benchmark.inference import hub
from tests.export_support import export_tiny
from tests.support import RunCommand

ROOT = Path(hub.__file__).parents[2]
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A server in place of the Hub with one repository; its address, and the requested paths."""
    content = export_tiny(tmp_path / "served.safetensors").read_bytes()
    requested: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(b"")

        def do_GET(self) -> None:
            self.answer(content)

        def answer(self, body: bytes) -> None:
            requested.append(self.path)
            known = self.path == "/a/unet/resolve/main/model.safetensors"
            self.send_response(200 if known else 404)
            self.send_header("ETag", '"e1"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Content-Length", str(len(content) if known else 0))
            self.end_headers()
            self.wfile.write(body if known else b"")

        def log_message(self, *_: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}", requested
    listening.shutdown()
    listening.server_close()


def test_weights_of_the_hub_color_a_photo(
    run: RunCommand,
    server: tuple[str, list[str]],
    tmp_path: Path,
    make_image: Callable[..., Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a process of its own, since the library reads the address of the Hub at its import."""
    address, requested = server
    make_image(1, 50, 40).save(tmp_path / "photo.png")
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf")}
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
        environment.pop(name, None)

    command = ["colorize", "photo.png", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, ROOT / "main.py", *command, "--weights", "hf:a/unet", "--out", "a.png"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "a.png\n"), done.stderr
    monkeypatch.chdir(tmp_path)
    assert run(*command, "--weights", "served.safetensors", "--out", "b.png")[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    files = {path for path in requested if not path.startswith("/api/")}
    assert files == {"/a/unet/resolve/main/model.safetensors"}


def test_a_download_that_fails_is_one_sentence(
    run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        @staticmethod
        def hf_hub_download(*_: Any, **__: Any) -> str:
            raise OSError("404 Client Error.\nRepository not found")

    monkeypatch.setattr(hub, "library", Broken)
    code, out, err = run("colorize", "photo.png", "--weights", "hf:a/b@main")
    assert (code, out) == (2, "")
    assert "hf:a/b@main: model.safetensors cannot be downloaded (OSError: 404 Client" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["hf:", "hf:unet", "hf:a/b/c", "hf:../unet x", "hf:a/b@"])
def test_what_is_no_repository_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="name a repository as hf:owner/name"):
        hub.download_weights(name)


def test_without_the_library_a_sentence_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "huggingface_hub":
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match="pip install huggingface_hub"):
        hub.download_weights("hf:someone/unet")
