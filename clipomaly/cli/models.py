"""``clipomaly models``."""


def models() -> None:
    """List the models: the built-in one, and how to use any CLIP of open_clip.

    Example: clipomaly models
    """
    from clipomaly.cli.rendering.terminal import print_models

    print_models()
