"""A web server on this machine that can break off, redirect and lie, for the tests of downloads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Site:
    """A local web site. bodies: the content of each path. cut: bytes that answers lack at the end.

    breaks: after how many bytes each of the next answers breaks off, and is then at its end.
    etag: of every file, if there is one; only then ranges are served. wrong_length: the length
    that answers claim instead of theirs. moved: path → the address that it is redirected to.
    asked: the paths that were asked for. ranges: the ranges that were asked for.
    """

    address: str
    bodies: dict[str, bytes] = field(default_factory=dict)
    cut: int = 0
    breaks: list[int] = field(default_factory=list)
    etag: str | None = None
    wrong_length: int | None = None
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Site]:
    """Serve a site from a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.ranges.append(self.headers.get("Range"))
            if self.path in site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved[self.path])
                self.end_headers()
                return
            body = site.bodies.get(self.path)
            self._answer(404 if body is None else 200, body or b"")

        def _answer(self, status: int, body: bytes) -> None:
            start, whole = 0, len(body)
            asked = self.headers.get("Range")
            if asked and site.etag and self.headers.get("If-Range") == site.etag:
                status, start = 206, int(asked.removeprefix("bytes=").removesuffix("-"))
                body = body[start:]
            if start >= whole > 0:
                status, body = 416, b""
            self.send_response(status)
            length = len(body) if site.wrong_length is None else site.wrong_length
            self.send_header("Content-Length", str(length))
            if site.etag:
                self.send_header("ETag", site.etag)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.end_headers()
            end = site.breaks.pop(0) if site.breaks else len(body) - site.cut
            self.wfile.write(body[:end])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield site
        server.shutdown()
