"""A stretch of road with everything on it, driven along and looked at through a dashcam."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from demo_fleet.background import BackgroundVideo
from demo_fleet.camera import Camera
from demo_fleet.canvas import Sprite, with_smaller
from demo_fleet.catalogue import KINDS, kinds_named
from demo_fleet.ground import make_ground, make_layout
from demo_fleet.kinds import Kind, draw_kind
from demo_fleet.picture import PLANTED, VOID, Picture
from demo_fleet.road_users import VIEW, make_traffic, some_sprite
from demo_fleet.scene_records import Planted, Rendered, Strip, Thing
from demo_fleet.surfaces import (
    BUILDING,
    FENCE,
    VEGETATION,
    WALL,
    draw_wall,
    facade,
    make_sky,
    side_strip,
)
from demo_fleet.traffic import class_of
from demo_fleet.weather import develop, make_lens, make_weather

CHUNK = 10.0  # metres of road furnished at a time
NEAREST = 2.2  # metres before the lens at which things leave the picture
POSES = 8  # of a stride or a roll
UNKNOWN_LABEL = 254


class Scene:
    """A drive of some seconds, a pure function of its arguments and of time.

    seed: any non-negative integer. size: (height, width). kinds: what planted objects are chosen from, names or
    kinds of one's own, all when None. objects: how many are planted, or just these; by default 0 to 3.
    night: None leaves it to the seed.
    background: a video file whose frames take the place of the drawn road (its pixels are then void in `labels`).
    seconds: how long the drive is meant to be looked at: planted objects are passed within it.
    Raises ValueError for a name that is no kind and for a background that cannot be read.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int] = (360, 640),
        kinds: Sequence[str | Kind] | None = None,
        objects: int | Sequence[str | Kind] | None = None,
        night: bool | None = None,
        background: Path | None = None,
        seconds: float = 8.0,
        still: bool = False,
    ) -> None:
        rng = np.random.default_rng((seed, 17))
        self.size = size
        self._seed = seed
        self._still = still
        h, w = size
        self.layout = make_layout(rng)
        self.weather = make_weather(rng, night)
        self._lens = make_lens(rng, self.weather.night)
        self._sky = make_sky(
            rng,
            self.weather.night,
            self.weather.overcast,
            self.weather.fog_colour if self.weather.fog > 0.006 else None,
            self.layout.style,
        )
        self._ground = make_ground(rng, self.layout, self.weather.tint)
        bend = float(rng.normal(0, 0.0015)) if self.layout.style in ("motorway", "country") else 0.0
        focal = w * float(rng.uniform(0.75, 1.1))
        self._camera = Camera(w, h, focal, h * float(rng.uniform(0.4, 0.54)), w * float(rng.uniform(0.47, 0.53)),
                              float(rng.uniform(1.2, 1.7)), bend)  # fmt: skip
        pace = {"motorway": (12, 17), "country": (9, 13), "city": (6, 10), "suburb": (6, 9)}
        self.speed = float(rng.uniform(*pace.get(self.layout.style, (5, 8))))
        self._bonnet = float(rng.uniform(0.04, 0.12)) if rng.random() < 0.25 else 0.0
        self._bonnet_colour = rng.uniform(15, 120) * np.array([1.0, 1.0, 1.02])
        self._chunks: dict[int, tuple[list[Thing], list[Strip]]] = {}
        self._side_kinds = self._choose_sides(rng)
        self._movers = self._everything = make_traffic(rng, self.layout, self.speed, seconds)
        if objects is None or isinstance(objects, int):
            pool = kinds_named(list(kinds)) if kinds is not None else KINDS
            count = int(rng.integers(0, 4)) if objects is None else objects
            chosen = [pool[int(i)] for i in rng.integers(len(pool), size=count)]
        else:
            chosen = list(kinds_named(list(objects)))
        self.planted = {i + 1: kind.name for i, kind in enumerate(chosen)}
        self._objects = self._plant(rng, chosen, seconds)
        self._video = BackgroundVideo(background, size) if background is not None else None

    def plant_again(self, rng: np.random.Generator, objects: Sequence[str | Kind]) -> None:
        """Take away what is planted, plant these kinds elsewhere, and look with another camera: of a still scene,
        many pictures for training at a fraction of the cost of a new one. ValueError for a name that is no kind."""
        h, w = self.size
        self._camera = replace(
            self._camera,
            focal=w * float(rng.uniform(0.75, 1.1)),
            horizon=h * float(rng.uniform(0.4, 0.54)),
            centre=w * float(rng.uniform(0.47, 0.53)),
            height_m=float(rng.uniform(1.2, 1.7)),
        )
        self._lens = make_lens(rng, self.weather.night)
        self._movers = self._everything
        chosen = kinds_named(list(objects))
        self.planted = {i + 1: kind.name for i, kind in enumerate(chosen)}
        self._objects = self._plant(rng, chosen, 0.0)

    # -- furnishing -----------------------------------------------------------------------------------------

    def _choose_sides(self, rng: np.random.Generator) -> tuple[str, str]:
        options = {
            "motorway": ["rail", "rail", "wall", "open", "hedge"],
            "city": ["houses", "houses", "houses", "wall", "fence"],
            "suburb": ["fence", "hedge", "wall", "open", "houses"],
            "country": ["open", "open", "hedge", "fence"],
            "construction": ["fence", "wall", "open", "rail"],
        }[self.layout.style]
        return str(rng.choice(options)), str(rng.choice(options))

    def _chunk(self, index: int) -> tuple[list[Thing], list[Strip]]:
        if index not in self._chunks:
            self._chunks[index] = self._furnish(np.random.default_rng((self._seed, 23, index + 1000)), index)
        return self._chunks[index]

    def _house(self, index: int, sign: int) -> Sprite | None:
        """The house in one chunk of one side of the street."""
        draw = zlib.crc32(f"{self._seed} {index} {sign}".encode())
        return facade(draw // 10 % 96, self.weather.night) if draw % 10 else None

    def _furnish(self, rng: np.random.Generator, index: int) -> tuple[list[Thing], list[Strip]]:
        things: list[Thing] = []
        strips: list[Strip] = []
        lay, s = self.layout, index * CHUNK
        style = lay.style

        def add(kind: str, x: float, speed: float = 0.0, lights: str = "", shadow: bool = True) -> None:
            sprite = some_sprite(rng, kind)
            at = s + CHUNK * float(rng.random())
            things.append(Thing(at, x, sprite, class_of(kind), speed=speed, lights=lights, shadow=shadow))

        for sign, edge, what in ((-1, lay.left, self._side_kinds[0]), (1, lay.right, self._side_kinds[1])):
            side = edge + sign * lay.pavement
            if what == "houses":
                at = side + sign * (0.3 + (3.0 if style == "suburb" else 0.0))
                front, before = self._house(index, sign), self._house(index - 1, sign)
                if front is not None:
                    strips.append(Strip(s, CHUNK, at, front, front.height_m, BUILDING, lit=self.weather.night))
                    if before is None or before.height_m < 0.8 * front.height_m:  # its end shows
                        things.append(Thing(s, at + sign * front.width_m / 2, front, BUILDING, shadow=False, lit=True))
            elif what != "open":
                at = side + sign * (0.8 if what == "rail" else 0.4)
                strip = side_strip(what, int(self._seed * 7 + sign) % 40)
                label = {"hedge": VEGETATION, "wall": WALL}.get(what, FENCE)
                if rng.random() < 0.95:
                    strips.append(Strip(s, CHUNK, at, strip, strip.height_m, label))
            if what != "houses":
                back = side + sign * (3.0 if what != "open" else 1.2)
                for _ in range(int(rng.poisson({"city": 0.6, "motorway": 0.9}.get(style, 1.3)))):
                    add("tree", back + sign * float(rng.gamma(1.5, 4.0)))
                for _ in range(int(rng.poisson(0.7))):
                    add("bush", back + sign * float(rng.gamma(1.2, 3.0)))
                if style in ("suburb", "city") and rng.random() < 0.5:
                    add("house", back + sign * float(rng.uniform(7, 12)), shadow=False)
                elif style == "country" and rng.random() < 0.05:
                    add("house", back + sign * float(rng.uniform(9, 25)), shadow=False)
            kerb = edge + sign * float(rng.uniform(0.35, 0.7))
            if rng.random() < {"city": 0.3, "suburb": 0.22, "motorway": 0.12}.get(style, 0.06):
                add("lamp", kerb, lights="lamp")
            if rng.random() < {"country": 0.18}.get(style, 0.1):
                add("pole", kerb + sign * 0.3)
            if rng.random() < 0.14:
                add("traffic sign", kerb + sign * 0.2)
            if style == "city" and rng.random() < 0.14:
                add("traffic light", kerb)
            if style == "city" and lay.pavement > 2.5 and rng.random() < 0.15:
                add("tree", kerb + sign * 0.5)
            if lay.pavement:
                for _ in range(int(rng.poisson(0.9 if style == "city" else 0.25))):
                    walk = float(rng.choice([-1, 0, 1]) * rng.uniform(0.8, 1.5))
                    add("person", edge + sign * float(rng.uniform(0.5, max(lay.pavement - 0.2, 0.6))), speed=walk)
                if rng.random() < 0.1:
                    add(str(rng.choice(["bicycle", "motorcycle"])), kerb + sign * 0.3)
            outer = lay.lanes[-1] if sign > 0 else lay.lanes[0]
            if abs(edge - outer) > 3.0 and rng.random() < 0.5:
                kind = str(rng.choice(["car", "car", "car", "van"]))
                view = "front" if outer in lay.oncoming else "rear"
                add(f"{kind} {view}", edge - sign * 0.95)
        if style in ("country", "suburb") and index == 8 and rng.random() < 0.06:
            things.append(Thing(s + 9, float(rng.uniform(-30, 30)), some_sprite(rng, "train"), class_of("train")))
        return things, strips

    def _plant(self, rng: np.random.Generator, kinds: Sequence[Kind], seconds: float) -> list[Thing]:
        planted: list[Thing] = []
        count = len(kinds)
        for i, kind in enumerate(kinds):
            own = np.random.default_rng(rng.integers(2**63, size=2))
            thing = (
                self._place_still(own, kind) if self._still else self._place_on_the_way(own, kind, i, count, seconds)
            )
            planted.append(replace(thing, what=PLANTED + i + 1))
            self._movers = [m for m in self._movers if not _in_the_way(m, thing)]
        return planted

    def _lift(self, rng: np.random.Generator, kind: Kind, z: float) -> float:
        """Height above the ground that keeps a flying thing in the picture from a distance of z metres."""
        if kind.motion != "fly":
            return 0.0
        room = self._camera.height_m + self._camera.horizon * z / self._camera.focal - kind.size_m
        return max(float(rng.uniform(0.1, 0.95)) * room, 0.0)

    def _place_still(self, rng: np.random.Generator, kind: Kind) -> Thing:
        h, w = self.size
        cam, lay = self._camera, self.layout
        pixels = float(np.exp(rng.uniform(np.log(11), np.log(170)))) * h / 360
        nearest = 1.04 * cam.focal * cam.height_m / (h - cam.horizon)  # where its foot is still in the picture
        z = float(np.clip(cam.focal * kind.size_m / pixels, nearest, 80.0))
        u = float(rng.uniform(0.04, 0.96)) * w
        x = (u - cam.centre) * z / cam.focal - 0.5 * cam.bend * z * z
        walled = lay.style == "city" or "houses" in self._side_kinds
        room = 0.6 if walled else 7.0
        low, high = lay.left - lay.pavement - room, lay.right + lay.pavement + room
        if rng.random() < 0.6:
            low, high = lay.left, lay.right
        edge = 0.46 * w * z / cam.focal  # half of what the picture spans there
        low, high = max(low, -edge), min(high, edge)
        if low < high and not low < x < high:
            x = float(rng.uniform(low, high))
        size = int(np.clip(1.25 * cam.focal * kind.size_m / z, 24, 224))
        return Thing(z, x, draw_kind(kind, rng, size), 0, y=self._lift(rng, kind, z))

    def _place_on_the_way(self, rng: np.random.Generator, kind: Kind, i: int, count: int, seconds: float) -> Thing:
        passed = seconds * (0.42 + 0.56 * (i + float(rng.uniform(0.3, 0.8))) / count)
        s = self.speed * passed + 4.0
        facing = int(rng.choice([-1, 1]))
        drift = {"walk": 0.35, "roll": 0.8}.get(kind.motion, 0.0) * float(rng.uniform(0.3, 1.5))
        if rng.random() < 0.35:
            drift = 0.0
        size = int(np.clip(160 * kind.size_m, 96, 224))
        individual = int(rng.integers(2**62))
        poses = tuple(
            with_smaller(draw_kind(kind, np.random.default_rng(individual), size, facing, i / POSES))
            for i in range(POSES if drift else 1)
        )
        sprite = poses[0]
        cycle = 1.4 if kind.motion == "walk" else drift / (np.pi * kind.size_m)  # strides or turns a second
        margin = 1.35 + sprite.width_m / 2
        x = float(rng.choice([-1, 1])) * (margin + float(rng.uniform(0.0, 1.6)))
        side = self._side_kinds[0 if x < 0 else 1]
        lay = self.layout
        wall = (lay.left - lay.pavement + 0.2) if x < 0 else (lay.right + lay.pavement - 0.2)
        if side != "open" and abs(x) + sprite.width_m / 2 > abs(wall):
            inside = max(abs(wall) - sprite.width_m / 2, margin)
            x = -x if abs(wall) < margin + 0.8 else inside * float(np.sign(x))
        return Thing(s, x - facing * drift * passed, sprite, 0, y=self._lift(rng, kind, 14.0), drift=facing * drift,
                     poses=poses, pace=float(cycle) * POSES)  # fmt: skip

    # -- looking --------------------------------------------------------------------------------------------

    def frame(self, t: float) -> Rendered:
        """What the camera sees t seconds into the drive, t ≥ 0."""
        rng = np.random.default_rng((self._seed, 31, round(t * 1000)))
        h, w = self.size
        camera, weather = self._shaken(t), self.weather
        s = self.speed * t
        side = 0.0 if self._still else 0.12 * float(np.sin(0.5 * t + self._seed % 7))
        picture = Picture(np.empty((h, w, 3), np.uint8), np.empty((h, w), np.uint16))
        items: list[tuple[float, Thing | Strip]] = []
        if self._video is None:
            self._sky.render(picture, camera, 0.5 + 0.4 * float(np.sin(0.2 * t)))
            self._ground.render(picture, camera, s, side, weather)
            first = int(s // CHUNK)
            for index in range(first - 1, first + int(VIEW / CHUNK) + 1):
                things, strips = self._chunk(index)
                items += [(_ahead(thing, t) - s, thing) for thing in things]
                items += [(strip.s + strip.length / 2 - s, strip) for strip in strips]
            items += [(_ahead(thing, t) - s, thing) for thing in self._movers]
        else:
            picture.rgb[:] = self._video.at(t)
            picture.what[:] = VOID
        items += [(_ahead(thing, t) - s, thing) for thing in self._objects]
        items.sort(key=lambda item: -item[0])
        for z_item, item in items:
            if isinstance(item, Thing):
                if NEAREST < z_item < VIEW:
                    self._draw_thing(picture, camera, item, z_item, t, side)
            elif item.s + item.length - s < VIEW:
                gain, haze = weather.at(max(z_item, 2.0), item.x - side, item.lit)
                z0 = item.s - s
                draw_wall(picture, camera, item.sprite, item.x - side, z0, z0 + item.length, item.height, item.label,
                          gain, haze)  # fmt: skip
        if weather.night:
            picture.shine()
        if self._bonnet and self._video is None:
            self._draw_bonnet(picture)
        image = picture.rgb if self._video is not None else develop(picture.rgb, self._lens, weather, rng, h / 360)
        return self._rendered(image, picture.what)

    def _shaken(self, t: float) -> Camera:
        if self._still:
            return self._camera
        a = self._seed % 11
        shake = 0.8 * np.sin(5.1 * t + a) + 0.6 * np.sin(11.3 * t + 2 * a) + 0.4 * np.sin(23.0 * t)
        return replace(self._camera, horizon=self._camera.horizon + float(shake) * self.size[0] / 360)

    def _draw_thing(self, picture: Picture, camera: Camera, thing: Thing, z: float, t: float, side: float) -> None:
        scale = camera.focal / z
        x = thing.x + thing.drift * t - side
        sprite = thing.poses[int(t * thing.pace) % len(thing.poses)] if thing.poses else thing.sprite
        wide, tall = sprite.width_m * scale, sprite.height_m * scale
        if tall < 2.5:
            return
        u, bottom = camera.u(x, z), camera.v(thing.y, z)
        if u + wide / 2 < 0 or u - wide / 2 > camera.width:
            return
        gain, haze = self.weather.at(z, x, thing.lit)
        if thing.shadow and thing.y == 0 and not self.weather.night:
            deep = min(0.25 + 0.25 * sprite.width_m, 1.2)
            front, rear = camera.v(0, max(z - deep, 1.0)), camera.v(0, z + deep)
            picture.shade((u - 0.58 * wide, rear, u + 0.58 * wide, front), 0.55)
        picture.paste(sprite, (u - wide / 2, bottom - tall, u + wide / 2, bottom), thing.what, gain, haze)
        if self.weather.night and thing.lights:
            clear = float(np.exp(-1.5 * self.weather.fog * z))
            if thing.lights == "lamp":
                picture.light(u, bottom - 0.97 * tall, 1.3 * scale + 3, clear * np.array([235, 190, 120], np.float32))
            else:
                colour = np.array([250, 245, 225] if thing.lights == "head" else [190, 20, 16], np.float32) * clear
                for sign in (-1, 1):
                    reach = (0.75 if thing.lights == "head" else 0.3) * scale + 2
                    picture.light(u + sign * 0.4 * min(wide, 1.7 * scale), bottom - 0.65 * scale, reach, colour)

    def _draw_bonnet(self, picture: Picture) -> None:
        h, w = self.size
        mask = np.zeros((h, w), np.uint8)
        centre, axes = (w // 2, round(h * (1.0 + 0.25))), (round(0.62 * w), round(h * (0.25 + self._bonnet)))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
        top = round(h * (1 - self._bonnet)) - 2
        ramp = np.linspace(1.35, 0.6, h - top, dtype=np.float32)[:, None, None]
        level = 0.2 if self.weather.night else 1.0
        region, part = picture.rgb[top:], mask[top:, :, None].astype(np.float32) / 255
        metal = np.clip(self._bonnet_colour.astype(np.float32) * (ramp * level), 0, 255)
        region[:] = region + (metal - region) * part
        picture.what[mask > 127] = VOID

    def _rendered(self, image: npt.NDArray[np.uint8], what: npt.NDArray[np.uint16]) -> Rendered:
        planted = (what > PLANTED).astype(np.uint8)
        labels = what.astype(np.uint8)
        instances = np.zeros_like(what)
        objects: list[Planted] = []
        if planted.any():
            seen = planted > 0
            labels[seen] = UNKNOWN_LABEL
            instances[seen] = what[seen] - PLANTED
            for track_id, name in self.planted.items():
                mine = (instances == track_id).astype(np.uint8)
                area = int(cv2.countNonZero(mine))
                if area:
                    x, y, wide, tall = cv2.boundingRect(mine)
                    objects.append(Planted(track_id, name, (x, y, wide, tall), area))
        return Rendered(image, labels, instances, tuple(objects))


def _ahead(thing: Thing, t: float) -> float:
    return thing.s + thing.speed * t


def _in_the_way(mover: Thing, thing: Thing) -> bool:
    """Whether a vehicle would stand in or right before a planted object."""
    near = abs(mover.s - thing.s) < 5 and abs(mover.x - thing.x) < 2.2
    hides = mover.s < thing.s and abs(mover.x / max(mover.s, 1) - thing.x / max(thing.s, 1)) < 1.6 / max(mover.s, 1)
    return near or hides


def sample_scene(seed: int, size: tuple[int, int] = (360, 640), kinds: Sequence[str | Kind] | None = None) -> Rendered:
    """One random still with 0 to 6 planted objects, for training; a pure function of its arguments."""
    count = int(np.random.default_rng((seed, 5)).choice(7, p=[0.12, 0.2, 0.22, 0.18, 0.14, 0.08, 0.06]))
    return Scene(seed, size, kinds, count, still=True, seconds=0.0).frame(0.0)
