"""What a fit leaves in a folder so that it goes on where it was stopped, by whatever.

A folder holds the work of one fit: a note of what it is, and files that are there whole or not at
all. Nothing in them is run: they hold tensors and plain values.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maetab.engine.whole_file import whole_file
from maetab.nn.windows import Windows

NOTE = "_maetab_fit.json"
SUFFIX = ".maetab.pt"
About = dict[str, Any]


class Checkpoint:
    """The folder of a fit.

    Parameters
    ----------
    folder : which is made; None for a fit that leaves nothing
    about : what the fit is, by the words that name it in errors; it and what it is made of must be
        as when it was stopped

    Raises
    ------
    ValueError
        The folder is a file, or holds the work of another fit.
    """

    def __init__(self, folder: str | os.PathLike | None = None, about: About | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        if self.folder is None:
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"checkpoint={str(folder)!r} is a file; pass a folder.")
        note, path = json.loads(json.dumps(about)), self.folder / NOTE
        if path.exists():
            self._refuse_others(path, note)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as beside:
                beside.write_text(json.dumps(note, indent=1), encoding="utf-8")

    @property
    def writes(self) -> bool:
        """Whether anything is left."""
        return self.folder is not None

    def _refuse_others(self, path: Path, note: About) -> None:
        """Raise a ValueError that names what the other fit differs in."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found == note:
            return
        wrong = f"The checkpoint in {str(self.folder)!r} is of another fit"
        what = "its note cannot be read"
        if isinstance(found, dict):
            keys = [key for key in note | found if note.get(key) != found.get(key)]
            what = "; ".join(f"{x}: {found.get(x, 'none')} there, {note.get(x)} here" for x in keys)
        raise ValueError(f"{wrong}: {what}. Pass another folder, or remove its files.")

    def read(self, name: str) -> Any:
        """Return what was left under a name; None if nothing was.

        Raises
        ------
        ValueError
            It cannot be read.
        """
        if self.folder is None or not self.holds(name):
            return None
        path = self.folder / f"{name}{SUFFIX}"
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged files end in errors of many kinds
            raise ValueError(
                f"{path} cannot be read ({type(error).__name__}); remove it, and fit again."
            ) from error

    def write(self, name: str, state: Any) -> None:
        """Leave tensors and plain values under a name, whole or not at all."""
        if self.folder is not None:
            with whole_file(self.folder / f"{name}{SUFFIX}") as beside:
                torch.save(state, beside)

    def holds(self, name: str) -> bool:
        """Whether anything was left under a name."""
        return self.folder is not None and (self.folder / f"{name}{SUFFIX}").exists()


NONE = Checkpoint()


def forget(folder: str | os.PathLike | None) -> None:
    """Remove what a fit has left in a folder, and what was half written: it is done."""
    if folder is None:
        return
    for pattern in (f"*{SUFFIX}", f".*{SUFFIX}.*", f".{NOTE}.*", NOTE):
        for path in Path(folder).glob(pattern):
            path.unlink(missing_ok=True)


def digest_of(windows: Windows) -> str:
    """Return the SHA-256 of what a model learns from."""
    clock = () if windows.clock is None else windows.clock[:3]
    values = torch.where(windows.observed, windows.values, 0.0)
    return digest((values, windows.observed, windows.rows, *clock))


def digest(tensors: Iterable[Tensor]) -> str:
    """Return the SHA-256 of tensors."""
    found = hashlib.sha256()
    for tensor in tensors:
        array = np.ascontiguousarray(tensor.detach().cpu().numpy())
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data if array.size else b"")
    return found.hexdigest()
