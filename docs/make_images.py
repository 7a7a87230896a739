"""Draw the pictures of the guide and of README.md.

python docs/make_images.py writes docs/images/way_of_data.svg and docs/images/reconstruction.png.
"""

from __future__ import annotations

from pathlib import Path

IMAGES = Path(__file__).resolve().parent / "images"

WIDTH, BOX, HEIGHT, GAP, TOP, STEP = 990, 142, 92, 24, 34, 148
GREY = "#808080"  # on white and on black alike it has a contrast of 4 or more
ROWS = [
    ("maetab/data: from a frame to numbers", "#fdebd0", "#b9770e", [
        ("frame", "pandas, polars,\npyarrow, NumPy"),
        ("source", "statistics, samples\nand batches\nof rows"),
        ("schema", "kind, levels and\nrange of each\ncolumn"),
        ("codec", "values, observed\n(n, F)"),
        ("windows", "cut into (B, T, F);\na table: T = 1"),
    ]),
    ("maetab/nn: what is hidden is predicted", "#d6eaf8", "#2874a6", [
        ("masking", "hidden: some of the\nobserved cells;\nthe rest is visible"),
        ("guess", "Gaussian and similar\nrows: mean and\nvariance"),
        ("tokens", "one for each\nvisible cell"),
        ("attention", "among columns and\ntime steps,\nvisible cells only"),
        ("decoder", "the guess stands\nwhere cells are\nhidden"),
        ("heads", "a distribution\nfor each cell"),
    ]),
    ("maetab/engine and maetab/data: back to a frame", "#d5f5e3", "#1e8449", [
        ("blend", "network and guess,\nby their errors at\nheld-out cells"),
        ("merge", "distributions, for\neach row of the\ntable"),
        ("decode", "units, grid,\nlevels, dtypes"),
        ("frame", "observed cells are\nthe user's own"),
    ]),
]  # fmt: skip


def box(x: int, y: int, name: str, text: str, fill: str, line: str) -> str:
    """Return a box with a name and up to three lines."""
    middle = x + BOX / 2
    lines = "".join(
        f'<text x="{middle}" y="{y + 44 + 16 * i}" font-size="12.5">{part}</text>'
        for i, part in enumerate(text.split("\n"))
    )
    return (
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="8" fill="{fill}" '
        f'stroke="{line}" stroke-width="1.5"/>'
        f'<text x="{middle}" y="{y + 23}" font-size="15" font-weight="bold">{name}</text>{lines}'
    )


def arrow(*points: tuple[float, float]) -> str:
    """Return a line through points, an arrow at its end."""
    path = " L".join(f"{x},{y}" for x, y in points)
    return (
        f'<path d="M{path}" fill="none" stroke="{GREY}" stroke-width="2" marker-end="url(#end)"/>'
    )


def way_of_data() -> str:
    """Return the SVG of what happens to a frame on its way through the model and back."""
    parts = []
    for r, (label, fill, line, boxes) in enumerate(ROWS):
        y = TOP + r * STEP
        parts.append(f'<text x="{BOX / 2 + 14}" y="{y - 10}" font-size="13" text-anchor="start" '
                     f'fill="{GREY}">{label}</text>')  # fmt: skip
        for i, (name, text) in enumerate(boxes):
            x = 2 + i * (BOX + GAP)
            parts.append(box(x, y, name, text, fill, line))
            if i:
                parts.append(arrow((x - GAP + 2, y + HEIGHT / 2), (x - 3, y + HEIGHT / 2)))
        if r + 1 < len(ROWS):  # from below the last box to above the first of the next row
            last, turn = 2 + (len(boxes) - 1) * (BOX + GAP) + BOX / 2, y + HEIGHT + 14
            first = 2 + BOX / 2
            parts.append(
                arrow((last, y + HEIGHT + 2), (last, turn), (first, turn), (first, y + STEP - 3))
            )
    height = TOP + (len(ROWS) - 1) * STEP + HEIGHT + 4
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" text-anchor="middle" '
        f'fill="#1c1c1c">\n<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" '
        f'markerWidth="5" markerHeight="5" orient="auto"><path d="M0,0 L8,4 L0,8 z" '
        f'fill="{GREY}"/></marker></defs>\n{body}\n</svg>\n'
    )


def draw_reconstruction(path: Path) -> None:
    """Draw hidden cells of a table of scikit-learn's against what the model made of them."""
    from sklearn.datasets import load_wine

    from maetab import MAEImputer
    from maetab.evaluation import amputate
    from maetab.plot import ReconstructionDisplay

    wine = load_wine(as_frame=True).frame
    wine["target"] = wine["target"].map({0: "first", 1: "second", 2: "third"})
    holes, hidden = amputate(wine, frac=0.4, random_state=0)
    imputer = MAEImputer(random_state=0).fit(holes)
    columns = ["flavanoids", "proline", "target"]
    display = ReconstructionDisplay.from_estimator(imputer, wine, hidden, columns).plot()
    display.figure_.savefig(path, dpi=80)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "way_of_data.svg").write_text(way_of_data(), encoding="utf-8")
    draw_reconstruction(IMAGES / "reconstruction.png")


if __name__ == "__main__":
    main()
