"""``clipomaly models``."""


def models() -> None:
    """List the models: the built-in one, and how to use any CLIP of open_clip.

    Example: clipomaly models
    """
    from flows.terminal import print_models

    print_models()
