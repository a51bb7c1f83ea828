"""Posting to a party's URL, and what is known afterwards."""

from __future__ import annotations

import base64
import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from adapters import names
from adapters.http.options import Options
from hub.contract import Ground, Handover, Known, Parcel

if TYPE_CHECKING:
    import httpx2

#: An answer longer than this is not read.
ANSWER_LIMIT = 1_000_000

_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9\-]+")


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
            yield self._told(parcel, self._post, known_after)

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """Ask `status_url`; without one an idempotent party may simply be sent the same key again."""
        for parcel in parcels:
            if self._options.status_url is not None:
                yield self._told(parcel, self._ask, known_of_question)
            elif self._options.idempotent:
                yield Handover(parcel.delivery, Known.NOT_DONE, "not asked: the same key is safe to send again")
            else:
                yield Handover(parcel.delivery, Known.UNKNOWN, "the party cannot be asked")

    def _told(
        self, parcel: Parcel, exchange: Callable[[Parcel], Handover], known: Callable[[BaseException], Known]
    ) -> Handover:
        """Run one exchange; an exception of the client becomes what is `known` after it."""
        import httpx2

        try:
            return exchange(parcel)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
            return Handover(parcel.delivery, known(error), f"{type(error).__name__}: {error}")

    def _post(self, parcel: Parcel) -> Handover:
        if len(parcel.companions) > 1:
            return Handover(parcel.delivery, Known.REFUSED, "http carries one companion only")
        assert self._options.url is not None
        try:
            client, headers = self._opened(), self._headers(parcel)
        except (OSError, ValueError) as error:
            return Handover(parcel.delivery, Known.NOT_DONE, f"nothing was sent: {error}")
        with client.stream("POST", self._options.url, content=parcel.data, headers=headers) as response:
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

        from adapters.http.dialing import transport

        if self._client is None:
            # No proxies and no .netrc from the environment: where a message goes is declared, not inherited.
            verify: ssl.SSLContext | bool = True
            if self._options.ca is not None:
                verify = ssl.create_default_context(cafile=self._ground.site / self._options.ca)
            self._client = httpx2.Client(
                timeout=self._options.timeout, follow_redirects=False, trust_env=False, transport=transport(verify)
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
    """What an HTTP status tells about a POST with an Idempotency-Key (RFC 9110, section 15).

    401 and 407: the request was not applied, and with another token it may be (15.5.2, 15.5.8). 307 and 308 ask for
    the same request elsewhere; 301, 302 and 303 are also how servers answer a POST that they have carried out.
    """
    if 200 <= status < 300 or status == HTTPStatus.CONFLICT:
        return Known.DONE
    if status in (307, 308, 401, 407, 408, 425, 429, 503):
        return Known.NOT_DONE
    return Known.REFUSED if 400 <= status < 500 else Known.UNKNOWN


def known_after(error: BaseException) -> Known:
    """What is known when the client gave up: nothing left before there was a connection."""
    import httpx2

    if _distrust(error, isinstance(error, httpx2.ConnectError)):
        return Known.UNTRUSTED
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


def known_of_question(error: BaseException) -> Known:
    """A question that was not answered tells nothing of the delivery, whatever became of the question."""
    return Known.UNTRUSTED if known_after(error) is Known.UNTRUSTED else Known.UNKNOWN


def _distrust(error: BaseException, connecting: bool) -> bool:
    """True when the certificate is not to be trusted or, while connecting, TLS as it has to be is not spoken.

    A handshake that was cut is neither: servers restart."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        if connecting and isinstance(cause, ssl.SSLError) and not isinstance(cause, _CUT):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _content_type(data: bytes) -> str:
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    xml = start[:1] == b"<" or start[:2] in (b"\xff\xfe", b"\xfe\xff", b"\x00<")
    return "application/xml" if xml else "application/EDIFACT"
