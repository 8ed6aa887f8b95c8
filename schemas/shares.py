"""Shares in words for people."""


def in_percent(share: float) -> str:
    """A share in [0, 1] in per cent: never 0 or 100 where it is neither."""
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"
