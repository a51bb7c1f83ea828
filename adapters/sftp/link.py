"""One connection to a partner's server: host key first, then our key, then SFTP."""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from adapters import algorithms
from adapters.sftp.options import Options, fingerprint, pinned
from hub.contract import Ground
from hub.errors import AdapterError, OutcomeUnknown, Unreachable, Untrusted

if TYPE_CHECKING:
    import paramiko


def _faults() -> tuple[type[Exception], ...]:
    """Everything paramiko raises for a connection or a file that fails."""
    import paramiko
    from paramiko.sftp import SFTPError

    # The last two: what paramiko stumbles over in an answer that is no SFTP.
    return (OSError, EOFError, paramiko.SSHException, SFTPError, UnicodeError, struct.error)


def _private_key(text: str) -> paramiko.PKey:
    """An unencrypted private key in OpenSSH or PEM form. Raises Unreachable without the text."""
    import paramiko

    from adapters.sftp.sha1 import RsaSha1

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, RsaSha1):
        try:
            key: paramiko.PKey = kind.from_private_key(io.StringIO(text + "\n"))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
        return key
    raise Unreachable("our private key cannot be read: unencrypted Ed25519, ECDSA or RSA is needed")


class Link:
    """One connection that is opened when needed and again after a failure. For one thread."""

    def __init__(self, options: Options, ground: Ground) -> None:
        self._options = options
        self._ground = ground
        self._pins = pinned(options.host_keys, ground)
        self._transport: paramiko.Transport | None = None
        self._client: paramiko.SFTPClient | None = None

    @contextmanager
    def working(self) -> Iterator[paramiko.SFTPClient]:
        """A client for one operation, limited to four times the timeout. Library faults close the connection.

        Raises Untrusted and Unreachable when there is no connection, OutcomeUnknown when the work failed."""
        client = self._opened()
        transport = self._transport
        assert transport is not None
        watchdog = threading.Timer(self._options.timeout * 4, transport.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield client
        except _faults() as fault:
            self.close()
            raise OutcomeUnknown(told(fault)) from fault
        except BaseException:
            self.close()
            raise
        finally:
            watchdog.cancel()
            watchdog.join()

    def close(self) -> None:
        """End the connection; the next operation opens another."""
        if self._client is not None:
            self._client.close()
        if self._transport is not None:
            self._transport.close()
            # paramiko leaves its handshake timer running where the handshake failed.
            self._transport.packetizer.complete_handshake()
        self._client = self._transport = None

    def _opened(self) -> paramiko.SFTPClient:
        if self._client is not None and self._transport is not None and self._transport.is_active():
            return self._client
        self.close()
        try:
            return self._connect()
        except AdapterError:
            self.close()
            raise
        except _faults() as fault:
            self.close()
            raise Unreachable(f"{self._options.host}:{self._options.port}: {told(fault)}") from fault

    def _connect(self) -> paramiko.SFTPClient:
        import paramiko

        from adapters.sftp import sha1

        options = self._options
        key = self._own_key()
        connection = socket.create_connection((options.host, options.port), options.timeout)
        try:
            transport = paramiko.Transport(connection, disabled_algorithms=algorithms.disabled(options.legacy))
        except BaseException:
            connection.close()
            raise
        self._transport = transport
        sha1.allow(transport, options.legacy)
        transport.banner_timeout = transport.handshake_timeout = options.timeout
        transport.auth_timeout = transport.channel_timeout = options.timeout
        self._prefer_pinned(transport)
        try:
            transport.start_client(timeout=options.timeout)
        except paramiko.SSHException as fault:
            # paramiko tells only in words that somebody shows a host key without having its private half.
            if str(fault).startswith("Signature verification"):
                raise Untrusted(f"the server does not own the host key that it shows: {fault}") from fault
            raise
        self._check_host(transport.get_remote_server_key().asbytes())
        try:
            transport.auth_publickey(options.user, key)
        except paramiko.AuthenticationException as fault:
            raise Unreachable("authentication refused") from fault
        if not transport.is_authenticated():
            raise Unreachable("authentication refused: the server asks for more than a key")
        transport.set_keepalive(options.keepalive)
        client = paramiko.SFTPClient.from_transport(transport)
        if client is None:
            raise Unreachable("the server offers no SFTP")
        channel = client.get_channel()
        if channel is not None:
            channel.settimeout(options.timeout)
        self._client = client
        return client

    def _own_key(self) -> paramiko.PKey:
        try:
            return _private_key(self._ground.secret(self._options.key))
        except (OSError, ValueError) as fault:
            raise Unreachable(f"our private key: {told(fault)}") from fault

    def _prefer_pinned(self, transport: paramiko.Transport) -> None:
        """Ask for a key of a pinned type first, so that a server with several keys shows the one we know."""
        security = transport.get_security_options()
        wanted = set(self._pins.values())
        if "ssh-rsa" in wanted:
            wanted |= {"rsa-sha2-512", "rsa-sha2-256"}
        known = tuple(security.key_types)
        security.key_types = sorted(known, key=lambda kind: kind not in wanted)

    def _check_host(self, shown: bytes) -> None:
        if shown not in self._pins:
            expected = ", ".join(fingerprint(blob) for blob in self._pins)
            raise Untrusted(f"host key is {fingerprint(shown)}, expected {expected}")


def told(fault: BaseException) -> str:
    """A fault in words; a timeout has none of its own."""
    return str(fault) or type(fault).__name__
