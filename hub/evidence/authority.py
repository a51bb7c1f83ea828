"""The way to a time-stamp authority: one POST (RFC 3161, 3.4). Nothing here touches the journal."""

from __future__ import annotations

from hub.errors import Unreachable

LARGEST = 100_000
"""Bytes of an answer; a token with its chain has some 5,000."""
PATIENCE = 15.0
"""Seconds."""


def ask(url: str, request: bytes) -> bytes:
    """The authority's answer to `request`. Raises Unreachable when there is none that could be a stamp."""
    import httpx2

    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    try:
        with (
            httpx2.Client(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, content=request, headers=headers) as response,
        ):
            answer = b""
            for piece in response.iter_bytes():
                answer += piece
                if len(answer) > LARGEST:
                    raise Unreachable(f"{url}: an answer of more than {LARGEST} bytes")
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as fault:
        raise Unreachable(f"{url}: {type(fault).__name__} {fault}") from fault
    if response.status_code != 200:
        raise Unreachable(f"{url}: HTTP {response.status_code}")
    return answer
