"""Before a test imports open_clip, so that PyTorch's compiler is not loaded with it, which takes seconds."""

import clipomaly_core.light_imports  # noqa: F401
