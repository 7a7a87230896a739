"""How long a fit to a table takes, roughly."""

from __future__ import annotations

# `python -m benchmarks.fit_time` fits this rule to CPU seconds of one thread, preset "balanced",
# and prints by which factors other tables differ from it: 0.6 to 1.7, on the machine where all of
# them were measured. RANGE leaves room for other machines.
SECONDS, BY_COORDINATES, BY_ROWS, MOST_ROWS = 0.00144, 0.23, 1.06, 20_000
RANGE = 3.0
MEASURED = 105  # coordinates: of wider tables the rule knows nothing


def seconds_needed(n_rows: int, n_coordinates: int) -> tuple[float, float]:
    """Return between which seconds a fit and filling are likely to take.

    For preset "balanced" and tables, on one core; series take longer.

    Parameters
    ----------
    n_rows : of the table; a fit learns no longer from more than 20,000
    n_coordinates : a number per column of numbers and per level of a category

    Examples
    --------
    >>> [round(seconds) for seconds in seconds_needed(2000, 16)]
    [3, 26]
    """
    rows, coordinates = min(n_rows, MOST_ROWS), max(1, n_coordinates)
    usual = SECONDS * coordinates**BY_COORDINATES * rows**BY_ROWS
    return usual / RANGE, usual * RANGE
