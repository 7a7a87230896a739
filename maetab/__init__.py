"""Masked autoencoders for tables behind a scikit-learn API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maetab.classifier import MAEClassifier
    from maetab.detector import MAEAnomalyDetector
    from maetab.encoder import MAEEncoder
    from maetab.files.models import load, save
    from maetab.imputer import MAEImputer
    from maetab.page.report import report
    from maetab.regressor import MAERegressor

__all__ = [
    "MAEAnomalyDetector",
    "MAEClassifier",
    "MAEEncoder",
    "MAEImputer",
    "MAERegressor",
    "load",
    "report",
    "save",
]
__version__ = "0.2.0.dev0"

# Read when first asked for: torch takes seconds to import, and `maetab --help` has no use for it.
_HOMES = {
    "MAEAnomalyDetector": "detector",
    "MAEClassifier": "classifier",
    "MAEEncoder": "encoder",
    "MAEImputer": "imputer",
    "MAERegressor": "regressor",
    "load": "files.models",
    "report": "page.report",
    "save": "files.models",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maetab' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"maetab.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
