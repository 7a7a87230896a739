"""Masked autoencoders for tables behind a scikit-learn API."""

from maetab.imputer import MAEImputer


__all__ = ["MAEImputer", "load", "save"]
__version__ = "0.1.0"
