"""The listening server: who may log in, how many at a time, and what is said of those who do not."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko import common
from paramiko.ssh_exception import IncompatiblePeer

from adapters import algorithms
from adapters.sftpd import disk
from adapters.sftpd.box import Box
from adapters.sftpd.handlers import Handler
from hub.contract import Ground
from hub.errors import DeclarationError

SESSIONS_PER_PARTY = 8
SESSIONS = 64
#: Connections from one address that have not logged in yet.
STRANGERS = 16
AUTH_SECONDS = 20.0
AUTH_TRIES = 3

LOG = logging.getLogger("eport.sftpd")
#: Where paramiko logs what concerns this door.
CHANNEL = "paramiko.transport.sftpd"

_KEY_TYPES = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is expected: their endpoint, the public key lines that it declares, and their box."""

    endpoint: str
    keys: tuple[str, ...]
    box: Box


@dataclass(frozen=True, slots=True)
class Party:
    """Who may log in: the public key blobs (RFC 4253, 6.6) and the box they open."""

    user: str
    blobs: tuple[bytes, ...]
    box: Box


def key_blobs(lines: Sequence[str], ground: Ground) -> tuple[bytes, ...]:
    """The key blobs of OpenSSH public key lines; `file:PATH` stands for the lines of that file.

    Raises DeclarationError for a line that is no usable public key."""
    blobs: list[bytes] = []
    for line in lines:
        if line.startswith("file:"):
            try:
                text = ground.secret(line)
            except (OSError, UnicodeDecodeError) as error:
                raise DeclarationError(f"{line}: cannot be read") from error
            inner = [item.strip() for item in text.splitlines()]
            blobs.extend(key_blobs([item for item in inner if item and not item.startswith("#")], ground))
            continue
        found = _KEY_TYPES.search(line)
        if found is None:
            raise DeclarationError(f"not an OpenSSH public key line: {line[:40]}")
        try:
            blob = base64.b64decode(found[2], validate=True)
        except binascii.Error as error:
            raise DeclarationError(f"not an OpenSSH public key line: {line[:40]}") from error
        if not blob.startswith(len(found[1]).to_bytes(4, "big") + found[1].encode()):
            raise DeclarationError(f"key and key type differ: {line[:40]}")
        blobs.append(blob)
    return tuple(blobs)


def host_key(ground: Ground) -> paramiko.PKey:
    """The door's Ed25519 key, made on the first start, readable by its owner alone."""
    path = ground.spool / "keys" / "sftpd_host_ed25519"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(fresh, path)
        disk.fsync_folder(path.parent)
    return paramiko.Ed25519Key.from_private_key_file(str(path))


# ---- one connection


class Doorkeeper(paramiko.ServerInterface):
    """Answers one connection's wish to log in and to open a channel."""

    def __init__(self, door: SftpDoor) -> None:
        self.party: Party | None = None
        self.failures = 0
        self._door = door

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        party = self._door.parties.get(username)
        shown = key.asbytes()
        known = [hmac.compare_digest(shown, blob) for blob in (party.blobs if party else ())]
        if self.failures < AUTH_TRIES and party and any(known):
            self.party = party
            return common.AUTH_SUCCESSFUL
        self.failures += 1
        return common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind != "session":
            return common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if not self._door.admitted(self):
            return common.OPEN_FAILED_RESOURCE_SHORTAGE
        return common.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        return name == "sftp" and super().check_channel_subsystem_request(channel, name)


@dataclass(slots=True)
class Session:
    """One connection."""

    transport: paramiko.Transport
    keeper: Doorkeeper
    address: str
    since: float

    @property
    def party(self) -> Party | None:
        """Who it is, once somebody has logged in and as long as the connection stands."""
        return self.keeper.party if self.transport.is_authenticated() else None

    def end(self) -> None:
        """Close the connection. paramiko leaves its handshake timer running where the handshake failed."""
        self.transport.close()
        self.transport.packetizer.complete_handshake()


# ---- what is logged of strangers


def logged_in(transport: paramiko.Transport) -> bool:
    """True when somebody has ever logged in over this connection."""
    return transport.auth_handler is not None and transport.auth_handler.is_authenticated()


def _peers_doing(fault: BaseException | None) -> bool:
    """True for what a peer alone can bring about: it hung up, or what it sent is no SSH."""
    return fault is None or isinstance(fault, EOFError | OSError | UnicodeDecodeError | paramiko.SSHException)


def worth_logging(record: logging.LogRecord) -> bool:
    """A logging filter: False for what paramiko says of a connection over which nobody has logged in.

    Ports are scanned all day, and each scan would be an error with a traceback. The door says it in one line instead,
    see `farewell`. paramiko logs in the connection's thread, which is the Transport, while it handles the fault.
    A fault of our own code stays: none of it runs before the key exchange, and it raises no SSHException.
    """
    transport = threading.current_thread()
    if not isinstance(transport, paramiko.Transport) or record.levelno < logging.INFO or logged_in(transport):
        return True
    return transport.initial_kex_done and not _peers_doing(sys.exception())


def farewell(session: Session) -> None:
    """One line for a connection that ends before anybody has logged in.

    A warning where the peer spoke SSH but there is no algorithm in common, as it may be a party's client, and where
    the fault is one that peers do not usually cause."""
    if logged_in(session.transport):
        return
    fault = session.transport.get_exception()
    usual = _peers_doing(fault) and not isinstance(fault, IncompatiblePeer)
    why = "keys refused" if session.keeper.failures else str(fault or "") or "hung up or too slow"
    level = logging.INFO if usual else logging.WARNING
    LOG.log(level, "%s did not log in: %.200r", session.address, why)
    if not usual:
        LOG.debug("what went wrong with %s", session.address, exc_info=fault)


# ---- all of them


class SftpDoor:
    """The listening server: one thread accepts connections and ends those that are over, late or too many."""

    def __init__(
        self, listen: tuple[str, int], guests: Mapping[str, Guest], ground: Ground, key: paramiko.PKey
    ) -> None:
        self.parties: dict[str, Party] = {}
        self.handlers: set[Handler] = set()
        self._guests = guests
        self._ground = ground
        self.keyless()
        self._host_key = key
        self._sessions: list[Session] = []
        self._stop = threading.Event()
        logging.getLogger(CHANNEL).addFilter(worth_logging)
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        self._socket = socket.create_server(listen, family=family, backlog=64)
        self._socket.settimeout(0.2)
        host, port = self._socket.getsockname()[:2]
        self.address: tuple[str, int] = (host, port)
        self._thread = threading.Thread(target=self._serve, name="sftpd", daemon=True)
        self._thread.start()

    def refuse(self, why: str) -> None:
        """Open no file for writing as long as `why` is not empty: clients see it as the reason."""
        for guest in self._guests.values():
            guest.box.refusal = why

    def keyless(self) -> dict[str, str]:
        """Endpoints whose party cannot log in, and why. A key that is there by now lets its party in."""
        missing = {}
        for user, guest in self._guests.items():
            if user not in self.parties:
                try:
                    self.parties[user] = Party(user, key_blobs(guest.keys, self._ground), guest.box)
                except DeclarationError as fault:
                    missing[guest.endpoint] = str(fault)
        return missing

    def admitted(self, keeper: Doorkeeper) -> bool:
        """True when this connection is among the first SESSIONS_PER_PARTY of its party."""
        mine = [item for item in tuple(self._sessions) if item.party and item.transport.is_active()]
        party = next((item.party for item in mine if item.keeper is keeper), None)
        same = [item.keeper for item in mine if party and item.party is party]
        return keeper in same[:SESSIONS_PER_PARTY]

    def close(self) -> None:
        """Stop listening, end the sessions, join the threads. Complete uploads are kept."""
        self._stop.set()
        self._thread.join()
        self._socket.close()
        for session in self._sessions:
            session.end()
        for session in self._sessions:
            session.transport.join(10)
        for handler in tuple(self.handlers):
            if handler.is_alive():
                handler.join(10)
        self._sessions.clear()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._sweep()
            try:
                connection, peer = self._socket.accept()
            except OSError:
                # Nobody came, the caller hung up, or descriptors ran out: look after the others first.
                self._stop.wait(0.01)
                continue
            self._welcome(connection, str(peer[0]))

    def _welcome(self, connection: socket.socket, address: str) -> None:
        strangers = [item for item in self._sessions if item.address == address and item.party is None]
        if len(self._sessions) >= SESSIONS or len(strangers) >= STRANGERS:
            connection.close()
            return
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # SSH answers in small packets: without this some of them wait 40 ms for an acknowledgement.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = paramiko.Transport(connection, disabled_algorithms=algorithms.disabled())
            transport.set_log_channel(CHANNEL)
            transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = AUTH_SECONDS
            transport.add_server_key(self._host_key)
            transport.set_subsystem_handler("sftp", Handler, self.handlers)
            transport.set_keepalive(15)
            keeper = Doorkeeper(self)
            self._sessions.append(Session(transport, keeper, address, time.monotonic()))
            transport.start_server(threading.Event(), keeper)
        except (OSError, EOFError, RuntimeError, paramiko.SSHException) as error:
            # RuntimeError: no further thread can be started. The door itself has to live on.
            LOG.warning("a connection from %s could not be served: %s", address, error)
            connection.close()

    def _sweep(self) -> None:
        now = time.monotonic()
        for session in tuple(self._sessions):
            late = session.party is None and now - session.since > AUTH_SECONDS
            surplus = session.party is not None and not self.admitted(session.keeper)
            refused = session.keeper.failures >= AUTH_TRIES
            if late or surplus or refused or not session.transport.is_active():
                session.end()
                farewell(session)
                self._sessions.remove(session)
        for handler in tuple(self.handlers):
            if handler.ident is not None and not handler.is_alive():
                self.handlers.discard(handler)
