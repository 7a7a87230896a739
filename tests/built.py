"""Tries what was built: installs wheel and source distribution in environments of their own.

python tests/built.py DIST FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRY = """
import sys
from importlib.metadata import version
from pathlib import Path
import maetab
home = Path(maetab.__file__).resolve()
assert home.is_relative_to(sys.prefix), home
assert version("maetab") == maetab.__version__, (version("maetab"), maetab.__version__)
assert (home.parent / "py.typed").is_file()
for name in maetab.__all__:
    assert getattr(maetab, name) is not None
from maetab.evaluation import amputate
from maetab.plot import HistoryDisplay
print(maetab.__version__, home.parent)
"""


def tried(built: Path, folder: Path) -> None:
    """Install a file with pip in a new environment and run the demo outside the checkout."""
    venv.create(folder, with_pip=True, clear=True)
    python, program = folder / "bin" / "python", folder / "bin" / "maetab"
    limits = ["-c", str(ROOT / "constraints.txt")]
    install = [python, "-m", "pip", "install", "-q", *limits, f"{built}[parquet,plot]"]
    elsewhere = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for command in (
        install,
        [python, "-c", TRY],
        [program, "--version"],
        [program, "demo", "--output", folder / "filled.csv", "--max-time", "20"],
        [program, "impute", folder / "filled.csv", "-o", folder / "again.parquet"],
    ):
        subprocess.run(list(map(str, command)), cwd=folder, env=elsewhere, check=True)
    assert (folder / "filled.csv").read_text().count("\n") == 570
    assert (folder / "again.parquet").stat().st_size


def main() -> None:
    """Try the one wheel and the one source distribution in a folder."""
    dist, folder = (Path(word).resolve() for word in sys.argv[1:])
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with tarfile.open(source) as files:
        names = {Path(name).name for name in files.getnames()}
    assert {"SECURITY.md", "LICENSE", "README.md", "pyproject.toml"} <= names, names
    for built in (wheel, source):
        tried(built, folder / built.suffix[1:])
        print(f"{built.name}: installed and tried")


if __name__ == "__main__":
    main()
