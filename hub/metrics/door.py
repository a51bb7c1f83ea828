"""GET /metrics. Runs in the clock's process, thus once in a port, and in threads of its own: no scrape stops the clock.
An address that is taken stops nothing: it is said once and tried again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from sqlalchemy.exc import DBAPIError
from waitress import wasyncore
from waitress.server import create_server

from hub.journal.journal import Journal
from hub.metrics.following import Following
from hub.metrics.readings import Readings
from hub.site.site import Site

AGAIN = 5.0
"""Seconds until an address that was taken is tried again."""
PATIENCE = 5
"""Seconds that a scrape under way gets at the end."""

log = logging.getLogger("eport")
StartResponse = Callable[[str, list[tuple[str, str]]], object]


def serve(site: Site, folder: Path, journal: Journal, stop: threading.Event) -> None:
    """Answer scrapes at the address of `doors: {metrics: …}` until `stop`."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # nobody asks when a counter of this process began
    registry = CollectorRegistry()
    following = Following(site, folder, journal, registry)
    registry.register(Readings(following))
    follower = threading.Thread(target=following.run, args=(stop,), name="following", daemon=True)
    follower.start()
    host, _, port = site.routes.doors.metrics.rpartition(":")
    sockets: dict[int, Any] = {}
    server = _listen(host, int(port), application(registry), sockets, stop)
    while not stop.is_set():
        wasyncore.loop(timeout=0.5, map=sockets, count=1)
    if server is not None:
        server.task_dispatcher.shutdown(cancel_pending=True, timeout=PATIENCE)
        wasyncore.close_all(sockets, ignore_all=True)
    follower.join(PATIENCE)


def _listen(host: str, port: int, app: object, sockets: dict[int, Any], stop: threading.Event) -> Any:
    """A waitress server in `sockets`; None when `stop` was set before the address was free."""
    told = False
    while not stop.is_set():
        try:
            server = create_server(app, map=sockets, host=host, port=port, threads=1, ident="")
        except OSError as fault:
            if not told:
                log.error("metrics cannot listen on %s:%s: %s", host, port, fault.strerror)
            told = True
            stop.wait(AGAIN)
        else:
            log.info("metrics on http://%s:%s/metrics", host, port)
            return server
    return None


def application(registry: CollectorRegistry) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """The WSGI application: /metrics and nothing else."""

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics" or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"GET /metrics\n"]
        encode, kind = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        try:
            body = encode(registry)
        except DBAPIError as fault:
            log.warning("metrics: the journal cannot be read: %s", fault.orig)
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"the journal cannot be read\n"]
        start_response("200 OK", [("Content-Type", kind)])
        return [body]

    return answer
