"""The model, in torch's words only: no frames, no files, no devices.

Dimension key: B batch, T time steps (1 for a table), F features (columns), L = T * F tokens,
D width of a token, K bins or categories, P pieces of the piecewise-linear encoding.

Booleans say what True means: `observed` (the user gave the cell), `hidden` (we hide it now),
`visible` = observed and not hidden.
"""
