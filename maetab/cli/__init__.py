"""The command line: one verb a job, a file in and a file out.

torch, scikit-learn and pandas are imported only by verbs that need them.
"""

from __future__ import annotations

from maetab.cli.command import VERBS, main, make_parser

__all__ = ["VERBS", "main", "make_parser"]
