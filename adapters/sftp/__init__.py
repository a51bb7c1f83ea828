"""Files exchanged with a partner's SFTP server.

    Handing over  the bytes go to `.{delivery}.tmp` in `put`, their size is checked, then a plain rename,
                  which refuses an existing name, gives them their final name. An error of the rename decides
                  nothing: the folders are looked at instead.
    Fetching      regular files in `get` with final names, once they are whole; removed when settled.

The server is known by pinned host keys alone. They are compared before a user name or any file is sent. No
agent, no keys lying around, no trust on first use.

    options  what an endpoint may declare      inlet   fetching       remote  what the server's folders show
    link     one connection                    outlet  handing over
"""

from __future__ import annotations

from adapters.sftp.inlet import SftpInlet
from adapters.sftp.options import Options
from adapters.sftp.outlet import SftpOutlet
from hub.contract import Ground
from hub.errors import DeclarationError

__all__ = ["Options", "inlet", "outlet"]


def inlet(name: str, options: Options, ground: Ground) -> SftpInlet:
    """Fetch from `get`. DeclarationError when there is none or no host key is usable."""
    if options.get is None:
        raise DeclarationError(f"{name}: `get`, the remote folder to fetch from, is not set")
    return SftpInlet(name, options, ground, options.get)


def outlet(name: str, options: Options, ground: Ground) -> SftpOutlet:
    """Hand over into `put`. DeclarationError when there is none or no host key is usable."""
    if options.put is None:
        raise DeclarationError(f"{name}: `put`, the remote folder to send to, is not set")
    return SftpOutlet(options, ground, options.put)
