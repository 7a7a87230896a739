"""The first guess: closed form, (B, T, F) -> mean and variance of every hidden cell.

A base guess (`gaussian`) over the coordinates of a window, and a memory of windows that are like
it (`memory`), weighted by least squares (`stack`). `coordinates` turns cells into coordinates.
"""
