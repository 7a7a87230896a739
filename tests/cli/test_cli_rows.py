"""The verbs about rows: detect and encode, with real models."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

import maetab
from maetab import cli

QUICK = ["--max-time", "0.5"]


@pytest.fixture(scope="module")
def text():
    rng = np.random.default_rng(0)
    size, noise = rng.normal(size=60), 0.03 * rng.normal(size=(2, 60))
    lines = [
        f"{i:03d},{s:.3f},{2 * s + a:.2f},{s / 2 + b:.3f},{'big' if s > 0 else 'small'}"
        for i, (s, a, b) in enumerate(zip(size, *noise, strict=True))
    ]
    lines[30] = f"030,{size[30]:.3f},,{size[30] / 2:.3f},NA"
    lines[40] = "040,1.500,-3.00,0.750,big"
    return "\n".join(["id,size,twice,half,word", *lines]) + "\n"


@pytest.fixture(scope="module")
def folder(text, tmp_path_factory):
    """A file, and a model of each class that was learned from it by the command line."""
    path = tmp_path_factory.mktemp("rows")
    (path / "in.csv").write_text(text)
    source, out = str(path / "in.csv"), str(path / "scrap.csv")
    for verb in ("impute", "detect", "encode"):
        save = ["--save", str(path / f"{verb}.safetensors"), "--exclude", "id", "--force"]
        assert cli.main([verb, source, "-o", out, *save]) == 0
    return path


@pytest.fixture
def run(folder, tmp_path, capsys):
    """Run a verb on the file; return what it wrote and what it printed."""

    def start(verb, *options, out="out.csv"):
        capsys.readouterr()
        target = tmp_path / out
        command = [verb, str(folder / "in.csv"), "-o", str(target), "--force", *options]
        assert cli.main(command) == 0
        printed = capsys.readouterr()
        read = pd.read_parquet if out.endswith("parquet") else pd.read_csv
        return read(target), printed.out, printed.err

    return start


def model_of(folder, verb):
    return ["--model", str(folder / f"{verb}.safetensors")]


def frame_of(text):
    return pd.read_csv(io.StringIO(text)).drop(columns="id")


def test_detect_scores_every_row_in_the_order_of_the_file(folder, text, run):
    scores, _, messages = run("detect", *model_of(folder, "detect"))
    detector = maetab.load(folder / "detect.safetensors")
    frame = frame_of(text)
    assert scores["row"].tolist() == list(range(1, 61))
    assert scores["score"].to_numpy() == pytest.approx(detector.score_samples(frame), abs=1e-5)
    assert scores["p_value"].to_numpy() == pytest.approx(detector.p_values(frame), abs=1e-5)
    strange = detector.predict(frame) == -1
    assert scores["label"].tolist() == np.where(strange, "anomaly", "normal").tolist()
    assert f"{strange.sum()} of 60 rows are anomalies" in messages


def test_detect_says_which_cell_makes_the_strangest_row_strange(folder, run):
    scores, shown, _ = run(
        "detect", "--exclude", "id", "--top", "2", "--reasons", "1", "--device", "cpu"
    )
    first = scores.loc[scores["score"].idxmin()]
    assert first["row"] == 41 and first["label"] == "anomaly"
    assert first["column_1"] == "twice" and float(first["value_1"]) == -3
    assert float(first["expected_1"]) > 1
    assert scores["column_1"].notna().sum() == 2 and "column_2" not in scores
    assert shown.splitlines()[2].split()[0] == "41"


def test_detect_passes_on_columns_that_the_model_does_not_see(folder, run, tmp_path):
    scores, _, _ = run("detect", *model_of(folder, "detect"))
    assert list(scores)[:3] == ["row", "id", "score"]
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("1,000,")


def test_detect_writes_cells_as_the_file_does(folder, tmp_path, run):
    run("detect", *model_of(folder, "detect"), "--top", "60")
    cells = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    twice = cells[cells["column_1"] == "twice"]
    assert len(twice) and twice["value_1"].str.fullmatch(r"-?\d\.\d\d").all()
    assert twice["expected_1"].str.fullmatch(r"-?\d\.\d\d").all()


def test_contamination_is_the_share_of_anomalies(folder, run):
    for options in (["--exclude", "id"], model_of(folder, "detect")):
        scores, _, _ = run("detect", *options, "--contamination", "0.1")
        assert (scores["label"] == "anomaly").sum() == 6
    few, _, _ = run("detect", *model_of(folder, "detect"))
    assert (few["label"] == "anomaly").sum() == 3  # a twentieth, unless told otherwise


@pytest.mark.slow
def test_trim_reaches_the_detector(folder, tmp_path, run):
    path = str(tmp_path / "m.safetensors")
    run("detect", "--exclude", "id", "--trim", "0", "--save", path)
    assert maetab.load(path).trim == 0
    assert maetab.load(folder / "detect.safetensors").trim == 0.2


def test_detect_takes_the_model_of_any_verb(folder, run):
    for verb in ("impute", "encode"):
        scores, _, _ = run("detect", *model_of(folder, verb))
        assert 41 in scores.loc[scores["label"] == "anomaly", "row"].to_list()


def test_impute_takes_the_model_of_any_verb(folder, text, run):
    for verb in ("impute", "encode", "detect"):
        filled, _, _ = run("impute", *model_of(folder, verb))
        assert filled.notna().all(axis=None) and len(filled) == 60


@pytest.mark.slow
def test_detect_has_the_same_defaults_behind_a_model_of_another_verb(folder, run):
    for options in (["--exclude", "id", *QUICK], model_of(folder, "impute")):
        scores, _, _ = run("detect", *options)
        assert (scores["label"] == "anomaly").sum() == 3  # one row in twenty


def test_encode_writes_the_features_of_every_row(folder, text, run):
    features, _, messages = run("encode", *model_of(folder, "encode"))
    encoder = maetab.load(folder / "encode.safetensors")
    expected = encoder.transform(frame_of(text))
    assert list(features) == ["id", *encoder.get_feature_names_out()]
    assert features.drop(columns="id").to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-5)
    n = sum(name.startswith("component") for name in expected)
    raw = expected.shape[1] - n
    assert f"{n} components and {raw} columns of the encoded input of 60 rows" in messages


def test_encode_without_the_encoded_input_counts_components_alone(folder, run):
    features, _, messages = run("encode", *model_of(folder, "encode"), "--no-add-raw")
    n = len(features.columns.drop("id"))
    assert list(features) == ["id", *(f"component{i}" for i in range(n))]
    assert f"{n} components of 60 rows" in messages


@pytest.mark.slow
def test_options_of_encode_reach_the_encoder(folder, run):
    for options in (["--exclude", "id"], model_of(folder, "encode")):
        options = [*options, "--components", "2", "--no-add-raw"]
        assert run("encode", *options)[0].shape == (60, 3)
        assert run("encode", *options, "--readout", "mean")[0].shape == (60, 3)
    encoder = maetab.load(folder / "encode.safetensors").set_params(
        n_components=None, readout="cls", add_raw=False
    )
    tokens = maetab.MAEEncoder.from_fitted(encoder).get_feature_names_out()
    options = ["--components", "all", "--readout", "cls", "--no-add-raw"]
    assert list(run("encode", *model_of(folder, "encode"), *options)[0])[1:] == list(tokens)


def test_encode_takes_the_model_of_any_verb(folder, run):
    for verb in ("impute", "detect"):
        assert len(run("encode", *model_of(folder, verb), "--components", "2")[0]) == 60


def test_results_can_be_parquet(folder, run):
    pytest.importorskip("pyarrow")
    features, _, _ = run("encode", *model_of(folder, "encode"), out="out.parquet")
    assert set(features.dtypes[1:]) == {np.dtype("float32")}
    scores, _, _ = run("detect", *model_of(folder, "detect"), out="out.parquet")
    assert len(scores) == 60 and scores["score"].dtype == "float64"


def test_parquet_keeps_its_index_beside_the_results(folder, text, tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.read_csv(io.StringIO(text), dtype={"id": str}).set_index("id")
    frame["count"] = pd.array([7] * 60, "Int64")
    frame.to_parquet(tmp_path / "in.parquet")
    command = ["detect", str(tmp_path / "in.parquet"), "-o", str(tmp_path / "out.parquet")]
    command += ["--top", "60", "--device", "cpu"]
    assert cli.main([*command, *model_of(folder, "detect")]) == 0
    scores = pd.read_parquet(tmp_path / "out.parquet")
    assert scores["id"].tolist() == frame.index.tolist()
    assert scores["count"].tolist() == [7] * 60
    assert scores.loc[40, "value_1"] == "-3"


def test_scores_on_standard_output_come_without_the_listing(folder, capfdbinary):
    command = ["detect", str(folder / "in.csv"), "-o", "-", *model_of(folder, "detect")]
    assert cli.main(command) == 0
    out, err = capfdbinary.readouterr()
    assert len(pd.read_csv(io.BytesIO(out))) == 60
    assert b"rows are anomalies" in err


def test_a_decimal_comma_is_kept(folder, text, tmp_path):
    comma = text.replace(",", ";").replace(".", ",")
    (tmp_path / "in.csv").write_text(comma)
    marks = ["--delimiter", ";", "--decimal", ","]
    for verb in ("detect", "encode"):
        command = [verb, str(tmp_path / "in.csv"), "-o", str(tmp_path / f"{verb}.csv")]
        assert cli.main([*command, *marks, *model_of(folder, verb)]) == 0
        results = pd.read_csv(tmp_path / f"{verb}.csv", sep=";", decimal=",")
        assert results["score" if verb == "detect" else "component0"].dtype == "float64"


def test_a_column_with_the_name_of_a_result_is_refused(folder, text, tmp_path, capsys):
    (tmp_path / "in.csv").write_text(text.replace("id,", "score,"))
    command = ["detect", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv")]
    assert cli.main([*command, *model_of(folder, "detect")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "'score' has the name of a result" in error
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["detect", "--contamination", "0.7"],
        ["detect", "--trim", "-1"],
        ["detect", "--top", "0"],
        ["encode", "--components", "0"],
        ["encode", "--readout", "max"],
        ["encode", "--model", "m.safetensors", "--exclude", "id"],
    ],
)
def test_options_that_cannot_be_are_refused(folder, tmp_path, options, capsys):
    verb, *rest = options
    with pytest.raises(SystemExit) as end:
        cli.main([verb, str(folder / "in.csv"), "-o", str(tmp_path / "out.csv"), *rest])
    assert end.value.code == 2 and "Traceback" not in capsys.readouterr().err


def test_an_existing_file_is_overwritten_only_by_force(folder, tmp_path, capsys):
    (tmp_path / "out.csv").write_text("mine")
    for verb in ("detect", "encode"):
        with pytest.raises(SystemExit) as end:
            cli.main([verb, str(folder / "in.csv"), "-o", str(tmp_path / "out.csv")])
        assert end.value.code == 2 and "--force" in capsys.readouterr().err


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_delimiter_is_found_out_and_a_wrong_one_refused(tmp_path, capsys, mark):
    path = tmp_path / "in.csv"
    path.write_text("\n".join(mark.join(cells) for cells in ("abc", "123", "4x6")))
    assert cli.main(["describe", str(path), "--delimiter", ","]) == 1
    assert f"{mark!r} seems to stand between cells" in capsys.readouterr().err
    for options in ([], ["--delimiter", mark]):
        assert cli.main(["describe", str(path), "--categorical", "b", *options]) == 0
        printed = capsys.readouterr()
        assert printed.out.startswith("2 rows, 3 columns")
        assert printed.err == ("" if options else f"found: cells are separated by {mark!r}\n")


@pytest.mark.parametrize(
    ("option", "value"), [("--seed", "-1"), ("--max-time", "0"), ("--max-time", "-3")]
)
def test_numbers_out_of_range_name_the_option(tmp_path, capsys, option, value):
    with pytest.raises(SystemExit) as stop:
        cli.main(["detect", "in.csv", "-o", str(tmp_path / "out.csv"), option, value])
    assert stop.value.code == 2
    assert f"argument {option}: must be" in capsys.readouterr().err
