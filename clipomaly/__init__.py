"""Clipomaly: find, name and collect what a fleet's dashcams met and no class list foresaw."""
