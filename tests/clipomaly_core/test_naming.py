"""Names of regions, from embeddings whose cosines are known."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from clipomaly_core.errors import UsageError
from clipomaly_core.naming import name_regions
from clipomaly_core.options import Options
from clipomaly_core.prompts import Prompts

ROAD, CAR, BOAR, SOFA = torch.eye(4)
OPTIONS = Options(margin=0.0)


def prompts(*rows):
    return Prompts(torch.stack(rows), torch.arange(len(rows))[:, None])


def name(region, options):
    [found] = name_regions(
        region[None], region[None], prompts(ROAD, CAR), prompts(BOAR, SOFA), ("boar", "sofa"), options
    )
    return found


def between(known, candidate, lead):
    """A region whose cosine to the candidate is greater than that to the known class by ``lead``."""
    angle = torch.arcsin(torch.tensor(lead / 2**0.5))
    equal = normalize(known + candidate, dim=0)
    return equal * angle.cos() + normalize(candidate - known, dim=0) * angle.sin()


def test_v_takes_back_what_it_fits_better():
    assert name(between(CAR, BOAR, -0.05), OPTIONS).reclaimed
    assert not name(between(CAR, BOAR, 0.05), OPTIONS).reclaimed


def test_a_reclaim_margin_asks_for_a_lead():
    strict = replace(OPTIONS, reclaim_margin=0.2)
    assert name(between(CAR, BOAR, 0.19), strict).reclaimed
    kept = name(between(CAR, BOAR, 0.21), strict)
    assert not kept.reclaimed and kept.name == "boar"


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_reclaim_margin_out_of_range_is_one_line(value):
    with pytest.raises(UsageError, match="reclaim_margin"):
        Options(reclaim_margin=value)
