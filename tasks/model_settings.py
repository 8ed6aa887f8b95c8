"""Which model, as plain values that go to other processes: naming a model loads none."""

from dataclasses import dataclass

from tasks.method_options import Value

DEFAULT_MODEL = "road"
"""What scans and looks at pictures where no model is named."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Everything needed to load a model again in another process.

    ``method`` holds the options that differ from the model's defaults, sorted by name. ``reference`` is the path or URL
    of what the model is calibrated on.
    """

    model: str = DEFAULT_MODEL
    weights: str | None = None
    vocabulary: str | None = None
    device: str = "auto"
    method: tuple[tuple[str, Value], ...] = ()
    reference: str | None = None
