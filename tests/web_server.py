"""A web server of this process whose pages answer rightly, or wrongly in one chosen way."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What one address answers; every list holds one entry a request, and the last one stays."""

    body: bytes = b""
    etag: str | None = None
    modified: str | None = None
    ranges: bool = True
    statuses: list[int] = field(default_factory=lambda: [200])
    cut_after: list[int | None] = field(default_factory=lambda: [None])
    stall_after: int | None = None
    trickle: bool = False
    chunked: bool = False
    length: int | None = None
    redirect: str | None = None
    range_answer: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Server(ThreadingHTTPServer):
    """Serves ``pages`` by path and keeps what was asked, as (path, headers)."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, path: str, body: bytes = b"", **how: object) -> str:
        """Put a page at a path; returns its address."""
        self.pages[path] = Page(body, **how)
        return f"{self.address}{path}"

    def asked_for(self, path: str) -> list[dict[str, str]]:
        """The headers of every request for a path."""
        return [headers for name, headers in self.asked if name == path]


def _entry(entries: list, number: int):
    return entries[min(number, len(entries) - 1)]


class _Handler(BaseHTTPRequestHandler):
    server: Server
    # chunked answers exist from 1.1 on
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        number = len(self.server.asked_for(self.path))
        self.server.asked.append((self.path, dict(self.headers)))
        page = self.server.pages.get(self.path, Page(statuses=[404]))
        status = _entry(page.statuses, number)
        if page.redirect is not None:
            self._head(302, {"Location": page.redirect, "Content-Length": "0"})
        elif status == 0:
            return
        elif status != 200:
            self._head(status, {"Content-Length": "0"})
        else:
            self._page(page, _entry(page.cut_after, number))

    def _page(self, page: Page, cut_after: int | None) -> None:
        start = self._start(page)
        body = page.body[start:] if start is not None else page.body
        headers = dict(page.headers)
        for name, value in (("ETag", page.etag), ("Last-Modified", page.modified)):
            if value is not None:
                headers[name] = value
        if page.ranges:
            headers["Accept-Ranges"] = "bytes"
        if start is not None:
            body = body if page.range_answer is None else page.range_answer
            size = len(page.body)
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        if page.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body) if page.length is None else page.length)
        self._head(200 if start is None else 206, headers)
        self._body(page, body if cut_after is None else body[:cut_after])

    def _start(self, page: Page) -> int | None:
        """Where a partial answer starts; None for a whole one."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if not page.ranges or wanted is None:
            return None
        return int(wanted[1]) if condition in (None, page.etag, page.modified) else None

    def _body(self, page: Page, body: bytes) -> None:
        try:
            if page.trickle:
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    if self.server.ended.wait(0.02):
                        return
            elif page.stall_after is not None:
                self.wfile.write(body[: page.stall_after])
                self.server.ended.wait(20)
            elif page.chunked:
                for at in range(0, len(body), 1000):
                    block = body[at : at + 1000]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.wfile.write(body)
        except OSError:
            # the client has heard enough
            return

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def version_string(self) -> str:
        return "test"

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server while the block lasts."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
