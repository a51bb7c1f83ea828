"""The page and the one question that it asks, for a browser of this machine only.

Another page of that browser must not get in: the address has a secret of its own, the Host header must be ours (a name
that somebody lets point to 127.0.0.1 is not), a question must be JSON of our own origin, and nothing from anywhere else
is loaded or shown around it.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from threading import Lock
from typing import Any

from hub.catalogue import text
from hub.workshop.bench import Bench

HERE = "127.0.0.1"
MOST_BYTES = 1_000_000
"""Of a question: source and mapping together."""
_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
_FOLDER = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_WORDS = (
    "title", "source", "mapping", "output", "save", "lead", "nothing", "stale", "lost", "none", "rule", "count",
)  # fmt: skip


class Workshop(ThreadingHTTPServer):
    """Serves one bench on the loopback; `port` 0 takes a free one. Nothing is written to disk."""

    daemon_threads = True

    def __init__(self, bench: Bench, source: str, mapping: str, port: int = 0) -> None:
        self.bench, self.source, self.mapping = bench, source, mapping
        self.token = secrets.token_urlsafe(24)
        self.one_at_a_time = Lock()
        super().__init__((HERE, port), _Handler)

    @property
    def host(self) -> str:
        return f"{HERE}:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/{self.token}/"

    @cached_property
    def page(self) -> bytes:
        """The page with the first source and mapping in it."""
        lang = self.bench.lang
        words = {word: escape(text(f"play.{word}", lang)) for word in _WORDS}
        names = {"sourcename": self.bench.source, "mappingname": self.bench.drafts.name}
        texts = {"sourcetext": self.source, "mappingtext": self.mapping, "lang": lang}
        filled = {name: escape(value) for name, value in (names | texts).items()}
        template = Template((_FOLDER / "page.html").read_text("utf-8"))
        return template.substitute(words | filled).encode("utf-8", "replace")

    def work(self, asked: Any) -> dict[str, Any] | None:
        """The answer to a question; None where it is none."""
        if not isinstance(asked, dict):
            return None
        source, mapping = asked.get("source"), asked.get("mapping")
        if not isinstance(source, str) or not isinstance(mapping, str):
            return None
        with self.one_at_a_time:
            return self.bench.work(source, mapping, datetime.now(UTC))


class _Handler(BaseHTTPRequestHandler):
    server: Workshop
    server_version, sys_version = "eport", ""
    timeout = 30

    def do_GET(self) -> None:
        self._told(self._get)

    def do_POST(self) -> None:
        self._told(self._post)

    def _told(self, answer: Callable[[str], None]) -> None:
        try:
            self._asked(answer)
        except ConnectionError:
            self.close_connection = True  # the page was closed or asks anew

    def _asked(self, answer: Callable[[str], None]) -> None:
        """Answer what comes from our own page, by the name behind its secret."""
        _, token, *rest = (*self.path.split("/", 2), "")
        origin = self.headers.get("Origin", f"http://{self.server.host}")
        if self.headers.get_all("Host") != [self.server.host] or origin != f"http://{self.server.host}":
            self._send(403)
        elif len(rest) < 2 or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._send(404)
        else:
            answer(rest[0])

    def _get(self, name: str) -> None:
        if not name:
            self._send(200, "text/html", self.server.page)
        elif name in _FILES:
            self._send(200, _FILES[name], (_FOLDER / name).read_bytes())
        else:
            self._send(404)

    def _post(self, name: str) -> None:
        size = self.headers.get("Content-Length", "")
        if name != "work" or self.headers.get_content_type() != "application/json":
            self._send(404)
        elif not (size.isascii() and size.isdigit()):
            self._send(411)
        elif len(size) > len(str(MOST_BYTES)) or int(size) > MOST_BYTES:
            self._send(413)
        else:
            self._work(self.rfile.read(int(size)))

    def _work(self, body: bytes) -> None:
        try:
            made = self.server.work(json.loads(body))
        except (ValueError, RecursionError):
            made = None
        if made is None:
            self._send(400)
        else:
            self._send(200, "application/json", json.dumps(made).encode())

    def _send(self, status: int, kind: str = "text/plain", body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The address has the secret in it, so nothing of it is told."""
