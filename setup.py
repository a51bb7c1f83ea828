"""Everything is in setup.cfg, except that a list of files there cannot be walked: the reference site, which an
installation keeps in share/eport."""

from pathlib import Path

from setuptools import setup

site = [Path("routes.yaml"), *(p for room in ("mappings", "schemas") for p in Path(room).rglob("*") if p.is_file())]
folders: dict[str, list[str]] = {}
for path in sorted(site):
    folders.setdefault(str("share/eport" / path.parent), []).append(str(path))
setup(data_files=sorted(folders.items()))
