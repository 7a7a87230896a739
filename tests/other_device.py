"""A stand-in for CUDA on machines without it: what mixes devices is refused, as CUDA does.

Its tensors say that they lie on torch's device "lazy", which every machine knows and nobody uses,
and hold their numbers on the CPU, which computes what is computed of them, once it is sure that no
tensor but single numbers lies elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

OTHER = torch.device("lazy", 0)
MOVES = ("aten::_to_copy", "aten::copy_")  # may read one device and write the other
PLACED = ("aten::index", "aten::index_put", "aten::index_put_")  # take places from the CPU


class There(torch.Tensor):
    """A tensor of the stand-in."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> There:
        about = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        about |= {"dtype": held.dtype, "device": OTHER}
        made = torch.Tensor._make_wrapper_subclass(cls, held.shape, **about)
        made.held = held
        return made

    def tolist(self) -> list[Any]:
        return self.held.tolist()

    def new_tensor(self, data: Any) -> torch.Tensor:
        return torch.tensor(data, dtype=self.dtype).to(OTHER)

    def __getitem__(self, index: Any) -> torch.Tensor:
        return super().__getitem__(_of_tensors(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_of_tensors(index), value)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return Both().__torch_dispatch__(func, types, args, kwargs)


def _of_tensors(index: Any) -> Any:
    """Return an index with tensors in place of lists, which torch would put on the device."""
    if isinstance(index, tuple):
        return tuple(map(_of_tensors, index))
    if not isinstance(index, list):
        return index
    return torch.tensor(index, dtype=None if index else torch.long)


class Both(TorchDispatchMode):
    """Computes on the CPU what lies there, and what lies on the stand-in; refuses a mixture."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), func._schema.name
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        there = [x for x in given if isinstance(x, There)]
        here = [x for x in given if not isinstance(x, There) and x.ndim]
        if there and here and name not in MOVES:
            if name == "aten::_has_compatible_shallow_copy_type":
                return False
            places = args[1] if name in PLACED else ()
            if any(not any(x is place for place in places) for x in here):
                raise RuntimeError(f"{name}: tensors on both devices, {[x.shape for x in here]}")
        goes, asked = bool(there), kwargs.get("device")
        if asked is not None:
            goes, kwargs["device"] = torch.device(asked).type == OTHER.type, torch.device("cpu")
        if name == "aten::copy_":
            goes = isinstance(args[0], There)
        args, kwargs = tree_map_only(There, lambda x: x.held, (args, kwargs))
        out = func(*args, **kwargs)
        if func._schema.is_mutable and name.endswith("_"):
            return given[0]
        return tree_map_only(torch.Tensor, There, out) if goes else out


class _Generator(torch.Generator):
    """One of the CPU, whatever the device: it draws for both."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        return super().__new__(cls, "cpu")


def _moved(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return what makes tensors of data on the CPU and moves them."""

    def made(data: Any, *, device: Any = "cpu", **more: Any) -> torch.Tensor:
        return (data if isinstance(data, There) else make(data, **more)).to(device)

    return made


@contextmanager
def other_device() -> Iterator[torch.device]:
    """Let torch compute on the stand-in, too, inside the block."""
    with pytest.MonkeyPatch.context() as patch, Both():
        # In inference mode torch hands operations over before it has split them into parts.
        for name in ("__enter__", "__exit__"):
            patch.setattr(torch.inference_mode, name, getattr(torch.no_grad, name))
        patch.setattr(torch, "Generator", _Generator)
        for name in ("tensor", "as_tensor"):
            patch.setattr(torch, name, _moved(getattr(torch, name)))
        yield OTHER
