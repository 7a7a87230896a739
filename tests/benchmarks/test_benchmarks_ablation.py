"""The ablation: one change at a time, made once, told beside the default."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks import ablation, records
from benchmarks.impute import features_of

CHANGES = ["default", "without network", "Gaussian alone"]


@pytest.fixture
def output(tmp_path):
    path = tmp_path / "ablation.jsonl"
    asked = ["--data-sets", "sklearn-iris", "--rows", "70", "--output", str(path), "--changes"]
    ablation.main([*asked, *CHANGES])
    ablation.main([*asked, *CHANGES])
    return path


def test_changes_are_made_once_and_told_as_ratios_to_the_default(output):
    runs = pd.DataFrame(records.read(output)).set_index("change")
    assert runs.index.tolist() == CHANGES and set(runs["rows"]) == {70}
    told = ablation.report(output)
    for change in CHANGES:
        [line] = [line for line in told.splitlines() if f", {change} |" in line]
        ratio = float(line.split("|")[3])
        assert ratio == pytest.approx(
            runs.loc[change, "rmse"] / runs.loc["default", "rmse"], abs=6e-4
        )


@pytest.mark.slow
def test_each_change_leaves_out_what_it_says():
    frame = pd.DataFrame(features_of("sklearn-iris", 60))
    holes = frame.mask(frame.notna() & (frame.rank() % 5 == 0))
    alone, without, network = (
        ablation.fitted(change, holes).model_
        for change in ("Gaussian alone", "without network", "network alone, not blended")
    )
    assert not alone.guess.stack_weights.any() and without.guess.stack_weights.any()
    assert not alone.uses_networks and not without.uses_networks
    assert (network.network_weight == 1).all()
