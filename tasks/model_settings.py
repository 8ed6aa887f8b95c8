"""Which model, as plain values that go to other processes: naming a model loads none."""

from dataclasses import dataclass

from tasks.method_options import Value


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Everything needed to load a model again in another process.

    ``method`` holds the options that differ from the model's defaults, sorted by name. ``reference`` is the path or URL
    of what the model is calibrated on.
    """

    model: str = "nano"
    weights: str | None = None
    vocabulary: str | None = None
    device: str = "auto"
    method: tuple[tuple[str, Value], ...] = ()
    reference: str | None = None
