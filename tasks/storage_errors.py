"""The errors of storage libraries by their meaning: missing, denied, busy, out of reach, full."""

import errno
import sys
from enum import StrEnum


class Trouble(StrEnum):
    """What is wrong with a file or its storage."""

    MISSING = "missing"  # no such file
    DENIED = "denied"  # no permission, or no valid credentials
    BUSY = "busy"  # the store asks to come again
    OUT_OF_REACH = "out of reach"  # nobody answers
    EXISTS = "exists"  # where there should have been nothing
    FULL = "full"  # a disk, a quota or the size that a file may have is used up
    OTHER = "other"


_OF_STATUS = {401: Trouble.DENIED, 403: Trouble.DENIED, 404: Trouble.MISSING, 410: Trouble.MISSING} | {
    status: Trouble.BUSY for status in (408, 425, 429, 500, 502, 503, 504)
} | {409: Trouble.EXISTS, 412: Trouble.EXISTS, 507: Trouble.FULL}  # fmt: skip
_OF_ERRNO = {
    errno.ENOENT: Trouble.MISSING,
    errno.EEXIST: Trouble.EXISTS,
    errno.EACCES: Trouble.DENIED,
    errno.EPERM: Trouble.DENIED,
    errno.ENOSPC: Trouble.FULL,
    errno.EDQUOT: Trouble.FULL,
    errno.EFBIG: Trouble.FULL,
    errno.EREMOTEIO: Trouble.BUSY,  # s3fs makes this of 500 and 503, once trying again has not helped
    errno.EBUSY: Trouble.BUSY,
    errno.EIO: Trouble.OTHER,
    errno.ESTALE: Trouble.OUT_OF_REACH,
    errno.ENETUNREACH: Trouble.OUT_OF_REACH,
    errno.EHOSTUNREACH: Trouble.OUT_OF_REACH,
    errno.EHOSTDOWN: Trouble.OUT_OF_REACH,
    errno.ETIMEDOUT: Trouble.OUT_OF_REACH,
}
# By module and class, for most of these libraries are extras, or slow to import. The nearest base class counts; None
# is "by its HTTP status or number".
_OF_CLASS: dict[str, Trouble | None] = {
    "builtins.FileNotFoundError": Trouble.MISSING,
    "builtins.FileExistsError": Trouble.EXISTS,
    "builtins.PermissionError": Trouble.DENIED,
    "builtins.ConnectionError": Trouble.OUT_OF_REACH,
    "builtins.TimeoutError": Trouble.OUT_OF_REACH,
    "builtins.OSError": None,
    # S3
    "botocore.exceptions.NoCredentialsError": Trouble.DENIED,
    "botocore.exceptions.PartialCredentialsError": Trouble.DENIED,
    "botocore.exceptions.CredentialRetrievalError": Trouble.DENIED,
    "botocore.exceptions.ProfileNotFound": Trouble.DENIED,
    "botocore.exceptions.TokenRetrievalError": Trouble.DENIED,
    "botocore.exceptions.UnauthorizedSSOTokenError": Trouble.DENIED,
    "botocore.exceptions.SSOTokenLoadError": Trouble.DENIED,
    "botocore.exceptions.BotoCoreError": Trouble.OUT_OF_REACH,
    "botocore.exceptions.ClientError": None,
    # Files that lie in packed ones
    "zipfile.BadZipFile": Trouble.OTHER,
    "zlib.error": Trouble.OTHER,
    # HTTP, and what gcsfs speaks
    "aiohttp.client_exceptions.ClientResponseError": None,
    "aiohttp.client_exceptions.ClientError": Trouble.OUT_OF_REACH,
    # Azure
    "azure.core.exceptions.ClientAuthenticationError": Trouble.DENIED,
    "azure.core.exceptions.ResourceNotFoundError": Trouble.MISSING,
    "azure.core.exceptions.HttpResponseError": None,
    "azure.core.exceptions.AzureError": Trouble.OUT_OF_REACH,
    # Google Cloud Storage
    "gcsfs.retry.HttpError": None,
    "gcsfs.retry.ChecksumError": Trouble.BUSY,
    "google.auth.exceptions.TransportError": Trouble.OUT_OF_REACH,
    "google.auth.exceptions.GoogleAuthError": Trouble.DENIED,
    "requests.exceptions.HTTPError": None,
    "requests.exceptions.RequestException": Trouble.OUT_OF_REACH,
    # Hugging Face, by its version
    "httpx.TransportError": Trouble.OUT_OF_REACH,
    "httpx.HTTPError": None,
    "httpx2.TransportError": Trouble.OUT_OF_REACH,
    "httpx2.HTTPError": None,
    # SFTP
    "paramiko.ssh_exception.AuthenticationException": Trouble.DENIED,
    "paramiko.ssh_exception.BadHostKeyException": Trouble.DENIED,
    "paramiko.ssh_exception.SSHException": Trouble.OUT_OF_REACH,
}
_OUT_OF_REACH = (Trouble.BUSY, Trouble.OUT_OF_REACH)


def storage_errors(*besides: type[Exception]) -> tuple[type[Exception], ...]:
    """What a storage backend raises when storage, and not our code, is at fault, and ``besides``; for ``except``.

    Of the libraries that are loaded: another cannot have raised anything.
    """
    found: list[type[Exception]] = [OSError, *besides]
    for name in _OF_CLASS:
        module, _, kind = name.rpartition(".")
        if module != "builtins" and module in sys.modules:
            found.append(getattr(sys.modules[module], kind))
    return tuple(found)


def trouble(error: BaseException) -> Trouble:
    """What an error of a storage library means."""
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, storage_errors()):
        return trouble(error.__cause__)  # fsspec raises it for every error of a web server
    for kind in type(error).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in _OF_CLASS:
            known = _OF_CLASS[name]
            return _by_number(error) if known is None else known
    return Trouble.OTHER


def is_out_of_reach(error: BaseException) -> bool:
    """Whether the storage is at fault and not the file: the same may go well the next time."""
    return trouble(error) in _OUT_OF_REACH


def is_missing(error: BaseException) -> bool:
    """Whether there is no such file."""
    return trouble(error) is Trouble.MISSING


def is_there_already(error: BaseException) -> bool:
    """Whether there is a file where none should have been."""
    return trouble(error) is Trouble.EXISTS


def is_denied(error: BaseException) -> bool:
    """Whether there is no permission to read a file, or there are no valid credentials."""
    return trouble(error) is Trouble.DENIED


def is_full(error: BaseException) -> bool:
    """Whether a disk, a quota or the size that a file may have is used up."""
    return trouble(error) is Trouble.FULL


def _by_number(error: BaseException) -> Trouble:
    if isinstance(error, OSError) and error.errno in _OF_ERRNO:
        return _OF_ERRNO[error.errno]
    return _OF_STATUS.get(_status(error), Trouble.OTHER)


def _status(error: BaseException) -> int:
    """The HTTP status of an error, wherever its library keeps it; 0 if it has no status."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status_code", None) or getattr(error, "status", None) or getattr(error, "code", None)
        found = found or getattr(response, "status_code", None)
    try:
        return int(found or 0)
    except (TypeError, ValueError):
        return 0
