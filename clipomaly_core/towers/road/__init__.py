"""The built-in model ``road``: real image features and a real sentence encoder beside ``nano``."""
