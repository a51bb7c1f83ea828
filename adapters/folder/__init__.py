"""Files in a folder, on this machine or on a mounted share.

    adapter: folder
    in: /data/customs/out       the hub reads here
    out: /data/customs/in       the hub writes here
    archive: /data/customs/old  what was read moves there; without it, it is deleted

| can                         | how                                                                          |
|-----------------------------|------------------------------------------------------------------------------|
| tell when a file is whole   | EDIFACT and XML by the last segment or tag, others by `stable` quiet seconds |
| never show half a file      | hidden temporary file, fsync, hard link of that very file                    |
| never overwrite             | the hard link fails when the name is taken                                   |
| tell if a lost try arrived  | only when the reader leaves the files there: `consumer_keeps`                |

The file system must know hard links (ext4, xfs, NFS do; FAT does not). Relative paths start at the
site's folder.
"""

from __future__ import annotations

from pathlib import Path

from adapters.folder.options import Options
from adapters.folder.reading import FolderInlet
from adapters.folder.writing import FolderOutlet
from hub.contract import Ground
from hub.errors import DeclarationError


def inlet(name: str, options: Options, ground: Ground) -> FolderInlet:
    """Read `in`. Raises DeclarationError when the endpoint has none."""
    folder = options.in_
    if folder is None and options.home and options.out is not None:
        folder = str(Path(options.out) / "outbound")
    if folder is None:
        raise DeclarationError(f"endpoint {name} is read but has no folder `in`")
    archive = ground.site / options.archive if options.archive else None
    return FolderInlet(ground.site / folder, archive, options)


def outlet(name: str, options: Options, ground: Ground) -> FolderOutlet:
    """Write `out`. Raises DeclarationError when the endpoint has none."""
    if options.out is None:
        raise DeclarationError(f"endpoint {name} is written to but has no folder `out`")
    return FolderOutlet(ground.site / options.out, options)


__all__ = ["Options", "inlet", "outlet"]
