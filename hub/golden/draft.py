"""A site in which one file is replaced by another of the same name: laid out beside it, not in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from hub.errors import DeclarationError

_FOLDERS = ("mappings", "schemas")


def laid_out(folder: Path, file: Path, into: Path) -> Path:
    """The site in `folder` with `file` in the place of the one declaration of its name, as links in `into`.

    Raises DeclarationError where the site has none of that name, or several."""
    there = [path for name in _FOLDERS for path in sorted((folder / name).rglob(file.name)) if path.is_file()]
    if len(there) != 1:
        places = ", ".join(str(path.relative_to(folder)) for path in there)
        raise DeclarationError(f"{file.name}: {places or '?'}  ({folder})")
    for name in _FOLDERS:
        shutil.copytree(folder / name, into / name, copy_function=_link)
    _link(folder / "routes.yaml", into / "routes.yaml")
    replaced = into / there[0].relative_to(folder)
    replaced.unlink()
    shutil.copyfile(file, replaced)
    return into


def _link(path: str | Path, to: str | Path) -> None:
    Path(to).symlink_to(Path(path).resolve())
