"""Names of regions, from embeddings whose cosines are known."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from clipomaly_core.errors import UsageError
from clipomaly_core.naming import name_regions
from clipomaly_core.options import Options
from clipomaly_core.text import arrange

ROAD, CAR, BOAR, SOFA = torch.eye(4)
OPTIONS = Options(margin=0.0)


def prompts(*rows):
    return arrange(torch.stack(rows), [[row] for row in range(len(rows))])


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


def test_a_region_that_a_known_class_fits_better_is_reassigned():
    assert name(between(CAR, BOAR, -0.05), OPTIONS).reassigned_known
    assert not name(between(CAR, BOAR, 0.05), OPTIONS).reassigned_known


def test_the_margin_of_reassignment_asks_for_a_lead():
    strict = replace(OPTIONS, reassign_known_margin=0.2)
    assert name(between(CAR, BOAR, 0.19), strict).reassigned_known
    kept = name(between(CAR, BOAR, 0.21), strict)
    assert not kept.reassigned_known and kept.name == "boar"


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_margin_of_reassignment_out_of_range_is_one_line(value):
    with pytest.raises(UsageError, match="reassign_known_margin"):
        Options(reassign_known_margin=value)


def test_names_score_the_same_on_any_number_of_threads():
    generator = torch.Generator().manual_seed(0)
    words = normalize(torch.randn(2033, 128, generator=generator), dim=-1)
    candidates, known = prompts(*words[68:]), prompts(*words[:68])
    names = tuple(str(number) for number in range(len(words) - 68))
    before = torch.get_num_threads()
    try:
        for count in (1, 2, 3, 4, 5, 8, 13):
            regions = normalize(torch.randn(count, 128, generator=generator), dim=-1)
            crops = normalize(torch.randn(count, 128, generator=generator), dim=-1)
            results = []
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                results.append(name_regions(regions, crops, known, candidates, names, OPTIONS))
            assert results[0] == results[1] == results[2]
    finally:
        torch.set_num_threads(before)
