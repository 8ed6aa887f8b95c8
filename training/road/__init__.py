"""How the built-in model ``road`` is made: see ``python -m training.road --help``."""
