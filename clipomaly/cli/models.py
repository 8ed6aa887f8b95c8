"""``clipomaly models``."""


def models() -> None:
    """List the models: the built-in one, and how to use any CLIP of open_clip.

    Example: clipomaly models
    """
    from clipomaly.cli.rendering.models import print_models
    from tasks.model import describe_model, pretrained_models
    from tasks.model_settings import ModelSettings

    print_models(describe_model(ModelSettings()), pretrained_models())
