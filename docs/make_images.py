"""Draw the pictures of README.md from a data set that comes with scikit-learn.

python docs/make_images.py writes docs/images/reconstruction.png.
"""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_wine

from maetab import MAEImputer
from maetab.evaluation import amputate
from maetab.plot import ReconstructionDisplay

IMAGES = Path(__file__).resolve().parent / "images"


def main() -> None:
    wine = load_wine(as_frame=True).frame
    wine["target"] = wine["target"].map({0: "first", 1: "second", 2: "third"})
    holes, hidden = amputate(wine, frac=0.4, random_state=0)
    imputer = MAEImputer(random_state=0).fit(holes)
    columns = ["flavanoids", "proline", "target"]
    display = ReconstructionDisplay.from_estimator(imputer, wine, hidden, columns).plot()
    IMAGES.mkdir(exist_ok=True)
    display.figure_.savefig(IMAGES / "reconstruction.png", dpi=80)


if __name__ == "__main__":
    main()
