"""Files exchanged with a partner's SFTP server.

    Handing over  the bytes go to `.{delivery}.tmp` in `put`, their size is checked, then a plain rename,
                  which refuses an existing name, gives them their final name. An error of the rename decides
                  nothing: the folders are looked at instead.
    Fetching      regular files in `get` with safe, final names, once they are whole; removed when settled.

The server is known by pinned host keys alone. They are compared before a user name or any file is sent. No
agent, no keys lying around, no trust on first use.
"""

from __future__ import annotations

import base64
import binascii
import errno
import fnmatch
import hashlib
import io
import socket
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from adapters import algorithms, names
from hub.contract import Arrival, Ground, Handover, Known, Parcel
from hub.errors import AdapterError, DeclarationError, OutcomeUnknown, Unreachable, Untrusted

if TYPE_CHECKING:
    import paramiko

CHUNK = 32 * 1024
T = TypeVar("T")

#: A fetched file up to this size is kept in memory.
IN_MEMORY = 4_000_000
#: Entries of one remote folder that are looked at in one go.
ENTRIES = 100_000
#: A cut file unchanged for this many times `stable` is offered as it is, so that its sender can be told.
PATIENCE = 6


class Options(BaseModel):
    """A partner's SFTP server.

    key             our private key as file:PATH (relative to the site) or env:NAME
    host_keys       OpenSSH lines ("ssh-ed25519 AAAA…"), or file:PATH of such; several during a change
    put, get        remote folders for sending and fetching
    done            remote folder to which the partner moves what it has taken: evidence
    consumer_keeps  the partner never removes files from `put`: then a missing file was not delivered
    timeout         seconds for one answer; a whole operation may take four times as long
    stable          seconds without change after which a file of unknown format counts as whole
    pattern         which files to fetch, as a shell pattern
    legacy          weak ciphers and MACs that this server alone may use, by name (adapters/algorithms.py)
    """

    model_config = ConfigDict(extra="forbid")

    host: str
    port: int = 22
    user: str
    key: str
    host_keys: list[str] = Field(min_length=1)
    put: str | None = None
    get: str | None = None
    done: str | None = None
    consumer_keeps: bool = False
    timeout: float = 30
    keepalive: int = 15
    max_size: int = 50_000_000
    stable: float = 10
    pattern: str = "*"
    legacy: list[algorithms.Legacy] = []

    @property
    def reads(self) -> bool:
        return self.get is not None

    @property
    def writes(self) -> bool:
        return self.put is not None


# ------------------------------------------------------------------------------------------- the connection


def pinned(lines: Sequence[str], ground: Ground) -> dict[bytes, str]:
    """Key blob -> key type (RFC 4253, 6.6) of OpenSSH host key lines. DeclarationError for anything else."""
    found: dict[bytes, str] = {}
    for line in (inner for entry in lines for inner in _lines(entry, ground)):
        words = line.split()
        kind, text = (words[0], words[1]) if len(words) > 1 else ("", "")
        try:
            blob = base64.b64decode(text, validate=True)
        except binascii.Error:
            blob = b""
        if not kind or not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
            raise DeclarationError(f'host_keys: not of the form "ssh-ed25519 AAAA…": {line[:40]}')
        found[blob] = kind
    if not found:
        raise DeclarationError("host_keys: at least one key has to be pinned")
    return found


def _lines(line: str, ground: Ground) -> list[str]:
    if not line.startswith("file:"):
        return [line]
    try:
        return [inner for inner in ground.secret(line).splitlines() if inner.strip() and not inner.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"host_keys: {line}: cannot be read") from error


def fingerprint(blob: bytes) -> str:
    """As OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _faults() -> tuple[type[Exception], ...]:
    """Everything paramiko raises for a connection or a file that fails."""
    import paramiko
    from paramiko.sftp import SFTPError

    # The last two: what paramiko stumbles over in an answer that is no SFTP.
    return (OSError, EOFError, paramiko.SSHException, SFTPError, UnicodeError, struct.error)


def _private_key(text: str) -> paramiko.PKey:
    """An unencrypted private key in OpenSSH or PEM form. Raises Unreachable without the text."""
    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            key: paramiko.PKey = kind.from_private_key(io.StringIO(text + "\n"))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
        return key
    raise Unreachable("our private key cannot be read: unencrypted Ed25519, ECDSA or RSA is needed")


class _Link:
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
            raise OutcomeUnknown(_told(fault)) from fault
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
            raise Unreachable(f"{self._options.host}:{self._options.port}: {_told(fault)}") from fault

    def _connect(self) -> paramiko.SFTPClient:
        import paramiko

        options = self._options
        key = self._own_key()
        connection = socket.create_connection((options.host, options.port), options.timeout)
        try:
            transport = paramiko.Transport(connection, disabled_algorithms=algorithms.disabled(options.legacy))
        except BaseException:
            connection.close()
            raise
        self._transport = transport
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
            raise Unreachable(f"our private key: {_told(fault)}") from fault

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


def _told(fault: BaseException) -> str:
    """A fault in words; a timeout has none of its own."""
    return str(fault) or type(fault).__name__


def _missing(fault: OSError) -> bool:
    return fault.errno == errno.ENOENT


def _lstat(client: paramiko.SFTPClient, path: str) -> paramiko.SFTPAttributes | None:
    """The attributes, or None when nothing is there."""
    try:
        return client.lstat(path)
    except OSError as fault:
        if _missing(fault):
            return None
        raise


def _remove(client: paramiko.SFTPClient, path: str) -> None:
    """Remove a file; one that is not there is fine."""
    try:
        client.remove(path)
    except OSError as fault:
        if not _missing(fault):
            raise


# --------------------------------------------------------------------------------------------- handing over


class _Piece(NamedTuple):
    """One file of a parcel: its final name, its name while it is uploaded, its bytes."""

    name: str
    temporary: str
    data: bytes


def _pieces(parcel: Parcel) -> list[_Piece]:
    """Companions first, the data last."""
    companions = [
        _Piece(name, f".{parcel.delivery}.{number}.tmp", data)
        for number, (name, data) in enumerate(parcel.companions, 1)
    ]
    return [*companions, _Piece(parcel.name, f".{parcel.delivery}.tmp", parcel.data)]


class _Outlet:
    """Hands parcels to the partner's server, one after the other over one connection."""

    def __init__(self, options: Options, ground: Ground, put: str) -> None:
        self.money_safe = options.consumer_keeps or options.done is not None
        self._options = options
        self._put = put.rstrip("/") or "/"
        self._link = _Link(options, ground)

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            yield self._send_one(parcel)

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            yield self._look(parcel, _pieces(parcel)[-1])

    def close(self) -> None:
        self._link.close()

    def _send_one(self, parcel: Parcel) -> Handover:
        every = [parcel.delivery, parcel.name, *(name for name, _ in parcel.companions)]
        if not all(map(names.safe, every)):
            return Handover(parcel.delivery, Known.REFUSED, "name is not safe")
        for piece in _pieces(parcel):
            result = self._send_piece(parcel, piece)
            if result.known is not Known.DONE:
                break
        if piece.name != parcel.name and result.known is Known.UNKNOWN:
            # The data itself was never sent, whatever became of its companion.
            return Handover(parcel.delivery, Known.NOT_DONE, f"{piece.name}: {result.evidence}")
        return result

    def _send_piece(self, parcel: Parcel, piece: _Piece) -> Handover:
        """Upload and rename one file. NOT_DONE up to the rename; behind it only looking decides."""
        renaming = False
        try:
            with self._link.working() as client:
                found = self._found(client, piece)
                if found:
                    return Handover(parcel.delivery, *found)
                self._upload(client, piece)
                renaming = True
                client.rename(self._path(piece.temporary), self._path(piece.name))
        except Untrusted as fault:
            return Handover(parcel.delivery, Known.UNTRUSTED, str(fault))
        except AdapterError as fault:
            if not renaming:
                return Handover(parcel.delivery, Known.NOT_DONE, str(fault))
            return self._look(parcel, piece, str(fault))
        return Handover(parcel.delivery, Known.DONE, f"{self._path(piece.name)} sent with {_hash(piece.data)}")

    def _upload(self, client: paramiko.SFTPClient, piece: _Piece) -> None:
        path = self._path(piece.temporary)
        _remove(client, path)
        client.putfo(io.BytesIO(piece.data), path, confirm=False)
        size = client.lstat(path).st_size
        if size != len(piece.data):
            raise OSError(f"{piece.temporary} has {size} bytes there, {len(piece.data)} were sent")

    def _look(self, parcel: Parcel, piece: _Piece, why: str = "") -> Handover:
        """What the folders show of an earlier try."""
        try:
            with self._link.working() as client:
                found = self._found(client, piece)
                if found is None and _lstat(client, self._path(piece.temporary)) is not None:
                    found = Known.NOT_DONE, f"still under its temporary name; {why}".rstrip("; ")
        except Untrusted as fault:
            return Handover(parcel.delivery, Known.UNTRUSTED, str(fault))
        except AdapterError as fault:
            return Handover(parcel.delivery, Known.UNKNOWN, "; ".join(filter(None, (why, str(fault)))))
        if found is None:
            known = Known.NOT_DONE if self._options.consumer_keeps else Known.UNKNOWN
            found = known, f"neither {piece.name} nor its temporary name is there; {why}".rstrip("; ")
        return Handover(parcel.delivery, *found)

    def _found(self, client: paramiko.SFTPClient, piece: _Piece) -> tuple[Known, str] | None:
        """DONE when the bytes are at the final name or among the taken ones, REFUSED when others are."""
        final = self._path(piece.name)
        shown = _shown(client, final, piece.data)
        if shown:
            return Known.DONE, f"{final} {shown}"
        if self._options.done is not None:
            taken = f"{self._options.done.rstrip('/')}/{piece.name}"
            shown_there = _shown(client, taken, piece.data)
            if shown_there:
                return Known.DONE, f"{taken} {shown_there}"
        if shown == "":
            return Known.REFUSED, f"{final} exists with other content"
        return None

    def _path(self, name: str) -> str:
        return f"{self._put.rstrip('/')}/{name}"


def _shown(client: paramiko.SFTPClient, path: str, data: bytes) -> str | None:
    """What shows that the file at `path` is these bytes: its hash, or its size alone where it cannot be read.

    "" when it is another file, None when there is none."""
    attributes = _lstat(client, path)
    if attributes is None:
        return None
    if not _regular(attributes) or attributes.st_size != len(data):
        return ""
    try:
        with client.open(path, "rb") as file:
            return _hash(data) if _exactly(file, len(data)) == data else ""
    except PermissionError:
        return f"{len(data)} bytes, not readable"
    except OSError as fault:
        if _missing(fault):
            # Taken while we looked.
            return None
        raise


def _hash(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _listing(client: paramiko.SFTPClient, path: str) -> Iterator[paramiko.SFTPAttributes]:
    """The entries of a remote folder, page by page (draft-ietf-secsh-filexfer-02, 6.7).

    paramiko's own listing fails as a whole at the first name that is not UTF-8, such as one in GBK. Here such a name
    gets lone surrogates, which no safe name has."""
    import paramiko
    from paramiko.sftp import CMD_CLOSE, CMD_OPENDIR, CMD_READDIR

    ask = client._request  # type: ignore[attr-defined]
    handle = ask(CMD_OPENDIR, path)[1].get_binary()
    try:
        while True:
            page = ask(CMD_READDIR, handle)[1]
            for _ in range(page.get_int()):
                name = page.get_binary().decode("utf-8", "surrogateescape")
                page.get_binary()
                yield paramiko.SFTPAttributes._from_msg(page, name)  # type: ignore[attr-defined]
    except EOFError:
        # How the server says that there is no further page.
        ask(CMD_CLOSE, handle)


def _exactly(file: paramiko.SFTPFile, size: int) -> bytes:
    """Up to size + 1 bytes from the start, requested ahead."""
    if size:
        file.prefetch(size)
    found = bytearray()
    while len(found) <= size and (chunk := file.read(min(CHUNK, size + 1 - len(found)))):
        found += chunk
    return bytes(found)


def _regular(attributes: paramiko.SFTPAttributes) -> bool:
    return attributes.st_mode is not None and stat.S_ISREG(attributes.st_mode)


# ------------------------------------------------------------------------------------------------- fetching


class _Seen(NamedTuple):
    """A remote file as it was listed. `mtime` in seconds."""

    mtime: int
    name: str
    size: int


class _Looked(NamedTuple):
    """What an unchanged file showed when it was first looked at, `since` then (monotonic)."""

    since: float
    digest: str
    whole: bool | None
    again: bool = False


class _Inlet:
    """Fetches what lies in the partner's folder."""

    def __init__(self, options: Options, ground: Ground, get: str) -> None:
        self._options = options
        self._get = get.rstrip("/")
        self._link = _Link(options, ground)
        self._looked: dict[_Seen, _Looked] = {}

    def collect(self, limit: int) -> Sequence[Arrival]:
        def step(client: paramiko.SFTPClient) -> list[Arrival]:
            listed = islice(_listing(client, self._get or "/"), ENTRIES)
            present = sorted(filter(None, map(self._candidate, listed)))
            self._looked = {seen: self._looked[seen] for seen in present if seen in self._looked}
            arrivals: list[Arrival] = []
            for seen in present:
                if len(arrivals) >= limit:
                    break
                looked = self._look(client, seen)
                if looked and self._ready(looked):
                    key = f"{seen.name}:{seen.size}:{seen.mtime}:{looked.digest}"
                    arrivals.append(Arrival(key, seen.name, seen.size))
            return arrivals

        return self._ask(step)

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
            self._ask(lambda client: self._fetch(client, arrival, spool.write))
            spool.seek(0)
            while chunk := spool.read(CHUNK):
                yield chunk

    def settle(self, arrival: Arrival) -> None:
        def step(client: paramiko.SFTPClient) -> None:
            attributes = _lstat(client, self._path(arrival.name))
            # Another size or time is another file of the same name: it arrives by itself.
            if attributes is not None and _is(arrival, attributes):
                _remove(client, self._path(arrival.name))

        self._ask(step)

    def close(self) -> None:
        self._link.close()

    def _ask(self, step: Callable[[paramiko.SFTPClient], T]) -> T:
        """Run one operation. Nothing of ours changes at the source by a failed one, so it is Unreachable."""
        try:
            with self._link.working() as client:
                return step(client)
        except OutcomeUnknown as fault:
            raise Unreachable(str(fault)) from fault

    def _candidate(self, entry: paramiko.SFTPAttributes) -> _Seen | None:
        """A listed file with a safe, final name that matches the pattern."""
        name = entry.filename
        if not names.safe(name) or names.temporary(name) or not _regular(entry) or entry.st_size is None:
            return None
        if not fnmatch.fnmatchcase(name, self._options.pattern):
            return None
        return _Seen(entry.st_mtime or 0, name, entry.st_size)

    def _look(self, client: paramiko.SFTPClient, seen: _Seen) -> _Looked | None:
        """Both ends of a file, read once for each state of it. None: not a regular file, or changed."""
        if seen in self._looked:
            self._looked[seen] = self._looked[seen]._replace(again=True)
            return self._looked[seen]
        attributes = _lstat(client, self._path(seen.name))
        if attributes is None or not _regular(attributes) or attributes.st_size != seen.size:
            return None
        try:
            with client.open(self._path(seen.name), "rb") as file:
                head = file.read(names.WINDOW)
                file.seek(max(0, seen.size - names.WINDOW))
                tail = file.read(names.WINDOW)
        except OSError as fault:
            if _missing(fault) or isinstance(fault, PermissionError):
                return None
            raise
        digest = hashlib.sha256(head + tail).hexdigest()[:32]
        self._looked[seen] = _Looked(time.monotonic(), digest, names.complete(head, tail))
        return self._looked[seen]

    def _ready(self, looked: _Looked) -> bool:
        """Whole by its content; unknown or empty: unchanged for `stable`; cut: for PATIENCE times that."""
        if looked.whole:
            return True
        wait = self._options.stable * (PATIENCE if looked.whole is False else 1)
        return looked.again and time.monotonic() - looked.since >= wait

    def _fetch(self, client: paramiko.SFTPClient, arrival: Arrival, write: Callable[[bytes], object]) -> None:
        """The bytes as collected, but never more than max_size + 1 of them."""
        path = self._path(arrival.name)
        before = _lstat(client, path)
        if before is None or not _is(arrival, before):
            raise OSError(f"{arrival.name} is gone or has changed since it was collected")
        size = min(arrival.size, self._options.max_size + 1)
        with client.open(path, "rb") as file:
            data = _exactly(file, size)
        after = _lstat(client, path)
        if len(data) < size or after is None or not _is(arrival, after):
            raise OSError(f"{arrival.name} changed while it was read")
        write(data[:size])

    def _path(self, name: str) -> str:
        return f"{self._get}/{name}"


def _is(arrival: Arrival, attributes: paramiko.SFTPAttributes) -> bool:
    """True when a regular file still has the size and time of the arrival's key."""
    state = f"{arrival.name}:{attributes.st_size}:{attributes.st_mtime or 0}:"
    return _regular(attributes) and arrival.key.startswith(state)


def inlet(name: str, options: Options, ground: Ground) -> _Inlet:
    """Fetch from `get`. DeclarationError when there is none or no host key is usable."""
    if options.get is None:
        raise DeclarationError(f"{name}: `get`, the remote folder to fetch from, is not set")
    return _Inlet(options, ground, options.get)


def outlet(name: str, options: Options, ground: Ground) -> _Outlet:
    """Hand over into `put`. DeclarationError when there is none or no host key is usable."""
    if options.put is None:
        raise DeclarationError(f"{name}: `put`, the remote folder to send to, is not set")
    return _Outlet(options, ground, options.put)
