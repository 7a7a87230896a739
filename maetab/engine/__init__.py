"""Runs a model over arrays; knows `nn`, not `data`."""
