"""Search by text: the model that scanned embeds the words, then every instance is ranked."""

from dataclasses import dataclass

from tasks.model import embed_text
from tasks.model_settings import ModelSettings
from tasks.tables.search import Hit, SearchFilters, rank, select
from tasks.tables.tables import Tables


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best results, best first, the model that ranked them, how many instances were searched, notes, and how many
    of the instances a search index covers."""

    model: str
    hits: tuple[Hit, ...]
    instances: int
    notes: tuple[str, ...]
    indexed: int = 0


def run_search(
    tables: Tables, text: str, filters: SearchFilters, count: int, model: str | None, weights: str | None, device: str
) -> SearchResult:
    """Rank the instances of the tables that meet the filters by a text.

    Args:
        tables: what is searched.
        text: what to search for.
        filters: which instances are meant.
        count: how many hits, one an object.
        model: as for the scan; what its record names when ``None``.
        weights: as for the scan.
        device: where the text is embedded.

    Raises:
        UserError: no tables or embeddings there, or another model than the one that scanned.
    """
    searchable = select(tables, filters)
    scan = searchable.scan
    settings = ModelSettings(model or scan.model, weights, None, device)
    embedded = embed_text(settings, scan.weights_sha256, str(scan.options.get("templates", "short")), text)
    warning = searchable.found.warning()
    ranked = rank(tables, searchable, embedded, count)
    notes = [*([warning] if warning else []), *searchable.notes, *ranked.notes]
    indexed = 0 if ranked.notes else searchable.indexed
    return SearchResult(settings.model, ranked.hits, searchable.instances, tuple(notes), indexed)
