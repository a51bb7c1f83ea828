"""What waitress is taught: to judge a request by its headers, and to refuse before it reads the body.

On its own waitress calls the application when it has the whole body, so anybody could make it store one.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.utilities import RequestEntityTooLarge

#: Seconds for which the rest of a refused body is still read, and thrown away.
LINGER = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: JSON, or plain text."""

    status: HTTPStatus
    body: Mapping[str, str] | str

    def rendered(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status line, headers and body."""
        text = isinstance(self.body, str)
        body = self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8" if text else "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        if self.status is HTTPStatus.UNAUTHORIZED:
            headers.append(("WWW-Authenticate", 'Bearer realm="eport"'))
        return f"{self.status.value} {self.status.phrase}", headers, body


def failure(status: int, why: str) -> Reply:
    """A refusal with its reason."""
    return Reply(HTTPStatus(status), {"error": why})


def too_large(limit: int) -> Reply:
    """A body of more than `limit` bytes."""
    return failure(413, f"at most {limit} bytes are taken" if limit else "no body is taken here")


Judge = Callable[[str, str, str], Reply | int]
"""(method, path, Authorization header) -> a refusal, or how many bytes of body may come."""


class _Refused:
    """The `error` of a request, as waitress's ErrorTask wants it."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        return self._reply.rendered()


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request. It ends with an `error` as soon as its headers, or the bytes so far, allow no other answer."""

    error: Any

    def __init__(self, adj: Any, judge: Judge) -> None:
        super().__init__(adj)
        self._judge = judge
        self._verdict: Reply | int | None = None

    def received(self, data: bytes) -> int:
        """Take `data` in; how much of it belongs to this request. All of it does when it is refused."""
        consumed: int = super().received(data)
        if self.headers_finished and not self.empty:
            self._look()
        if self.error is None:
            return consumed
        # Else waitress would say "100 Continue" first, and take what follows for the next request.
        self.expect_continue = False
        return len(data)

    def _look(self) -> None:
        """Refuse a body that must not come or is too long; a request without one is the application's."""
        mine = self.error is None or isinstance(self.error, RequestEntityTooLarge)
        if not mine or self.body_rcv is None:
            return
        if self._verdict is None:
            path = "/" + self.path.lstrip("/")
            self._verdict = self._judge(self.command, path, self.headers.get("AUTHORIZATION", ""))
        verdict = self._verdict
        if isinstance(verdict, int):
            # Not len(), which fails for more than an index can hold.
            if max(self.content_length, self.body_rcv.__len__()) <= verdict:
                return
            verdict = too_large(verdict)
        self.error = _Refused(verdict)
        self.completed = True


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection. After a refusal it closes its own direction and reads on for a while.

    Closing at once while bytes are still coming in makes the kernel reset the connection, and the refusal is lost
    with it (RFC 9112, 9.6)."""

    def __init__(self, judge: Judge, *rest: Any, **named: Any) -> None:
        self.parser_class = lambda adj: Parser(adj, judge)
        self._refusing = False
        self._lingers_until: float | None = None
        super().__init__(*rest, **named)

    def service(self) -> None:
        self._refusing = bool(self.requests[0].error)
        super().service()

    def received(self, data: bytes) -> bool:
        if self._lingers_until is None:
            return bool(super().received(data))
        if time.monotonic() > self._lingers_until:
            self.handle_close()
        return False

    def handle_close(self) -> None:
        if self._refusing and self._lingers_until is None and self.connected:
            self._lingers_until, self.will_close = time.monotonic() + LINGER, False
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_close()
