"""The shape of a bundle's manifest, shared by who writes it and who reads it."""

from __future__ import annotations

FORMAT = "eport-evidence-1"
MANIFEST = {"certificates": list, "events": list, "format": str, "heads": list, "port": str, "reference": str}
MANIFEST |= {"removed": list}
HEAD = {"head": str, "number": int, "signature": str, "stamp": str}
PLACE = {"head": int, "index": int, "path": list}
NAMED = ("sha256", "signature", "canonical", "mapping")
"""Details of an event that are the SHA-256 of a file: what came in or was made, its detached signature, its canonical
document, the mapping that made it."""
README = "f2c0cf67ce1ae5020f78761db146c1e03e7cfa20ca1a48660bfb7b0853599faa"
"""SHA-256 of the README.txt of this format: what tells a person how to check may not be anybody's text."""
