"""What a fit to a file would take: time and memory, roughly."""

from __future__ import annotations

from maetab.data.schema import Schema
from maetab.memory_needed import memory_needed
from maetab.time_needed import MEASURED, seconds_needed


def cost_of(schema: Schema, n_rows: int) -> str:
    """Return a sentence on the time and the memory that a fit takes."""
    levels = zip(schema.n_modelled(), schema.is_free_text(), strict=True)
    coordinates = sum(max(1, n) for n, is_unseen in levels if not is_unseen)
    low, high = seconds_needed(n_rows, coordinates)
    memory = max(0.1, memory_needed(n_rows, coordinates) / 2**30)
    time = f"about {_time(low)} to {_time(high)}" if high > 3 else "some seconds"
    wide = ", more as the table is wide" if coordinates > MEASURED else ""
    return (
        f"a fit of its rows and filling: {time} on one core{wide} "
        f"(--preset fast takes less, best and --window more), and some {memory:.1f} GiB of memory"
    )


def _time(seconds: float) -> str:
    """Return seconds or minutes in a round number."""
    if seconds < 100:
        return f"{max(1, float(f'{seconds:.1g}')):.0f} s"
    return f"{max(2, float(f'{seconds / 60:.1g}')):.0f} min"
