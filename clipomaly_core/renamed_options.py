"""Options and values of earlier versions, under their present names."""

from collections.abc import Mapping

_NAMES = {"reclaim": "reassign_known", "reclaim_margin": "reassign_known_margin", "second_scale": "scales"}
_SCORES = {"unknown-mass": "candidate_probability"}


def rename_options(options: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Give options their present names.

    Args:
        options: values by name, with present or earlier names.

    Returns:
        The same options with present names, and for each earlier name one line that says so. Where both the earlier
        and the present name are given, the present one holds.

    Example:
        >>> from clipomaly_core.renamed_options import rename_options
        >>> rename_options({"second_scale": 1.5})[0]
        {'scales': (1.0, 1.5)}
    """
    renamed: dict[str, object] = {}
    notices = []
    for name, value in options.items():
        present = _NAMES.get(name, name)
        if name == "second_scale":
            value = _scales(value)
        if name == "score" and isinstance(value, str) and value in _SCORES:
            notices.append(f"score={value} is now score={_SCORES[value]}.")
            value = _SCORES[value]
        if present != name:
            shown = ",".join(f"{scale:g}" for scale in value) if isinstance(value, tuple) else value
            notices.append(f"The option {name} is now {present}: use {present}={shown}.")
            if present in options:
                continue
        renamed[present] = value
    return renamed, notices


def is_earlier_name(name: str) -> bool:
    """Whether an option had this name in an earlier version."""
    return name in _NAMES


def _scales(second: object) -> object:
    """The scales of one earlier ``second_scale``; what is not a number is kept, for the message about it."""
    try:
        number = float(str(second))
    except ValueError:
        return second
    return (1.0,) if number == 1 else (1.0, number)
