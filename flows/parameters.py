"""The parameters of a scan: of the flow and of the command.

Prefect's server shows those of a flow run to everybody who can reach it, so secrets are kept out of them.
"""

import os
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from flows.choices import Decoder, LogFormat, LogLevel, Partial
from flows.choices import Runner as Runner
from schemas.safe_text import has_secret
from tasks.errors import UsageError
from tasks.model_settings import DEFAULT_MODEL, ModelSettings, present_options, preset

NOTIFY = "CLIPOMALY_NOTIFY"
"""The variable of the environment that holds the addresses of messages."""


class ScanParameters(BaseModel):
    """Parameters of the nightly scan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archive: str = Field(description="Where the footage is: a folder, file or any fsspec URL.")
    prefixes: tuple[str, ...] = Field(
        (), description="Folders below the archive, such as dates or drives: only these are scanned; all if empty."
    )
    inventory: str | None = Field(
        None,
        description="What lists the archive: CSV or Parquet (uri, size, etag, captured), or S3 Inventory's manifest.",
    )
    tables: str = Field(description="Where the Parquet tables go: a folder or any fsspec URL.")
    model: str = Field(
        DEFAULT_MODEL, description="road or nano (built in), or an open_clip name such as ViT-B-16-quickgelu/openai."
    )
    weights: str | None = Field(None, description="Weights file or URL: safetensors or an open_clip checkpoint.")
    vocabulary: str | None = Field(None, description="Vocabulary file or URL; the built-in one if empty.")
    fps: float = Field(1.0, gt=0, le=240, description="Frames to scan a second of video.")
    keyframes: bool = Field(False, description="Take key frames of video only: several times as fast; needs PyAV.")
    decoder: Decoder = Field(
        Decoder.CPU, description="What decodes videos: cpu, or cuda for the accelerator's decoder by torchcodec."
    )
    shard_minutes: float = Field(5.0, gt=0, description="Minutes of footage in one shard.")
    runner: Runner = Field(Runner.INLINE, description="Who runs the shards.")
    workers: int | None = Field(None, gt=0, description="Threads or processes at a time.")
    address: str | None = Field(
        None,
        description="A running Dask scheduler (tcp://…) or Ray cluster (ray://…); otherwise one on this machine.",
    )
    patience_minutes: float = Field(
        10.0,
        gt=0,
        description="How long to wait for a Dask scheduler or its workers, a Ray cluster or a Prefect server.",
    )
    device: str = Field("auto", description="auto, cpu, cuda, …")
    report: str | None = Field(None, description="Folder or URL for the nightly report; none is written if empty.")
    review_url: str | None = Field(None, description="Where the review page is served: the report links there.")
    queue: str | None = Field(
        None, description="Review queue that is mined into at the end: a file or postgresql://user@host/database."
    )
    queue_items: int = Field(200, gt=0, le=100_000, description="Items to hand into the queue.")
    publish: bool = Field(False, description="Publish the tables as Delta Lake at the end.")
    preset: str | None = Field(
        None, description="Named options of the method: paper, naclip or fleet; single options win over it."
    )
    strict: bool = Field(False, description="Treat a source that was not read whole as a failure of the night.")
    partial: Partial = Field(
        Partial.FAILED, description="Type of the final state Partial, in which a run ends that lost something."
    )
    notify: str | None = Field(
        None,
        description="Apprise URLs, separated by spaces, that get one message a night. Under Prefect set "
        "CLIPOMALY_NOTIFY where the flow runs instead.",
    )
    metrics: str | None = Field(None, description="File or URL for the numbers of the scan as OpenMetrics text.")
    log_level: LogLevel | None = Field(None, description="Log to stderr from this level up: debug, info, …")
    log_format: LogFormat = Field(LogFormat.TEXT, description="Log lines as text or JSON.")
    reference: str | None = Field(
        None, description="File or URL of what is ordinary in the footage; the one of the tables if empty."
    )
    no_reference: bool = Field(
        False, description="Scan with the model's own thresholds: neither look for a reference nor make one."
    )
    method: dict[str, str | float | int | bool | None] = Field(
        default_factory=dict, description="Options of the method that differ from the model's defaults."
    )

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                preset(name)
            except UsageError as error:
                raise ValueError(str(error)) from error
        return name

    @field_validator("method", mode="before")
    @classmethod
    def _present_names(cls, method: object) -> object:
        """Accept option names of earlier versions, and lists of numbers."""
        return present_options(method) if isinstance(method, dict) else method

    def model_settings(self) -> ModelSettings:
        """The part that a worker needs to load the model."""
        options = preset(self.preset) if self.preset else {}
        method = tuple(sorted((options | self.method).items()))
        return ModelSettings(self.model, self.weights, self.vocabulary, self.device, method, self.reference)


def make_parameters(**values: object) -> ScanParameters:
    """Parameters from values by name; paths may be ``os.PathLike``. Raises UsageError for a wrong name or value."""
    unknown = [name for name in values if name not in ScanParameters.model_fields]
    if unknown:
        near = get_close_matches(unknown[0], ScanParameters.model_fields, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(ScanParameters.model_fields)}."
        raise UsageError(f"A scan has no option {unknown[0]!r}: {hint}")
    plain = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in values.items()}
    try:
        return ScanParameters.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def keep_private(parameters: ScanParameters) -> ScanParameters:
    """The parameters without the addresses for messages, which are put into the environment of this process.

    Raises:
        UsageError: any other secret among the parameters.
    """
    if parameters.notify:
        os.environ[NOTIFY] = parameters.notify
        parameters = parameters.model_copy(update={"notify": None})
    refuse_secrets(parameters)
    return parameters


def refuse_secrets(parameters: ScanParameters) -> None:
    """Raises UsageError where a parameter of a flow run holds a secret."""
    if parameters.notify:
        raise UsageError(f"notify holds secrets, which Prefect's API would show: set {NOTIFY} where the flow runs.")
    for name, value in parameters:
        if isinstance(value, str) and has_secret(value):
            raise UsageError(
                f"{name} holds a password, which Prefect's API would show. Give it where the flow runs: by "
                "~/.pgpass or PGPASSWORD for PostgreSQL, the environment or fsspec's configuration for storage."
            )
