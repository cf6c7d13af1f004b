"""Clustered standard errors against statsmodels and against the definition."""

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from qstar_pl.evaluation.statistics.clustered import clustered_error
from qstar_pl.evaluation.statistics.rows import rows_of


def test_many_small_groups_give_the_clustered_error_of_statsmodels() -> None:
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(400), generator.integers(1, 6, 400))
    values = generator.normal(size=len(groups)) + generator.normal(size=400)[groups]
    fitted = OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    assert clustered_error(rows_of(values, groups)).error == pytest.approx(fitted.bse[0], rel=2e-3)


@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_unequal_groups_give_bell_and_mccaffreys_error_and_degrees_of_freedom(alike: float) -> None:
    generator = np.random.default_rng(3)
    sizes = generator.integers(1, 9, 12)
    groups = np.repeat(np.arange(12), sizes)
    values = generator.normal(size=len(groups))
    count = len(groups)
    hat = np.full((count, count), 1 / count)
    law = np.where(groups[:, None] == groups[None], alike, 0.0)
    np.fill_diagonal(law, 1.0)
    forms = []
    for group in range(12):
        chosen = groups == group
        roots, vectors = np.linalg.eigh(np.eye(sizes[group]) - hat[np.ix_(chosen, chosen)])
        adjusted = vectors @ np.diag(roots**-0.5) @ vectors.T
        forms.append((np.eye(count) - hat)[:, chosen] @ adjusted @ np.ones(sizes[group]) / count)
    matrix = np.array(forms) @ law @ np.array(forms).T
    ours = clustered_error(rows_of(values, groups))
    assert ours.error == pytest.approx(np.sqrt(((np.array(forms) @ values) ** 2).sum()))
    freedom = np.trace(matrix) ** 2 / np.trace(matrix @ matrix)
    assert ours.freedom <= freedom * (1 + 1e-9)
    if alike == 1.0:
        assert ours.freedom == pytest.approx(freedom)
