"""Tables and the numbers a model reads: pandas and NumPy, no torch."""
