"""How the embedded model ``nano`` is trained: see ``train``."""
