"""How the embedded model ``nano`` is trained: see ``python -m training.nano --help``."""
