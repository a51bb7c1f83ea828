"""Handing over: hidden name, size, a rename that refuses an existing name; then only looking decides."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from adapters import names
from adapters.sftp import remote
from adapters.sftp.link import Link
from adapters.sftp.options import Options
from hub.contract import Ground, Handover, Known, Parcel
from hub.errors import AdapterError, Untrusted

if TYPE_CHECKING:
    import paramiko


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


class SftpOutlet:
    """Hands parcels to the partner's server, one after the other over one connection."""

    def __init__(self, options: Options, ground: Ground, put: str) -> None:
        self.money_safe = options.consumer_keeps or options.done is not None
        self._options = options
        self._put = put.rstrip("/") or "/"
        self._link = Link(options, ground)

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
        return Handover(parcel.delivery, Known.DONE, f"{self._path(piece.name)} sent with {remote.digest(piece.data)}")

    def _upload(self, client: paramiko.SFTPClient, piece: _Piece) -> None:
        path = self._path(piece.temporary)
        remote.remove(client, path)
        client.putfo(io.BytesIO(piece.data), path, confirm=False)
        size = client.lstat(path).st_size
        if size != len(piece.data):
            raise OSError(f"{piece.temporary} has {size} bytes there, {len(piece.data)} were sent")

    def _look(self, parcel: Parcel, piece: _Piece, why: str = "") -> Handover:
        """What the folders show of an earlier try."""
        try:
            with self._link.working() as client:
                found = self._found(client, piece)
                if found is None and remote.lstat(client, self._path(piece.temporary)) is not None:
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
        shown = remote.shown_as(client, final, piece.data)
        if shown:
            return Known.DONE, f"{final} {shown}"
        if self._options.done is not None:
            taken = f"{self._options.done.rstrip('/')}/{piece.name}"
            shown_there = remote.shown_as(client, taken, piece.data)
            if shown_there:
                return Known.DONE, f"{taken} {shown_there}"
        if shown == "":
            return Known.REFUSED, f"{final} exists with other content"
        return None

    def _path(self, name: str) -> str:
        return f"{self._put.rstrip('/')}/{name}"
