"""What ``clipomaly search`` says about how it searched."""

import pytest

from clipomaly.cli.search import print_hits
from tasks.tables.text_search import SearchResult


@pytest.mark.parametrize(
    ("indexed", "told"),
    [
        (0, ""),
        (8_000, "searched 8,000 instances by the search index, and one by one 2,000 others\n"),
        (10_000, "searched 10,000 instances by the search index\n"),
    ],
)
def test_says_when_an_index_was_used(capsys: pytest.CaptureFixture[str], indexed: int, told: str) -> None:
    print_hits(SearchResult("nano", (), 10_000, (), indexed), as_json=True)
    assert capsys.readouterr() == ("", told)
