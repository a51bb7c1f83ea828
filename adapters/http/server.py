"""The door: a waitress server at which parties submit."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from adapters import names
from adapters.http.mailbox import Empty, KeyTaken, Mailbox, TooLarge
from adapters.http.wire import Channel, Reply, failure, too_large
from hub.contract import Ground
from hub.errors import Unreachable

#: Seconds without a byte after which the door hangs up.
IDLE = 60


@dataclass(frozen=True, slots=True)
class Desk:
    """One endpoint at the door: where its messages go, where its token is to be had, the longest body."""

    mailbox: Mailbox
    token: str
    limit: int


@dataclass(frozen=True, slots=True)
class Errand:
    """What a request with the right token is about: submitting, or asking for `key`."""

    desk: Desk
    key: str = ""


StartResponse = Callable[[str, list[tuple[str, str]]], object]


class HttpDoor:
    """A waitress server in a thread of its own. `address` is what it really listens on."""

    address: tuple[str, int]

    def __init__(self, listen: tuple[str, int], desks: Mapping[str, Desk], ground: Ground) -> None:
        self._desks = desks
        self._ground = ground
        self._tokens: dict[str, bytes] = {}
        self._refusal = ""
        self.keyless()
        self._nobody = secrets.token_bytes(32)
        self._sockets: dict[int, Any] = {}
        largest = max((desk.limit for desk in desks.values()), default=0)
        try:
            self._server = create_server(
                self._application,
                map=self._sockets,
                host=listen[0],
                port=listen[1],
                threads=8,
                channel_timeout=IDLE,
                cleanup_interval=10,
                # Of bytes on the wire, thus with what chunking adds; what a body may have is judged by `_judge`.
                max_request_body_size=2 * largest + 64 * 1024,
                max_request_header_size=64 * 1024,
                clear_untrusted_proxy_headers=True,
                ident="",
            )
        except OSError as error:
            raise Unreachable(f"cannot listen on {listen[0]}:{listen[1]}: {error.strerror}") from error
        servers = [item for item in self._sockets.values() if hasattr(item, "effective_port")]
        for item in servers:
            item.channel_class = partial(Channel, self._judge)
        self._trigger = servers[0].trigger
        self.address = (str(servers[0].effective_host), int(servers[0].effective_port))
        self._thread = threading.Thread(target=self._server.run, name="http-door", daemon=True)
        self._thread.start()

    def refuse(self, why: str) -> None:
        """Answer 503 to whatever is submitted as long as `why` is not empty."""
        self._refusal = why

    def keyless(self) -> dict[str, str]:
        """Endpoints at which nobody can submit, and why. A token that is there by now opens its endpoint."""
        missing = {}
        for name, desk in self._desks.items():
            if name not in self._tokens:
                try:
                    token = self._ground.secret(desk.token)
                except (ValueError, OSError) as error:
                    missing[name] = f"submit_token: {error}"
                else:
                    self._tokens |= {name: hashlib.sha256(token.encode()).digest()} if token else {}
                    missing |= {} if token else {name: "submit_token is empty"}
        return missing

    def close(self) -> None:
        """Let running requests end (at most 5 s), then close every connection. May be called again."""
        if not self._thread.is_alive():
            return
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=5)
        self._trigger.pull_trigger(self._hang_up)
        self._thread.join(10)

    def _hang_up(self) -> None:
        # Run by the server's own thread: an empty map ends its loop.
        wasyncore.close_all(self._sockets, ignore_all=True)

    def _application(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = self._reply(environ).rendered()
        start_response(status, headers)
        return [body]

    def _judge(self, method: str, path: str, authorization: str) -> Reply | int:
        """By the headers alone: a refusal, or how many bytes of body may come."""
        asked = self._errand(method, path, authorization)
        if isinstance(asked, Errand):
            return 0 if asked.key else asked.desk.limit
        return asked if asked.status >= HTTPStatus.BAD_REQUEST else 0

    def _errand(self, method: str, path: str, authorization: str) -> Errand | Reply:
        if path == "/ping":
            return Reply(HTTPStatus.OK, "ok") if method in ("GET", "HEAD") else failure(405, "GET only")
        room, _, rest = path.removeprefix("/").partition("/")
        endpoint, _, key = rest.partition("/")
        if room != "submit" or not endpoint:
            return failure(404, "there is nothing here")
        desk = self._admitted(endpoint, authorization)
        if desk is None:
            return failure(401, "this endpoint and token do not belong together")
        if self._refusal and method == "POST":
            return failure(503, self._refusal)
        if method != ("GET" if key else "POST"):
            return failure(405, "GET only" if key else "POST only")
        return Errand(desk, key)

    def _reply(self, environ: dict[str, Any]) -> Reply:
        path, authorization = environ.get("PATH_INFO", ""), environ.get("HTTP_AUTHORIZATION", "")
        asked = self._errand(environ["REQUEST_METHOD"], path, authorization)
        if isinstance(asked, Reply):
            return asked
        if not asked.key:
            return _submitted(asked.desk, environ)
        if names.safe(asked.key) and asked.desk.mailbox.has(asked.key):
            return Reply(HTTPStatus.OK, {"key": asked.key, "status": "stored"})
        return failure(404, "no message was kept under this key")

    def _admitted(self, endpoint: str, authorization: str) -> Desk | None:
        """The endpoint's desk when the token is its own. An unknown endpoint takes the same time and answer."""
        desk = self._desks.get(endpoint)
        scheme, _, token = authorization.partition(" ")
        given = hashlib.sha256(token.strip().encode("latin-1", "replace")).digest()
        fits = hmac.compare_digest(given, self._tokens.get(endpoint, self._nobody))
        return desk if fits and scheme.lower() == "bearer" else None


def _submitted(desk: Desk, environ: dict[str, Any]) -> Reply:
    name = environ.get("HTTP_EPORT_NAME", "")
    key = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None:
        # The draft of the header writes it as a quoted string, most clients write it bare.
        key = key.strip().strip('"')
        if not names.safe(key):
            return failure(400, "Idempotency-Key: letters, digits, dot, dash and underscore, at most 128")
    try:
        kept = desk.mailbox.store(environ["wsgi.input"], name if names.safe(name) else "message", key, desk.limit)
    except Empty:
        return failure(400, "the body is empty")
    except TooLarge:
        return too_large(desk.limit)
    except KeyTaken:
        return failure(422, "this Idempotency-Key was used for other bytes")
    except OSError:
        return failure(500 if key is None else 503, "it could not be kept")
    return Reply(HTTPStatus.OK if kept.known else HTTPStatus.ACCEPTED, {"id": kept.id, "name": kept.name})
