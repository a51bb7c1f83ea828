"""Messages over HTTP: POST to a party, and a door at which parties submit.

    adapter: http
    url: https://customs.example/receive     the hub posts here
    token: env:CUSTOMS_TOKEN                 what the hub presents there
    submit_token: env:LINER_TOKEN            what the party presents at our door

Outgoing: `Idempotency-Key` is the delivery id, the same over all tries, `Eport-Name` the file name,
`Eport-Signature` the detached signature in base64. What an answer means:

    2xx, 409 (already has it)             done; the body of a 2xx is the answer
    408, 425, 429, 503, 3xx but 303       not done, try again
    other 4xx                             refused
    other 5xx, 303, cut after sending     unknown

Incoming: `POST /submit/<endpoint>` with `Authorization: Bearer`, optional `Eport-Name` and `Idempotency-Key`.
202 is sent when the message is on the disk, 200 when the key is already known with the same bytes, 409 with
other bytes. `GET /submit/<endpoint>/<key>` tells 200 or 404, so it serves as `status_url`. `GET /ping` tells
that the door is open. The door speaks plain HTTP: put a TLS proxy before it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from adapters import names
from hub.contract import Arrival, DoorEndpoint, Ground, Handover, Known, Parcel
from hub.errors import DeclarationError, Unreachable

if TYPE_CHECKING:
    import httpx2

CHUNK = 256 * 1024

#: An answer longer than this is not read.
ANSWER_LIMIT = 1_000_000

#: How long the door remembers an Idempotency-Key.
KEYS_KEPT_DAYS = 30

#: Seconds without a byte after which the door hangs up.
IDLE = 60

_STORED = re.compile(r"\d{19}-[0-9a-f]{8}__([A-Za-z0-9][A-Za-z0-9_.\-]{0,127})")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9\-]+")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Options(BaseModel):
    """Settings of an http endpoint. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Where the hub posts to.
    url: str | None = None
    #: Secret reference: the bearer token that the hub presents.
    token: str | None = None
    #: Secret reference: the bearer token that the party presents at our door.
    submit_token: str | None = None
    #: Longest wait for a connection, for the next byte, and for the body of an answer.
    timeout: float = Field(default=30, gt=0)
    #: Largest message that the door takes.
    max_size: int = Field(default=50_000_000, gt=0)
    #: True: the other side does nothing twice for one Idempotency-Key.
    idempotent: bool = True
    #: GET status_url/<delivery> tells 200 when it arrived, 404 when it did not.
    status_url: str | None = None


# --------------------------------------------------------------------------------------------------- outgoing


class HttpOutlet:
    """A party's URL as a destination."""

    def __init__(self, options: Options, ground: Ground) -> None:
        self._options = options
        self._ground = ground
        self._client: httpx2.Client | None = None
        self.money_safe = options.idempotent or options.status_url is not None

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """POST each in order."""
        for parcel in parcels:
            yield self._told(parcel, self._post)

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """Ask `status_url`; without one an idempotent party may simply be sent the same key again."""
        for parcel in parcels:
            if self._options.status_url is not None:
                yield self._told(parcel, self._ask, asking=True)
            elif self._options.idempotent:
                yield Handover(parcel.delivery, Known.NOT_DONE, "not asked: the same key is safe to send again")
            else:
                yield Handover(parcel.delivery, Known.UNKNOWN, "the party cannot be asked")

    def _told(
        self, parcel: Parcel, exchange: Callable[[Parcel], Handover], *, asking: bool = False
    ) -> Handover:
        """Run one exchange; an exception of the client becomes what is known after it, nothing when asking."""
        import httpx2

        try:
            return exchange(parcel)
        except (ValueError, FileNotFoundError, PermissionError) as error:
            # The secret cannot be read, or it or a header cannot be written: nothing has left yet.
            known, evidence = Known.NOT_DONE, str(error)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            known, evidence = known_after(error), f"{type(error).__name__}: {error}"
        if asking and known is not Known.UNTRUSTED:
            known = Known.UNKNOWN
        return Handover(parcel.delivery, known, evidence)

    def _post(self, parcel: Parcel) -> Handover:
        if len(parcel.companions) > 1:
            return Handover(parcel.delivery, Known.REFUSED, "http carries one companion only")
        assert self._options.url is not None
        headers = self._headers(parcel)
        request = self._opened().stream("POST", self._options.url, content=parcel.data, headers=headers)
        with request as response:
            known = known_by_status(response.status_code)
            evidence = f"HTTP {response.status_code} {response.reason_phrase}".strip()
            try:
                body, remark = self._body(response)
            except self._broken() as error:
                body, remark = b"", f"the answer was cut: {type(error).__name__}"
            if known is not Known.DONE:
                excerpt = body[:200].decode("utf-8", "replace")
                return Handover(parcel.delivery, known, "; ".join(filter(None, (evidence, excerpt, remark))))
            answer = body if body and response.is_success and not remark else None
            return Handover(parcel.delivery, known, "; ".join(filter(None, (evidence, remark))), answer)

    def _ask(self, parcel: Parcel) -> Handover:
        assert self._options.status_url is not None
        if not names.safe(parcel.delivery):
            return Handover(parcel.delivery, Known.UNKNOWN, "the delivery id cannot be put into a URL")
        url = f"{self._options.status_url.rstrip('/')}/{parcel.delivery}"
        with self._opened().stream("GET", url, headers=self._authorization()) as response:
            known = {200: Known.DONE, 404: Known.NOT_DONE}.get(response.status_code, Known.UNKNOWN)
            return Handover(parcel.delivery, known, f"HTTP {response.status_code} from {url}")

    def _opened(self) -> httpx2.Client:
        import httpx2

        if self._client is None:
            # No proxies and no .netrc from the environment: where a message goes is declared, not inherited.
            self._client = httpx2.Client(
                timeout=self._options.timeout, follow_redirects=False, trust_env=False
            )
        return self._client

    def _broken(self) -> tuple[type[Exception], ...]:
        import httpx2

        return (httpx2.HTTPError, httpx2.StreamError)

    def _authorization(self) -> dict[str, str]:
        if self._options.token is None:
            return {}
        token = self._ground.secret(self._options.token)
        if not _HEADER_VALUE.fullmatch(token):
            raise ValueError("the token has characters that a header cannot carry")
        return {"Authorization": f"Bearer {token}"}

    def _headers(self, parcel: Parcel) -> dict[str, str]:
        """Raises ValueError when a header cannot be written as declared."""
        headers = {
            **(parcel.headers or {}),
            **self._authorization(),
            "Idempotency-Key": parcel.delivery,
            "Eport-Name": parcel.name,
            "Content-Type": _content_type(parcel.data),
            "Accept-Encoding": "identity",
        }
        for _, signature in parcel.companions:
            headers["Eport-Signature"] = base64.b64encode(signature).decode("ascii")
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"header {name!r} has characters that a header cannot carry")
        return headers

    def _body(self, response: httpx2.Response) -> tuple[bytes, str]:
        """The body, and why it is not to be used if so. Neither its length nor its pace is trusted."""
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return b"", "the answer is compressed, which was not asked for"
        deadline = time.monotonic() + self._options.timeout
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > ANSWER_LIMIT:
                return bytes(body[:ANSWER_LIMIT]), f"the answer is longer than {ANSWER_LIMIT} bytes"
            if time.monotonic() > deadline:
                return bytes(body), "the answer took too long"
        return bytes(body), ""

    def close(self) -> None:
        """Close the connections. A later send opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None


def known_by_status(status: int) -> Known:
    """What an HTTP status tells about a POST with an Idempotency-Key (RFC 9110, section 15)."""
    if 200 <= status < 300 or status == HTTPStatus.CONFLICT:
        return Known.DONE
    if status in (408, 425, 429, 503) or (300 <= status < 400 and status != HTTPStatus.SEE_OTHER):
        return Known.NOT_DONE
    return Known.REFUSED if 400 <= status < 500 else Known.UNKNOWN


def known_after(error: BaseException) -> Known:
    """What is known when the client gave up: nothing left before there was a connection."""
    import httpx2

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Known.UNTRUSTED
        cause = cause.__cause__ or cause.__context__
    surely_not = (
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
        httpx2.UnsupportedProtocol,
        httpx2.LocalProtocolError,
        httpx2.InvalidURL,
    )
    return Known.NOT_DONE if isinstance(error, surely_not) else Known.UNKNOWN


def _content_type(data: bytes) -> str:
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    xml = start[:1] == b"<" or start[:2] in (b"\xff\xfe", b"\xfe\xff", b"\x00<")
    return "application/xml" if xml else "application/EDIFACT"


# ---------------------------------------------------------------------------------------------------- mailbox


@dataclass(frozen=True, slots=True)
class Kept:
    """One submission as the door remembers it: id, name, and whether it was here before."""

    id: str
    name: str
    known: bool


class KeyTaken(ValueError):
    """The Idempotency-Key was used for other bytes."""


class Mailbox:
    """What one party has submitted: spool/http/<endpoint>/, with spool/http/<endpoint>/keys/ beside it.

    A message is one file `<ns>-<hex>__<name>`. A key is one small file that names the message. The key is
    written first and says `stored: false`; after a crash between the two the next try writes the message under
    the same id, so nothing is lost and the hub knows the arrival again by its key if it had it already.
    Safe for many threads of one process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys = folder / "keys"
        self._lock = threading.Lock()
        self._keys.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        """Remove uploads that a crash cut, and keys that are too old to matter."""
        oldest = time.time() - KEYS_KEPT_DAYS * 86_400
        for path in self._folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)
        for path in self._keys.iterdir():
            if path.suffix == ".tmp" or path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def store(self, body: BinaryIO, name: str, key: str | None, limit: int) -> Kept:
        """Keep one message durably. Raises KeyTaken, Empty, TooLarge, or OSError when it is not kept."""
        temporary = self._folder / f".{secrets.token_hex(8)}.tmp"
        try:
            digest = _spool(body, temporary, limit)
            with self._lock:
                return self._file(temporary, name, key, digest)
        finally:
            temporary.unlink(missing_ok=True)

    def _file(self, temporary: Path, name: str, key: str | None, digest: str) -> Kept:
        record = self._recall(key)
        if record is not None and record["sha256"] != digest:
            raise KeyTaken
        if record is not None and record["stored"]:
            return Kept(record["id"], record["name"], known=True)
        if record is None:
            record = {"id": f"{time.time_ns():019d}-{secrets.token_hex(4)}", "name": name, "sha256": digest}
            self._remember(key, record, stored=False)
        with suppress(FileExistsError):
            os.link(temporary, self._folder / f"{record['id']}__{record['name']}")
        _sync(self._folder)
        self._remember(key, record, stored=True)
        return Kept(record["id"], record["name"], known=False)

    def has(self, key: str) -> bool:
        """True when a message with this key was kept whole."""
        with self._lock:
            record = self._recall(key)
            return record is not None and bool(record["stored"])

    def _recall(self, key: str | None) -> dict[str, Any] | None:
        if key is None:
            return None
        try:
            record: dict[str, Any] = json.loads((self._keys / f"{key}.json").read_bytes())
        except FileNotFoundError:
            return None
        return record

    def _remember(self, key: str | None, record: dict[str, Any], *, stored: bool) -> None:
        if key is None:
            return
        temporary = self._keys / f"{secrets.token_hex(8)}.tmp"
        with open(os.open(temporary, _CREATE, 0o600), "wb") as file:
            file.write(json.dumps({**record, "stored": stored}).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._keys / f"{key}.json")
        _sync(self._keys)


class Empty(ValueError):
    """The body has no bytes."""


class TooLarge(ValueError):
    """The body is longer than the endpoint takes."""


def _spool(body: BinaryIO, temporary: Path, limit: int) -> str:
    """Write the body to a file, durably; its SHA-256."""
    digest = hashlib.sha256()
    left = limit
    with open(os.open(temporary, _CREATE, 0o600), "wb") as file:
        while chunk := body.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise TooLarge
            digest.update(chunk)
            file.write(chunk)
        if left == limit:
            raise Empty
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mailbox(endpoint: str, ground: Ground) -> Path:
    if not names.safe(endpoint):
        raise DeclarationError(f"endpoint {endpoint!r} cannot be the name of a folder")
    return ground.spool / "http" / endpoint


class HttpInlet:
    """What the door has kept for one endpoint, as a source."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder = folder
        self._limit = options.max_size + 1

    def collect(self, limit: int) -> Sequence[Arrival]:
        """Oldest first by time of submission. An endpoint at which nobody ever submitted has nothing."""
        arrivals: list[Arrival] = []
        try:
            for name in sorted(os.listdir(self._folder)):
                stored = _STORED.fullmatch(name)
                if stored and len(arrivals) < limit:
                    status = (self._folder / name).lstat()
                    if stat.S_ISREG(status.st_mode):
                        arrivals.append(Arrival(name, stored[1], status.st_size))
        except FileNotFoundError:
            return arrivals
        except OSError as error:
            raise Unreachable(f"{self._folder}: {error.strerror}") from error
        return arrivals

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        """Chunks of 256 KiB, at most max_size + 1 bytes in all. Raises Unreachable when it is gone."""
        left = self._limit
        try:
            with open(os.open(self._path(arrival), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                while left > 0 and (chunk := file.read(min(CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
        except OSError as error:
            raise Unreachable(f"{arrival.key}: {error.strerror}") from error

    def settle(self, arrival: Arrival) -> None:
        """Delete it. The key by which it was submitted stays known."""
        try:
            self._path(arrival).unlink(missing_ok=True)
        except OSError as error:
            raise Unreachable(f"{arrival.key}: {error.strerror}") from error

    def _path(self, arrival: Arrival) -> Path:
        if not _STORED.fullmatch(arrival.key):
            raise Unreachable(f"{arrival.key!r} is no submission")
        return self._folder / arrival.key

    def close(self) -> None:
        """Nothing is held open between calls."""


# ------------------------------------------------------------------------------------------------------- door


@dataclass(frozen=True, slots=True)
class _Desk:
    """One endpoint at the door."""

    mailbox: Mailbox
    token: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class _Reply:
    status: HTTPStatus
    body: Mapping[str, str] | str


StartResponse = Callable[[str, list[tuple[str, str]]], object]


class HttpDoor:
    """A waitress server in a thread of its own. `address` is what it really listens on."""

    address: tuple[str, int]

    def __init__(self, listen: tuple[str, int], endpoints: Sequence[DoorEndpoint], ground: Ground) -> None:
        from waitress.server import create_server

        self._desks = dict(_desks(endpoints, ground))
        self._nobody = secrets.token_bytes(32)
        self._sockets: dict[int, Any] = {}
        largest = max((desk.limit for desk in self._desks.values()), default=0)
        try:
            self._server = create_server(
                self._application,
                map=self._sockets,
                host=listen[0],
                port=listen[1],
                threads=8,
                channel_timeout=IDLE,
                cleanup_interval=10,
                max_request_body_size=largest + 1,
                max_request_header_size=64 * 1024,
                clear_untrusted_proxy_headers=True,
                ident="",
            )
        except OSError as error:
            raise Unreachable(f"cannot listen on {listen[0]}:{listen[1]}: {error.strerror}") from error
        servers = [item for item in self._sockets.values() if hasattr(item, "effective_port")]
        self._trigger = servers[0].trigger
        self.address = (str(servers[0].effective_host), int(servers[0].effective_port))
        self._thread = threading.Thread(target=self._server.run, name="http-door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let running requests end (at most 5 s), then close every connection. May be called again."""
        if not self._thread.is_alive():
            return
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=5)
        self._trigger.pull_trigger(self._hang_up)
        self._thread.join(10)

    def _hang_up(self) -> None:
        # Run by the server's own thread: an empty map ends its loop.
        from waitress import wasyncore

        wasyncore.close_all(self._sockets, ignore_all=True)

    def _application(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        reply = self._reply(environ)
        text = isinstance(reply.body, str)
        body = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8" if text else "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        if reply.status is HTTPStatus.UNAUTHORIZED:
            headers.append(("WWW-Authenticate", 'Bearer realm="eport"'))
        start_response(f"{reply.status.value} {reply.status.phrase}", headers)
        return [body]

    def _reply(self, environ: dict[str, Any]) -> _Reply:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if path == "/ping":
            return _Reply(HTTPStatus.OK, "ok") if method in ("GET", "HEAD") else _failure(405, "GET only")
        room, _, rest = path.removeprefix("/").partition("/")
        endpoint, _, key = rest.partition("/")
        if room != "submit" or not endpoint:
            return _failure(404, "there is nothing here")
        desk = self._admitted(endpoint, environ.get("HTTP_AUTHORIZATION", ""))
        if desk is None:
            return _failure(401, "this endpoint and token do not belong together")
        if key:
            if method != "GET":
                return _failure(405, "GET only")
            if names.safe(key) and desk.mailbox.has(key):
                return _Reply(HTTPStatus.OK, {"key": key, "status": "stored"})
            return _failure(404, "no message was kept under this key")
        return _submitted(desk, environ) if method == "POST" else _failure(405, "POST only")

    def _admitted(self, endpoint: str, authorization: str) -> _Desk | None:
        """The endpoint's desk when the token is its own. An unknown endpoint takes the same time and answer."""
        desk = self._desks.get(endpoint)
        scheme, _, token = authorization.partition(" ")
        given = hashlib.sha256(token.strip().encode("latin-1", "replace")).digest()
        fits = hmac.compare_digest(given, desk.token if desk else self._nobody)
        return desk if fits and scheme.lower() == "bearer" else None


def _desks(endpoints: Sequence[DoorEndpoint], ground: Ground) -> Iterator[tuple[str, _Desk]]:
    for endpoint in endpoints:
        options = endpoint.options
        if not isinstance(options, Options):
            raise DeclarationError(f"endpoint {endpoint.name} has no http options")
        if options.submit_token is None:
            continue
        try:
            token = ground.secret(options.submit_token)
        except (ValueError, OSError) as error:
            raise DeclarationError(f"endpoint {endpoint.name}: submit_token: {error}") from error
        if not token:
            raise DeclarationError(f"endpoint {endpoint.name}: submit_token is empty")
        mailbox = Mailbox(_mailbox(endpoint.name, ground))
        yield endpoint.name, _Desk(mailbox, hashlib.sha256(token.encode()).digest(), options.max_size)


def _submitted(desk: _Desk, environ: dict[str, Any]) -> _Reply:
    name = environ.get("HTTP_EPORT_NAME", "")
    key = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None:
        # The draft of the header writes it as a quoted string, most clients write it bare.
        key = key.strip().strip('"')
        if not names.safe(key):
            return _failure(400, "Idempotency-Key: letters, digits, dot, dash and underscore, at most 128")
    try:
        kept = desk.mailbox.store(environ["wsgi.input"], name if names.safe(name) else "message", key, desk.limit)
    except Empty:
        return _failure(400, "the body is empty")
    except TooLarge:
        return _failure(413, f"at most {desk.limit} bytes are taken")
    except KeyTaken:
        return _failure(409, "this Idempotency-Key was used for other bytes")
    except OSError:
        return _failure(500 if key is None else 503, "it could not be kept")
    return _Reply(HTTPStatus.OK if kept.known else HTTPStatus.ACCEPTED, {"id": kept.id, "name": kept.name})


def _failure(status: int, why: str) -> _Reply:
    return _Reply(HTTPStatus(status), {"error": why})


# ---------------------------------------------------------------------------------------------------- contract


def inlet(name: str, options: Options, ground: Ground) -> HttpInlet:
    """What the door keeps for the endpoint `name`."""
    return HttpInlet(_mailbox(name, ground), options)


def outlet(name: str, options: Options, ground: Ground) -> HttpOutlet:
    """Post to `url`. Raises DeclarationError when the endpoint has none."""
    if options.url is None:
        raise DeclarationError(f"endpoint {name} is written to but has no `url`")
    return HttpOutlet(options, ground)


def door(listen: tuple[str, int], endpoints: Sequence[DoorEndpoint], ground: Ground) -> HttpDoor:
    """Listen on (host, port); port 0 takes a free one. Raises Unreachable when the port cannot be had."""
    return HttpDoor(listen, endpoints, ground)
