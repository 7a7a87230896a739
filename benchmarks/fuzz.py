"""What reading files does that were damaged or forged: an answer or one clear error, in time.

Small models, text and Parquet files are changed by `benchmarks.mutations`, and read in a process of
their own that has limits of memory and time: models by `maetab.load` and `maetab info`, tables by
`maetab describe`. A model that can be read is used as well. Whatever ends the process, takes too
long, raises another error than is documented, runs code from a file, opens a connection or writes a
file is a failure: the file is kept, and the program ends with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import multiprocessing
import runpy
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import maetab
from benchmarks.mutations import CHANGES

MEMORY, SECONDS = 4 * 2**30, 30.0  # that reading one file may take
SHARES = {"model": 0.5, "csv": 0.25, "parquet": 0.2, "gz": 0.05}  # of the files
LONGEST = 2000  # characters of an error
# What no reading of a file may do: events of Python's audit hooks.
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "os.remove")
FORBIDDEN += ("pickle.find_class", "socket.connect", "marshal.loads", "os.rename", "os.mkdir")


class Seed(NamedTuple):
    """A file before it is changed: what it is and what its name ends with."""

    kind: str
    suffix: str
    content: bytes


class Outcome(NamedTuple):
    """What came of one file, in a word, and what was said."""

    word: str
    text: str = ""


def table(n: int = 40) -> pd.DataFrame:
    """Return numbers, whole numbers, text, booleans and dates, some missing."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n).round(3),
            "rooms": pd.array(rng.integers(0, 9, n), "Int64"),
            "colour": rng.choice(["red", "green", 'bl"ue', "a,b"], n),
            "owned": pd.array(rng.random(n) < 0.5, "boolean"),
            "day": pd.date_range("2024", periods=n),
        }
    )
    frame.iloc[:, :4] = frame.iloc[:, :4].mask(rng.random((n, 4)) < 0.2)
    return frame


def seeds() -> list[Seed]:
    """Return a file of each kind of model and table."""
    usual = {"max_iter": 1, "width": 8, "n_heads": 2, "preset": "fast", "random_state": 0}
    models = [
        maetab.MAEImputer(**usual),
        maetab.MAEEncoder(n_components=3, **usual),
        maetab.MAEAnomalyDetector(n_masks=2, **usual),
        maetab.MAEImputer(window=4, time="day", **usual),
    ]
    found, frame = [], table()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model"
        for model in models:
            maetab.save(model.fit(frame), path)
            found.append(Seed("model", ".safetensors", path.read_bytes()))
    text = frame.to_csv(index=False).encode()
    found += [Seed("csv", ".csv", text), Seed("csv", ".csv", frame.to_csv(sep=";").encode())]
    found.append(Seed("csv", ".tsv", frame.to_csv(sep="\t", index=False).encode("utf-16")))
    found.append(Seed("gz", ".csv.gz", gzip.compress(text, mtime=0)))
    for compression in ("snappy", "zstd", None):
        buffer = io.BytesIO()
        frame.astype({"colour": "category"}).to_parquet(buffer, compression=compression)
        found.append(Seed("parquet", ".parquet", buffer.getvalue()))
    return found


def changed(given: list[Seed], number: int) -> tuple[Seed, str]:
    """Return the file of a number, and how it was changed; the same number gives the same file."""
    random = np.random.default_rng(number)
    kind = str(random.choice(list(SHARES), p=list(SHARES.values())))
    of_kind = [seed for seed in given if seed.kind == kind]
    seed = of_kind[int(random.integers(len(of_kind)))]
    change = CHANGES[kind][int(random.integers(len(CHANGES[kind])))]
    return seed._replace(content=change(seed.content, random)), change.__name__


def command(*words: str) -> tuple[int, str]:
    """Return the exit code of `python -m maetab` in this process, and what it says of errors."""
    errors, before = io.StringIO(), sys.argv
    sys.argv = ["maetab", *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            runpy.run_module("maetab", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0), errors.getvalue()
    finally:
        sys.argv = before
    return 0, errors.getvalue()


def run_verb(verb: str, path: Path) -> Outcome:
    """Return what a verb of the command line makes of a file: nothing but one line is clear."""
    code, said = command(verb, str(path))
    if code == 0:
        return Outcome("read")
    last = said.splitlines()[-1] if said else ""
    clear = code == 1 and last.startswith(f"maetab {verb}: ") and len(last) > len(verb) + 12
    clear = clear and len(last) < LONGEST and "Traceback" not in said
    return Outcome("refused", last) if clear else Outcome("UNCLEAR", f"exit {code}: {said[-3000:]}")


def open_model(path: Path) -> Outcome:
    """Return what comes of a model file that is loaded, used and described."""
    described = run_verb("info", path)
    if described.word.isupper():
        return described
    try:
        model = maetab.load(path)
    except ValueError as error:
        if str(path) in str(error) and len(str(error)) < LONGEST:
            return Outcome("refused", str(error))
        raise
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            detects = hasattr(model, "score_samples")
            model.score_samples(table()) if detects else model.transform(table())
    except MemoryError:
        raise
    except Exception as error:  # values of a stranger may mean nothing to a model
        return Outcome("read, of no use", f"{type(error).__name__}: {error}")
    return Outcome("read")


def opened(path: Path, kind: str) -> Outcome:
    """Return what comes of reading one file in this process."""
    return open_model(path) if kind == "model" else run_verb("describe", path)


def limit_memory() -> None:
    """Let this process take so much more memory than it has, where the system can tell."""
    try:
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))


def work(
    pipe: Any, paths: list[tuple[Path, str]], open_file: Callable[[Path, str], Outcome]
) -> None:
    """Read the files that a pipe names, after some that are fine; in a process of its own."""
    import torch

    torch.set_num_threads(1)
    for path, kind in paths:  # what is imported late is imported here
        found = open_file(path, kind)
        assert found.word == "read", (path, found)
    limit_memory()
    events: list[str] = []

    def watch(event: str, args: tuple) -> None:
        if event in FORBIDDEN or (event == "open" and _writes(args)):
            events.append(f"{event} {args}"[:500])

    sys.addaudithook(watch)
    pipe.send(None)
    while (task := pipe.recv()) is not None:
        events.clear()
        try:
            found = open_file(*task)
        except Exception as error:
            found = Outcome("ERROR", f"{type(error).__name__}: {error}")
        pipe.send(Outcome("FORBIDDEN", "; ".join(events)) if events else found)


def _writes(args: tuple) -> bool:
    """Whether an `open` event is one of writing; compiled modules are."""
    path, mode = str(args[0]), str(args[1])
    return any(x in mode for x in "wax+") and ".pyc" not in path and path != "/dev/null"


class Reader:
    """A process that reads files, which is begun again when it ends or takes too long.

    Parameters
    ----------
    fine : files that it reads first
    seconds : that one file may take
    open_file : reads one and returns what comes of it
    """

    def __init__(
        self,
        fine: list[tuple[Path, str]],
        seconds: float = SECONDS,
        open_file: Callable[[Path, str], Outcome] = opened,
    ) -> None:
        self.seconds, self.task = seconds, (fine, open_file)
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, *self.task), daemon=True)
        self.process.start()
        theirs.close()
        self.pipe.recv()

    def read(self, path: Path, kind: str) -> Outcome:
        """Return what comes of one file."""
        self.pipe.send((path, kind))
        try:
            if self.pipe.poll(self.seconds):
                return self.pipe.recv()
            found = Outcome("HANG", f"more than {self.seconds:g} s")
        except EOFError:
            self.process.join()
            found = Outcome("CRASH", f"exit code {self.process.exitcode}")
        self.end()
        self._begin()
        return found

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def tried(numbers: range, kept: Path) -> Iterator[tuple[int, Seed, str, Outcome]]:
    """Give what comes of the files of these numbers; those that fail are left in a folder."""
    given = seeds()
    with tempfile.TemporaryDirectory() as folder:
        fine = []
        for i, seed in enumerate(given):
            path = Path(folder) / f"fine{i}{seed.suffix}"
            path.write_bytes(seed.content)
            fine.append((path, seed.kind))
        reader = Reader(fine)
        try:
            for number in numbers:
                seed, how = changed(given, number)
                path = Path(folder) / f"{number}{seed.suffix}"
                path.write_bytes(seed.content)
                found = reader.read(path, seed.kind)
                if found.word.isupper():
                    kept.mkdir(parents=True, exist_ok=True)
                    (kept / path.name).write_bytes(seed.content)
                path.unlink()
                yield number, seed, how, found
        finally:
            reader.end()


def main() -> int:
    """Read many files, print what came of them, return 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="folder of failures")
    args = parser.parse_args()
    counts: Counter[tuple[str, str, str]] = Counter()
    for number, seed, how, found in tried(range(args.first, args.first + args.files), args.keep):
        counts[seed.kind, how, found.word] += 1
        if found.word.isupper():
            print(f"{number} {seed.kind} {how}: {found.word} {found.text}", flush=True)
    for (kind, how, word), n in sorted(counts.items()):
        print(f"{kind:8} {how:18} {word:16} {n:6}")
    failed = sum(n for (_, _, word), n in counts.items() if word.isupper())
    print(f"{counts.total()} files, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
