"""Text from outside, made safe to show, log and keep: no secrets, no control of the terminal."""

import re
import unicodedata

_HIDDEN = "***"
# user:password@ with whatever a password may hold, but not the port of http://host:8000/…
_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@?#]*:)(?!\d+(?:[/?#\s]|$))[^\s]*@", re.IGNORECASE)
# …?sig=, &X-Amz-Signature=, &access_token= and their like, in queries and fragments
_PARAMETER = re.compile(
    r"([?&#;][^\s=&#;]*(?:pass|pwd|secret|token|sig|key|credential|auth)[^\s=&#;]*=)[^\s&#'\"]+", re.IGNORECASE
)
_OTHER = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"((?:^|[\s'\"])(?:password|passwd|pgpassword|sslpassword)\s*=\s*)[^\s&'\"]+",  # password=… of libpq
        r"([?&](?:pw|passwd)=)[^\s&#'\"]+",
        r"(https?://)[^\s:/@?#]{20,}(?=@)",  # a token without a name: https://ghp_…@github.com
        r"([a-z][a-z0-9+.-]*://[^\s:/@?#%]*%3a)[^\s/@?#]+(?=@)",  # name%3Apassword@
        r"(%3a%2f%2f(?:(?!%3a|%40|%2f)[^\s&#])*%3a)(?:(?!%40)[^\s&#])+(?=%40)",  # a whole URL as a parameter of another
        r"(https://(?:hooks\.slack\.com/services|(?:www\.)?discord(?:app)?\.com/api/webhooks)/)[^\s'\"]+",
    )
)
_CONTROLS = ("Cc", "Cf", "Zl", "Zp")  # Unicode's categories: control and format characters, line and paragraph ends
_JOINERS = "\u200c\u200d"  # which words of some languages need


def masked(text: str) -> str:
    """The text with every password and key that stands in a URL replaced by ``***``.

    Example: ``masked("postgresql://ann:s3cret@db/q")`` is ``postgresql://ann:***@db/q``.
    """
    text = _PARAMETER.sub(rf"\1{_HIDDEN}", _PASSWORD.sub(rf"\1{_HIDDEN}@", text))
    for pattern in _OTHER:
        text = pattern.sub(rf"\1{_HIDDEN}", text)
    return text


def has_secret(url: str) -> bool:
    """Whether a URL holds a password or key."""
    return masked(url) != url


def has_password(url: str) -> bool:
    """Whether a URL begins with a user and a password, whatever its path holds."""
    return _PASSWORD.match(url) is not None


def printable(text: str) -> str:
    """The text on one line, with characters that a terminal would obey (escapes, new lines, changes of direction)
    written out, as ``\\x1b``.

    Names of files and labels of other tools may hold any character.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written_out(letter) for letter in text)


def _written_out(letter: str) -> str:
    if unicodedata.category(letter) not in _CONTROLS or letter in _JOINERS:
        # What stands for bytes that are no text cannot be printed either.
        return letter if not "\ud800" <= letter <= "\udfff" else ascii(letter)[1:-1]
    return ascii(letter)[1:-1]
