"""A server for the page and nothing else: a path that is not one of its files does not exist."""

from __future__ import annotations

import mimetypes
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from timbrel.sockets import listening_socket, url_of
from timbrel.web.page import HEADERS, INDEX_FILE, Files

DEFAULT_PORT = 8765
_SILENT_AFTER_S = 30  # a connection on which nothing comes is closed
# Defined here, because systems differ in the file types that they know.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".mid": "audio/midi",
    ".flac": "audio/flac",
}


def make_server(files: Files, *, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> PageServer:
    """A server that listens; `serve_forever` runs it.

    Parameters
    ----------
    files
        The page's, of `timbrel.web.page.page_files`.
    host, port
        Where to listen; port 0 chooses a free one.

    Raises
    ------
    InputError
        If the port is taken, or the host is not one of this machine's addresses.
    """
    return PageServer(files, listening_socket(host, port))


class PageServer(ThreadingHTTPServer):
    """Serves some files from memory or wherever they come from."""

    daemon_threads = True

    def __init__(self, files: Files, listener: socket.socket) -> None:
        self.files = files
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    @property
    def url(self) -> str:
        return url_of(self.socket)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no fault."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version, sys_version = "timbrel", ""
    protocol_version = "HTTP/1.1"
    timeout = _SILENT_AFTER_S
    disable_nagle_algorithm = True  # a short answer does not wait for its header's acknowledgement

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def _answer(self, *, with_content: bool) -> None:
        try:
            # A path is looked up, never joined: no other file can be reached.
            parts = urlsplit(self.path)
            name = unquote(parts.path).removeprefix("/") or INDEX_FILE
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        make = self.server.files.get(name)
        if make is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = make()
        self.send_response(HTTPStatus.OK)
        # What is stored compressed is decompressed by the browser, while it arrives.
        compressed = name.endswith(".gz")
        suffix = PurePosixPath(name.removesuffix(".gz")).suffix
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.send_header("Content-Type", kind)
        if compressed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        # What has its content's hash in its address never changes.
        hashed = bool(parts.query) or name.startswith("assets/")
        kept = "max-age=31536000, immutable" if hashed else "no-cache"
        self.send_header("Cache-Control", kept)
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the terminal belongs to whoever started it."""
