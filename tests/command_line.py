"""The command line run on small texts, with a model that costs nothing."""

from __future__ import annotations

from maetab import cli
from maetab.data.schema import infer_schema


class MedianOrMode:
    """Fills by median or most frequent level: the command line without a model's cost."""

    def fit(self, frame):
        self.schema_ = infer_schema(frame)
        self.seen_ = list(frame.columns)
        return self

    def transform(self, frame):
        filled = frame.copy()
        for column in self.schema_.columns:
            cells = filled[column.name]
            if column.kind == "category":
                value = column.levels[0]
            else:
                value = cells.median()
                value = round(value) if column.integer else value
            filled[column.name] = cells.fillna(value)
        return filled


def fill(tmp_path, text, *options, name="in.csv", out="out.csv"):
    source, target = tmp_path / name, tmp_path / out
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    code = cli.main(["impute", str(source), "-o", str(target), *options])
    assert code == 0
    return target.read_bytes().decode()


def refused(tmp_path, text, capsys, *options):
    source = tmp_path / "in.csv"
    source.write_text(text)
    assert cli.main(["impute", str(source), "-o", str(tmp_path / "out.csv"), *options]) == 1
    said = capsys.readouterr().err
    error = said.splitlines()[-1]
    assert error.startswith("maetab impute: ") and "Traceback" not in said
    assert not (tmp_path / "out.csv").exists()
    return error
