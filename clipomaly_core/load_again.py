"""Load a model that was pickled."""

from typing import TYPE_CHECKING

from clipomaly_core.errors import UserError
from clipomaly_core.options import Options
from clipomaly_core.reference.record import Reference
from clipomaly_core.tagger import Tagger
from clipomaly_core.vocabulary import Vocabulary

if TYPE_CHECKING:
    from clipomaly_core.clipomaly import Clipomaly


def load_again(
    model: str,
    weights: str | None,
    sha256: str,
    vocabulary: Vocabulary,
    device: str,
    options: Options,
    tagger: Tagger | None,
    reference: Reference | None,
) -> "Clipomaly":
    """A pickled model, loaded from where it was loaded before. Raises UserError when other weights are there now."""
    from clipomaly_core.clipomaly import Clipomaly  # which imports this module

    loaded = Clipomaly.load(
        model,
        weights=weights,
        vocabulary=vocabulary,
        device=device,
        options=options,
        tagger=tagger,
        reference=reference,
    )
    if loaded.weights_sha256 != sha256:
        raise UserError(
            f"The weights of {model} are {loaded.weights_sha256[:8]}, those of the pickled model were {sha256[:8]}: "
            "restore its weights at their old place."
        )
    return loaded
