"""The commands, a file each. Heavy imports happen inside the functions, so that ``--help`` is quick."""
