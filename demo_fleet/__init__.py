"""Procedural dashcam footage with known truth: road scenes, unusual objects, and archives of clips."""

from demo_fleet.archive import PlantedTrack, write_archive
from demo_fleet.catalogue import HELD_OUT_KINDS, KINDS
from demo_fleet.classes import CLASSES
from demo_fleet.kinds import Kind
from demo_fleet.scene import Scene, sample_scene
from demo_fleet.scene_records import Planted, Rendered
from demo_fleet.sprites import sprite_kinds

__all__ = [
    "CLASSES",
    "HELD_OUT_KINDS",
    "KINDS",
    "Kind",
    "Planted",
    "PlantedTrack",
    "Rendered",
    "Scene",
    "sample_scene",
    "sprite_kinds",
    "write_archive",
]
