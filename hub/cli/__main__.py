"""`python -m hub.cli` is the `eport` command."""

from hub.cli import main

main()
