"""Hands `python -m maetab` over to the command line."""

from __future__ import annotations

import sys

from maetab.cli import main

if __name__ == "__main__":
    sys.exit(main())
