"""Which addresses a declared URL may lead to. Its name is the partner's, and so is what it resolves to today: no name
leads to a machine's own metadata service (169.254.169.254 and the like), however the address is spelt. Who wants such
an address writes it into the URL itself."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore2
import httpx2

#: Metadata services outside the link-local networks.
NEVER = {ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")}


def forbidden(address: str) -> bool:
    """True for an address that no name may lead to."""
    ip: Any = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return bool(ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in NEVER)


class Dialer(httpcore2.SyncBackend):
    """Connects to the very address that was looked at: a second answer of the name server changes nothing."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        fault: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in _addresses(host, port):
            if forbidden(address) and address != host:
                raise httpcore2.ConnectError(f"{host} leads to {address}, which is no partner's")
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                fault = error
        raise fault


def _addresses(host: str, port: int) -> Iterator[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"{host}: {error}") from error
    yield from dict.fromkeys(str(entry[4][0]) for entry in found)


def transport(verify: ssl.SSLContext | bool) -> httpx2.HTTPTransport:
    """How the hub posts: no proxy of the environment, and through a Dialer."""
    made = httpx2.HTTPTransport(verify=verify, trust_env=False)
    made._pool._network_backend = Dialer()
    return made
