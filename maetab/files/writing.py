"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from maetab.engine.whole_file import whole_file


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside `path`, then give it that name.

    Raises
    ------
    OSError
        Its `filename` is `path`, or its folder where there is none.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(path.parent))
    try:
        with whole_file(path) as beside, open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
