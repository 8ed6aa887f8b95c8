"""Vocabulary files: show, extend, and promote what people decided."""
