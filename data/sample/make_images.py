"""Draw the pictures of the sample: one small invented news picture for every invented news item.

The scene tells the class, the way a picture desk would choose it; colour does not, because all classes
share the same random palettes. A generic picture (a street, a crowd) fits every class and tells nothing.
Everything comes from the seed, so the same seed always gives the same bytes.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]

SIZE = 96  # side of the finished picture in pixels
CANVAS = 2 * SIZE  # scenes are drawn at twice the size, so that shrinking smooths their edges
COLOURS = 64  # few colours keep the PNG files small

# The difficulty of the pictures. Widen a range or raise a number to make the classes harder to tell apart.
ZOOM = (0.9, 1.2)
TILT = 0.1  # radians, either way
SHIFT = 0.07  # share of the picture's side, either way
CLUTTER = (0, 2)  # how many foreign things lie over the scene
BLUR = (0.0, 0.6)  # pixels
NOISE = (1.0, 4.0)  # grey levels
BRIGHTNESS = (0.85, 1.15)
SATURATION = (0.1, 0.5)
FADE = 0.55  # each scene of a class is this much rarer than the one listed before it
NIGHT = 0.25  # share of pictures with a dark background

SKINS: tuple[Colour, ...] = ((244, 214, 186), (226, 184, 148), (196, 148, 108), (150, 104, 74))


@dataclass(frozen=True)
class Palette:
    """The colours of one picture, named by their use."""

    back: Colour
    ground: Colour
    main: Colour
    second: Colour
    accent: Colour
    dark: Colour
    pale: Colour
    ink: Colour  # dark on a light background and pale on a dark one, so that it always shows


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Turn hue, saturation and value (each from 0 to 1) into an RGB colour."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def make_palette(rng: np.random.Generator) -> Palette:
    """Choose colours without knowing the class, or a learner could read the class off the colour."""
    hues = rng.uniform(0, 1, 5)
    saturation = rng.uniform(*SATURATION)
    night = rng.uniform() < NIGHT
    back = hsv(hues[0], saturation * 0.6, rng.uniform(0.1, 0.3) if night else rng.uniform(0.75, 0.97))
    ground = hsv(hues[1], saturation * 0.8, rng.uniform(0.3, 0.45) if night else rng.uniform(0.5, 0.7))
    dark = hsv(hues[2], saturation, rng.uniform(0.05, 0.2))
    pale = hsv(hues[3], saturation * 0.15, rng.uniform(0.9, 1.0))
    return Palette(
        back=back,
        ground=ground,
        main=hsv(hues[2], saturation, rng.uniform(0.45, 0.75)),
        second=hsv(hues[3], saturation, rng.uniform(0.5, 0.8)),
        accent=hsv(hues[4], min(1.0, saturation + 0.2), rng.uniform(0.6, 0.95)),
        dark=dark,
        pale=pale,
        ink=pale if night else dark,
    )


class Pen:
    """Draw in unit coordinates (0 to 1, y downwards) as seen through one random camera."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.hue = make_palette(rng)
        self.image = Image.new("RGB", (CANVAS, CANVAS), self.hue.back)
        self.canvas = ImageDraw.Draw(self.image)
        zoom = rng.uniform(*ZOOM)
        angle = rng.uniform(-TILT, TILT)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        self.zoom = zoom
        self.matrix = turn @ np.diag([zoom * rng.uniform(0.88, 1.12), zoom])
        self.centre = 0.5 + rng.uniform(-SHIFT, SHIFT, 2)

    def between(self, low: float, high: float) -> float:
        """Return a random number from low to high."""
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """Return a random whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """Return True in the given share of calls."""
        return bool(self.rng.uniform() < share)

    def colour(self) -> Colour:
        """Return one of the three strong colours of the palette."""
        return (self.hue.main, self.hue.second, self.hue.accent)[self.count(0, 2)]

    def skin(self) -> Colour:
        """Return a random skin colour."""
        return SKINS[self.count(0, len(SKINS) - 1)]

    def place(self, points: Iterable[Point]) -> list[Point]:
        """Turn unit coordinates into canvas pixels."""
        moved = (np.array(list(points), dtype=float) - 0.5) @ self.matrix.T + self.centre
        return [(float(x), float(y)) for x, y in moved * CANVAS]

    def poly(self, points: Iterable[Point], fill: Colour) -> None:
        """Fill a polygon."""
        self.canvas.polygon(self.place(points), fill=fill)

    def line(self, points: Iterable[Point], fill: Colour, width: float = 0.012) -> None:
        """Draw a line through all the points."""
        pixels = max(2, round(width * self.zoom * CANVAS))
        self.canvas.line(self.place(points), fill=fill, width=pixels, joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """Fill a rectangle."""
        self.poly([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def frame(self, left: float, top: float, right: float, bottom: float, fill: Colour, width: float) -> None:
        """Draw the outline of a rectangle."""
        self.line([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], fill, width)

    def disc(self, x: float, y: float, radius: float, fill: Colour, squash: float = 1.0) -> None:
        """Fill a circle, or an ellipse of height `squash` times its width."""
        self.poly(arc(x, y, radius, radius * squash), fill)

    def ring(self, x: float, y: float, radius: float, fill: Colour, width: float, squash: float = 1.0) -> None:
        """Draw the outline of a circle or an ellipse."""
        self.line(arc(x, y, radius, radius * squash), fill, width)

    def floor(self, horizon: float) -> None:
        """Fill the ground below the horizon, wide enough for every camera."""
        self.box(-1.0, horizon, 2.0, 2.0, self.hue.ground)


def arc(x: float, y: float, wide: float, high: float, start: float = 0.0, end: float = 2 * math.pi) -> list[Point]:
    """Return points along an ellipse, from one angle to another."""
    angles = np.linspace(start, end, 33)
    return [(x + wide * math.cos(angle), y + high * math.sin(angle)) for angle in angles]


def spread(start: float, end: float, number: int) -> list[float]:
    """Return evenly spaced numbers, as plain floats."""
    return [float(value) for value in np.linspace(start, end, number)]


# --- Parts that several scenes share ------------------------------------------------------------------


def draw_bust(pen: Pen, x: float, y: float, size: float, coat: Colour, back_view: bool = False) -> None:
    """Draw a head and shoulders whose chest is cut off at y."""
    shoulders = [(x - size * 0.5, y), (x - size * 0.38, y - size * 0.5), (x + size * 0.38, y - size * 0.5)]
    pen.poly([*shoulders, (x + size * 0.5, y)], coat)
    pen.disc(x, y - size * 0.78, size * 0.27, pen.hue.dark)
    if not back_view:
        pen.disc(x, y - size * 0.72, size * 0.24, pen.skin())


def draw_person(pen: Pen, x: float, y: float, size: float, coat: Colour) -> None:
    """Draw a standing person whose feet are at y."""
    for side in (-1, 1):
        pen.line([(x + side * size * 0.06, y - size * 0.45), (x + side * size * 0.08, y)], pen.hue.dark, size * 0.09)
        pen.line([(x, y - size * 0.76), (x + side * size * 0.17, y - size * 0.45)], coat, size * 0.08)
    pen.box(x - size * 0.12, y - size * 0.8, x + size * 0.12, y - size * 0.4, coat)
    pen.disc(x, y - size * 0.9, size * 0.1, pen.skin())


def draw_athlete(pen: Pen, x: float, y: float, size: float, shirt: Colour) -> None:
    """Draw a running person: leaning body, bent limbs."""
    hip, neck = (x, y - size * 0.45), (x + size * 0.12, y - size * 0.78)
    skin = pen.skin()
    pen.line([hip, (x + size * 0.2, y - size * 0.3), (x + size * 0.14, y)], skin, size * 0.09)
    pen.line([hip, (x - size * 0.1, y - size * 0.22), (x - size * 0.32, y - size * 0.2)], skin, size * 0.09)
    pen.line([neck, (x + size * 0.25, y - size * 0.6), (x + size * 0.36, y - size * 0.72)], skin, size * 0.07)
    pen.line([neck, (x - size * 0.1, y - size * 0.62), (x - size * 0.12, y - size * 0.48)], skin, size * 0.07)
    pen.line([hip, neck], shirt, size * 0.2)
    pen.disc(x + size * 0.17, y - size * 0.9, size * 0.1, skin)


def draw_flag(pen: Pen, x: float, top: float, bottom: float, size: float) -> None:
    """Draw an invented plain flag of one to three bands on a pole."""
    pen.line([(x, top), (x, bottom)], pen.hue.ink, 0.014)
    bands = pen.count(1, 3)
    colours = [pen.colour(), pen.hue.pale, pen.colour()][:bands]
    wave = pen.between(0.04, 0.14) * size
    steps = spread(0, 1, 9)
    for index, colour in enumerate(colours):
        edges = [top + size * 0.65 * (index + part) / bands for part in (0, 1)]
        upper = [(x + size * step, edges[0] + wave * math.sin(6 * step)) for step in steps]
        lower = [(x + size * step, edges[1] + wave * math.sin(6 * step)) for step in reversed(steps)]
        pen.poly(upper + lower, colour)


def draw_ball(pen: Pen, x: float, y: float, radius: float) -> None:
    """Draw a ball with dark patches or with seams."""
    pen.disc(x, y, radius * 1.08, pen.hue.dark)
    if pen.chance(0.5):
        pen.disc(x, y, radius, pen.hue.pale)
        pen.disc(x, y, radius * 0.34, pen.hue.dark)
        for angle in spread(0, 1.6 * math.pi, 5):
            patch = (x + radius * 0.74 * math.cos(angle), y + radius * 0.74 * math.sin(angle))
            pen.disc(*patch, radius * 0.2, pen.hue.dark)
        return
    pen.disc(x, y, radius, pen.hue.accent)
    for bend in (-0.5, 0.5):
        pen.line(arc(x, y, radius * bend, radius, -math.pi / 2, math.pi / 2), pen.hue.dark, radius * 0.1)
    pen.line([(x - radius, y), (x + radius, y)], pen.hue.dark, radius * 0.1)


# --- 时政: politics ---------------------------------------------------------------------------------


def speech_rostrum(pen: Pen) -> None:
    """Draw a speaker behind a rostrum with microphones, between flags."""
    pen.floor(pen.between(0.75, 0.9))
    if pen.chance(0.6):
        pen.box(0.05, 0.04, 0.95, 0.16, pen.hue.main)
        for x in spread(0.16, 0.8, pen.count(5, 8)):
            pen.box(x, 0.07, x + 0.05, 0.13, pen.hue.pale)
    for x in spread(0.02, 0.24, pen.count(1, 3)) + spread(0.72, 0.92, pen.count(1, 3)):
        draw_flag(pen, x, pen.between(0.2, 0.25), 0.85, 0.17)
    draw_bust(pen, 0.5, 0.64, 0.4, pen.hue.dark)
    width = pen.between(0.2, 0.28)
    front = [(0.5 - width, 0.57), (0.5 + width, 0.57), (0.5 + width * 0.75, 1.1), (0.5 - width * 0.75, 1.1)]
    pen.poly(front, pen.hue.second)
    pen.box(0.46 - width, 0.54, 0.54 + width, 0.6, pen.hue.accent)
    pen.disc(0.5, 0.78, 0.09, pen.hue.pale)
    pen.disc(0.5, 0.78, 0.05, pen.hue.accent)
    for side in (-1, 1):
        pen.line([(0.5 + side * 0.14, 0.56), (0.5 + side * 0.06, 0.45)], pen.hue.ink, 0.015)


def assembly_hall(pen: Pen) -> None:
    """Draw curved rows of seats that face a dais with flags."""
    pen.floor(0.3)
    pen.box(0.25, 0.2, 0.75, 0.33, pen.hue.second)
    for x in spread(0.28, 0.66, pen.count(2, 5)):
        draw_flag(pen, x, -0.02, 0.2, 0.1)
    draw_bust(pen, 0.5, 0.24, 0.13, pen.hue.dark)
    for row, radius in enumerate(spread(0.28, 1.0, pen.count(5, 7))):
        bend = arc(0.5, 0.18, radius, radius * 0.85, 0.12 * math.pi, 0.88 * math.pi)
        pen.line(bend, pen.hue.main, 0.075)
        size = 0.014 + 0.016 * radius
        for x, y in bend[row % 2 :: 3 if row < 3 else 2]:
            if pen.chance(0.85):
                pen.disc(x, y - size, size, pen.hue.dark)


def round_table(pen: Pen) -> None:
    """Draw a round table with delegates, papers and small flags."""
    pen.floor(pen.between(-0.2, 0.2))
    squash, seats = pen.between(0.5, 0.75), pen.count(9, 14)
    for x, y in [arc(0.5, 0.55, 0.45, 0.45 * squash)[round(32 * i / seats)] for i in range(seats)]:
        pen.disc(x, y, 0.062, pen.hue.main)
        pen.disc(x, y - 0.03, 0.038, pen.hue.dark)
    pen.disc(0.5, 0.55, 0.36, pen.hue.second, squash)
    for angle in spread(0.1, 2 * math.pi, seats):
        x, y = 0.5 + 0.3 * math.cos(angle), 0.55 + 0.3 * squash * math.sin(angle)
        pen.box(x - 0.025, y - 0.015, x + 0.025, y + 0.02, pen.hue.pale)
    pen.disc(0.5, 0.55, 0.2, pen.hue.ground, squash)
    for x in spread(0.4, 0.55, pen.count(2, 3)):
        draw_flag(pen, x, 0.38, 0.58, 0.1)


def columned_building(pen: Pen) -> None:
    """Draw a public building with steps, columns and a gable or a dome."""
    pen.floor(0.82)
    stone, top = pen.hue.pale, pen.between(0.36, 0.44)
    pen.box(0.1, top, 0.9, 0.8, pen.hue.main)
    if pen.chance(0.4):
        pen.poly(arc(0.5, top - 0.06, 0.2, 0.22, math.pi, 2 * math.pi), pen.hue.second)
    else:
        pen.poly([(0.04, top - 0.05), (0.96, top - 0.05), (0.5, top - 0.25)], pen.hue.second)
    pen.box(0.06, top - 0.07, 0.94, top, stone)
    columns = pen.count(4, 8)
    half = 0.24 / columns
    for x in spread(0.14, 0.86, columns):
        pen.box(x - half * 0.7, top, x + half * 0.7, 0.8, stone)
        pen.line([(x + half * 0.4, top), (x + half * 0.4, 0.8)], pen.hue.ground, half * 0.3)
    for step in range(3):
        pen.box(0.06 - 0.04 * step, 0.78 + 0.045 * step, 0.94 + 0.04 * step, 0.83 + 0.045 * step, stone)
        pen.line([(0.0, 0.825 + 0.045 * step), (1.0, 0.825 + 0.045 * step)], pen.hue.dark, 0.008)
    draw_flag(pen, 0.5, top - 0.42, top - 0.2, 0.18)


def flag_row(pen: Pen) -> None:
    """Draw a row of flags on tall poles before a low wall."""
    pen.floor(pen.between(0.75, 0.9))
    flags = pen.count(3, 6)
    slope = pen.between(-0.15, 0.15)
    for index, x in enumerate(spread(0.0, 0.82, flags)):
        top = 0.12 + slope * (index / flags - 0.5)
        draw_flag(pen, x, top, 0.95, pen.between(0.7, 1.1) / flags)
    if pen.chance(0.6):
        pen.box(-0.2, 0.78, 1.2, 0.9, pen.hue.pale)
        for x in spread(-0.1, 1.1, 16):
            pen.line([(x, 0.78), (x, 0.9)], pen.hue.dark, 0.01)


def handshake_before_flags(pen: Pen) -> None:
    """Draw two officials who shake hands before a row of flags."""
    for x in spread(0.0, 0.84, pen.count(3, 6)):
        draw_flag(pen, x, pen.between(0.04, 0.1), 1.1, 0.18)
    coats = (pen.hue.dark, pen.colour())
    for x, coat in zip((0.27, 0.73), coats, strict=True):
        draw_bust(pen, x, 1.15, 0.52, coat)
        pen.box(x - 0.03, 0.89, x + 0.03, 1.15, pen.hue.pale)
        pen.poly([(x - 0.012, 0.89), (x + 0.012, 0.89), (x + 0.02, 1.1), (x - 0.02, 1.1)], pen.hue.accent)
    for (x, hand), coat in zip(((0.2, 0.46), (0.8, 0.54)), coats, strict=True):
        pen.line([(x, 0.95), (x * 0.8 + 0.1, 1.05), (hand, 0.98)], coat, 0.09)
    pen.disc(0.5, 0.98, 0.06, pen.skin())


# --- 财经: economy ----------------------------------------------------------------------------------


def draw_chart_frame(pen: Pen) -> None:
    """Draw the panel, the grid and the axes of a chart."""
    pen.box(-0.02, 0.02, 1.02, 0.98, pen.hue.back)
    for y in spread(0.15, 0.75, pen.count(3, 6)):
        pen.line([(0.1, y), (0.96, y)], pen.hue.ground, 0.008)
    pen.line([(0.1, 0.06), (0.1, 0.88), (0.97, 0.88)], pen.hue.ink, 0.018)
    for x in spread(0.18, 0.9, pen.count(4, 8)):
        pen.line([(x, 0.88), (x, 0.92)], pen.hue.ink, 0.012)


def walk(pen: Pen, steps: int, low: float, high: float) -> list[float]:
    """Return a random walk with a trend, stretched to run from low to high."""
    drift = pen.between(-0.6, 0.6)
    values = np.cumsum(pen.rng.normal(drift, 1.0, steps))
    scaled = (values - values.min()) / max(float(np.ptp(values)), 1e-9)
    return [float(low + (high - low) * value) for value in scaled]


def line_chart(pen: Pen) -> None:
    """Draw one to three price lines over a grid."""
    draw_chart_frame(pen)
    for colour in (pen.hue.accent, pen.hue.main, pen.hue.second)[: pen.count(1, 3)]:
        steps = pen.count(8, 20)
        points = list(zip(spread(0.12, 0.95, steps), walk(pen, steps, 0.15, 0.8), strict=True))
        if pen.chance(0.3):
            pen.poly([(0.12, 0.87), *points, (0.95, 0.87)], pen.hue.ground)
        pen.line(points, colour, pen.between(0.02, 0.035))
        for x, y in points if pen.chance(0.3) else []:
            pen.disc(x, y, 0.022, colour)


def bar_chart(pen: Pen) -> None:
    """Draw a bar chart, now and then with an arrow that shows the trend."""
    draw_chart_frame(pen)
    bars = pen.count(5, 10)
    width = 0.5 / bars
    colours = [pen.colour(), pen.colour()]
    heights = walk(pen, bars, 0.12, 0.75)
    for index, (x, top) in enumerate(zip(spread(0.17, 0.9, bars), heights, strict=True)):
        pen.box(x - width * 0.6, top, x + width * 0.6, 0.87, colours[index % 2])
    if pen.chance(0.5):
        start, end = (0.15, heights[0] - 0.06), (0.88, heights[-1] - 0.06)
        pen.line([start, end], pen.hue.ink, 0.025)
        pen.poly([(0.96, end[1]), (0.86, end[1] - 0.05), (0.86, end[1] + 0.05)], pen.hue.ink)


def candle_chart(pen: Pen) -> None:
    """Draw the candles of a stock price."""
    draw_chart_frame(pen)
    candles = pen.count(9, 16)
    levels = walk(pen, candles + 1, 0.2, 0.7)
    half = 0.26 / candles
    for x, (start, end) in zip(spread(0.15, 0.92, candles), pairwise(levels), strict=True):
        colour = pen.hue.main if end < start else pen.hue.accent
        low, high = min(start, end) - 0.015, max(start, end) + 0.015
        pen.line([(x, low - pen.between(0.02, 0.09)), (x, high + pen.between(0.02, 0.09))], colour, 0.012)
        pen.box(x - half, low, x + half, high, colour)


# The strokes of the digits 0 to 9 on a display of seven bars, each bar given by its two corners:
# 0 and 1 are the upper corners, 2 and 3 the middle ones, 4 and 5 the lower ones, left before right.
DIGITS = (
    "01 45 02 13 24 35",
    "13 35",
    "01 13 23 24 45",
    "01 13 23 35 45",
    "02 23 13 35",
    "01 02 23 35 45",
    "01 02 23 24 35 45",
    "01 13 35",
    "01 23 45 02 13 24 35",
    "01 23 45 02 13 35",
)


def draw_digit(pen: Pen, x: float, y: float, size: float, colour: Colour) -> None:
    """Draw one random digit as a price board shows it."""
    corners = [(x + size * column / 2, y + size * row / 2) for row in range(3) for column in range(2)]
    for bar in DIGITS[pen.count(0, 9)].split():
        pen.line([corners[int(bar[0])], corners[int(bar[1])]], colour, size * 0.16)


def ticker_board(pen: Pen) -> None:
    """Draw a price board: names, digits, and arrows up or down."""
    pen.box(-0.05, 0.02, 1.05, 0.98, pen.hue.dark)
    rows = pen.count(4, 6)
    height = 0.9 / rows
    for index, y in enumerate(spread(0.05, 0.95 - height, rows)):
        if index % 2:
            pen.box(-0.05, y, 1.05, y + height, pen.hue.ground)
        size = height * 0.6
        base, rising = y + height * 0.8, pen.chance(0.5)
        colour = pen.hue.accent if rising else pen.hue.pale
        pen.box(0.02, base - size * 0.8, pen.between(0.14, 0.26), base - size * 0.2, pen.hue.second)
        for x in spread(0.34, 0.66, 4):
            draw_digit(pen, x, base - size, size, colour)
        tip, foot = (base - size, base) if rising else (base, base - size)
        pen.poly([(0.82, foot), (0.96, foot), (0.89, tip)], colour)


def coin_stacks(pen: Pen) -> None:
    """Draw stacks of coins that grow or shrink."""
    pen.floor(pen.between(0.5, 0.75))
    stacks = pen.count(3, 5)
    metal, radius = pen.colour(), 0.42 / stacks
    for x, level in zip(spread(0.14, 0.86, stacks), walk(pen, stacks, 2, 11), strict=True):
        for coin in range(round(level)):
            y = 0.9 - 0.055 * coin
            pen.disc(x, y + 0.022, radius, pen.hue.dark, 0.36)
            pen.disc(x, y, radius, metal, 0.36)
        pen.ring(x, 0.9 - 0.055 * (round(level) - 1), radius * 0.7, pen.hue.pale, 0.014, 0.36)
    if pen.chance(0.5):
        x, y = pen.between(0.15, 0.85), pen.between(0.08, 0.2)
        pen.disc(x, y, 0.14, metal)
        pen.ring(x, y, 0.105, pen.hue.dark, 0.015)
        pen.box(x - 0.035, y - 0.035, x + 0.035, y + 0.035, pen.hue.dark)


def shop_front(pen: Pen) -> None:
    """Draw a shop with an awning, goods in the windows and price tags."""
    pen.floor(0.86)
    pen.box(0.03, 0.08, 0.97, 0.88, pen.hue.main)
    pen.box(0.1, 0.11, 0.9, 0.24, pen.hue.dark)
    for x in spread(0.2, 0.72, pen.count(4, 6)):
        pen.box(x, 0.14, x + 0.06, 0.21, pen.hue.accent)
    stripes = pen.count(8, 12)
    for index, x in enumerate(spread(0.0, 1.0 - 1 / stripes, stripes)):
        colour = pen.hue.pale if index % 2 else pen.hue.second
        pen.box(x, 0.27, x + 1 / stripes, 0.4, colour)
        pen.disc(x + 0.5 / stripes, 0.4, 0.5 / stripes, colour)
    door = pen.between(0.38, 0.44)
    for left, right in ((0.08, door), (door + 0.22, 0.92)):
        pen.box(left, 0.48, right, 0.8, pen.hue.pale)
        for y in (0.62, 0.78):
            for x in spread(left + 0.05, right - 0.05, 4):
                pen.box(x - 0.025, y - pen.between(0.04, 0.1), x + 0.025, y, pen.colour())
    pen.box(door + 0.03, 0.46, door + 0.19, 0.87, pen.hue.dark)


def container_port(pen: Pen) -> None:
    """Draw stacks of freight containers below a crane."""
    pen.floor(0.88)
    beam = pen.between(0.05, 0.14)
    for x in (0.1, 0.8):
        pen.line([(x, beam), (x, 0.9)], pen.hue.ink, 0.03)
    pen.line([(-0.1, beam), (1.1, beam)], pen.hue.ink, 0.04)
    pen.line([(0.5, beam), (0.5, 0.3)], pen.hue.ink, 0.012)
    columns = pen.count(3, 4)
    width = 1.04 / columns
    colours = (pen.hue.main, pen.hue.second, pen.hue.accent, pen.hue.pale)
    for x in spread(-0.02, 1.02 - width, columns):
        for level in range(pen.count(2, 4)):
            left, right, bottom = x + 0.01, x + width - 0.01, 0.9 - 0.15 * level
            pen.box(left, bottom - 0.135, right, bottom, colours[pen.count(0, 3)])
            for rib in spread(left + 0.03, right - 0.03, 7):
                pen.line([(rib, bottom - 0.12), (rib, bottom - 0.015)], pen.hue.dark, 0.01)


# --- 科技: technology -------------------------------------------------------------------------------


def draw_trace(pen: Pen, start: Point) -> None:
    """Draw one copper track that leaves the chip, bends once at 45 degrees and ends in a pad."""
    angle = math.atan2(start[1] - 0.5, start[0] - 0.5)
    level = abs(math.cos(angle)) > abs(math.sin(angle))
    ahead = (math.copysign(1, math.cos(angle)), 0) if level else (0, math.copysign(1, math.sin(angle)))
    bend = (start[0] + ahead[0] * pen.between(0.06, 0.16), start[1] + ahead[1] * pen.between(0.06, 0.16))
    side = 0.08 * math.copysign(1, math.sin(angle) if level else math.cos(angle))
    aside = (bend[0] + ahead[0] * 0.08 + abs(ahead[1]) * side, bend[1] + ahead[1] * 0.08 + abs(ahead[0]) * side)
    run = pen.between(0.05, 0.3)
    end = (aside[0] + ahead[0] * run, aside[1] + ahead[1] * run)
    pen.line([start, bend, aside, end], pen.hue.accent, 0.016)
    pen.disc(*end, 0.026, pen.hue.accent)
    pen.disc(*end, 0.011, pen.hue.dark)


def circuit_board(pen: Pen) -> None:
    """Draw a chip on a board, with tracks on all four sides and small parts around it."""
    pen.box(-1, -1, 2, 2, pen.hue.ground)
    half, pins = pen.between(0.15, 0.22), pen.count(5, 8)
    for offset in spread(-half * 0.85, half * 0.85, pins):
        for start in ((0.5 + offset, 0.5 - half), (0.5 + offset, 0.5 + half)):
            draw_trace(pen, start)
        for start in ((0.5 - half, 0.5 + offset), (0.5 + half, 0.5 + offset)):
            draw_trace(pen, start)
    for offset in spread(-half * 0.85, half * 0.85, pins):
        pen.line([(0.5 + offset, 0.45 - half), (0.5 + offset, 0.55 + half)], pen.hue.pale, 0.02)
        pen.line([(0.45 - half, 0.5 + offset), (0.55 + half, 0.5 + offset)], pen.hue.pale, 0.02)
    pen.box(0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half, pen.hue.dark)
    pen.frame(0.6 - half, 0.6 - half, 0.4 + half, 0.4 + half, pen.hue.second, 0.014)
    for _ in range(pen.count(2, 5)):
        x, y = (0.5 + side * pen.between(0.32, 0.48) for side in pen.rng.choice([-1, 1], 2))
        pen.box(x - 0.06, y - 0.03, x + 0.06, y + 0.03, pen.hue.main)
        pen.box(x - 0.035, y - 0.03, x + 0.035, y + 0.03, pen.hue.dark)


def node_graph(pen: Pen) -> None:
    """Draw the layers of a neural network: discs joined by lines."""
    layers = [
        [(x, y) for y in spread(0.5 - 0.1 * number, 0.5 + 0.1 * number, number)]
        for x in spread(0.08, 0.92, pen.count(3, 4))
        for number in [pen.count(3, 5)]
    ]
    for left, right in pairwise(layers):
        for start in left:
            for end in right:
                pen.line([start, end], pen.hue.ground, 0.01)
    for layer in layers:
        colour = pen.colour()
        for x, y in layer:
            pen.disc(x, y, 0.062, pen.hue.ink)
            pen.disc(x, y, 0.046, colour)


def draw_stars(pen: Pen, number: int) -> None:
    """Scatter small stars."""
    for _ in range(number):
        pen.disc(pen.between(-0.1, 1.1), pen.between(-0.1, 1.1), pen.between(0.005, 0.014), pen.hue.pale)


def satellite_dish(pen: Pen) -> None:
    """Draw a dish on a mast that receives waves from the sky."""
    pen.box(-1, -1, 2, 2, pen.hue.dark)
    draw_stars(pen, pen.count(8, 25))
    pen.floor(0.88)
    pen.poly([(0.3, 0.92), (0.5, 0.92), (0.43, 0.55), (0.37, 0.55)], pen.hue.main)
    lean = pen.between(-0.15, 0.15)
    start, end = 0.25 * math.pi + lean, 1.25 * math.pi + lean
    pen.poly(arc(0.45, 0.42, 0.3, 0.3, start, end), pen.hue.pale)
    axis = (math.cos(lean - 0.25 * math.pi), math.sin(lean - 0.25 * math.pi))
    focus = (0.45 + 0.17 * axis[0], 0.42 + 0.17 * axis[1])
    for angle in (start, end, start + math.pi / 2):
        pen.line([(0.45 + 0.29 * math.cos(angle), 0.42 + 0.29 * math.sin(angle)), focus], pen.hue.second, 0.016)
    pen.disc(*focus, 0.04, pen.hue.accent)
    for radius in spread(0.12, 0.32, pen.count(2, 4)):
        middle = lean - 0.25 * math.pi
        pen.line(arc(*focus, radius, radius, middle - 0.5, middle + 0.5), pen.hue.accent, 0.02)


def planet_and_probe(pen: Pen) -> None:
    """Draw a planet among stars with a probe that carries solar panels."""
    pen.box(-1, -1, 2, 2, pen.hue.dark)
    draw_stars(pen, pen.count(15, 40))
    x, y, radius = pen.between(0.25, 0.4), pen.between(0.55, 0.72), pen.between(0.22, 0.34)
    pen.disc(x, y, radius, pen.hue.main)
    for drop in spread(-0.5, 0.6, pen.count(2, 4)):
        reach = radius * math.sqrt(1 - drop * drop) * 0.96
        pen.line([(x - reach, y + drop * radius), (x + reach, y + drop * radius)], pen.hue.second, 0.03)
    if pen.chance(0.6):
        pen.line(arc(x, y, radius * 1.55, radius * 0.4, -0.15, math.pi + 0.15), pen.hue.pale, 0.025)
    probe_x, probe_y = pen.between(0.68, 0.76), pen.between(0.18, 0.35)
    for side in (-1, 1):
        inner, outer = probe_x + side * 0.07, probe_x + side * 0.26
        pen.box(inner, probe_y - 0.06, outer, probe_y + 0.06, pen.hue.accent)
        for cut in spread(inner, outer, 4):
            pen.line([(cut, probe_y - 0.06), (cut, probe_y + 0.06)], pen.hue.dark, 0.01)
    pen.box(probe_x - 0.06, probe_y - 0.09, probe_x + 0.06, probe_y + 0.09, pen.hue.pale)


def robot_arm(pen: Pen) -> None:
    """Draw a jointed robot arm over a conveyor belt."""
    pen.floor(0.9)
    pen.box(0.4, 0.74, 1.2, 0.84, pen.hue.ink)
    for x in spread(0.45, 1.05, 6):
        pen.disc(x, 0.79, 0.035, pen.hue.ground)
    elbow = (pen.between(0.2, 0.34), pen.between(0.2, 0.32))
    wrist = (pen.between(0.64, 0.78), pen.between(0.26, 0.38))
    pen.poly([(0.05, 0.92), (0.4, 0.92), (0.3, 0.74), (0.14, 0.74)], pen.hue.second)
    for start, end, width in (((0.22, 0.76), elbow, 0.11), (elbow, wrist, 0.085)):
        pen.line([start, end], pen.hue.main, width)
    tool = (wrist[0], wrist[1] + 0.17)
    pen.line([wrist, tool], pen.hue.main, 0.06)
    for x, y in ((0.22, 0.76), elbow, wrist):
        pen.disc(x, y, 0.075, pen.hue.ink)
        pen.disc(x, y, 0.04, pen.hue.accent)
    for side in (-1, 1):
        claw = [tool, (tool[0] + side * 0.08, tool[1] + 0.03), (tool[0] + side * 0.06, tool[1] + 0.13)]
        pen.line(claw, pen.hue.ink, 0.028)
    pen.box(tool[0] - 0.05, tool[1] + 0.08, tool[0] + 0.05, 0.74, pen.hue.accent)


def draw_tube(pen: Pen, x: float, half: float) -> None:
    """Draw one test tube, `half` its width to each side, filled to a random level."""
    liquid = pen.colour()
    for reach, top, colour in ((half, 0.18, pen.hue.pale), (half * 0.75, pen.between(0.4, 0.65), liquid)):
        pen.box(x - reach, top, x + reach, 0.74, colour)
        pen.disc(x, 0.74, reach, colour)
    pen.line([(x - half * 1.3, 0.18), (x + half * 1.3, 0.18)], pen.hue.ink, 0.022)


def tube_rack(pen: Pen) -> None:
    """Draw a rack of test tubes, now and then with a flask beside it."""
    pen.floor(0.85)
    flask = pen.chance(0.45)
    right = 0.55 if flask else 0.92
    tubes = pen.count(3, 4) if flask else pen.count(4, 7)
    for x in spread(0.12, right - 0.05, tubes):
        draw_tube(pen, x, 0.3 * (right - 0.08) / tubes)
    for y in (0.36, 0.68):
        pen.line([(0.02, y), (right + 0.04, y)], pen.hue.ink, 0.028)
    for x in (0.02, right + 0.04):
        pen.line([(x, 0.33), (x, 0.88)], pen.hue.ink, 0.03)
    if flask:
        glass = [(0.76, 0.25), (0.84, 0.25), (0.84, 0.5), (0.99, 0.88), (0.61, 0.88), (0.76, 0.5)]
        pen.poly(glass, pen.hue.pale)
        pen.poly([(0.72, 0.66), (0.88, 0.66), (0.96, 0.86), (0.64, 0.86)], pen.hue.accent)


# --- 体育: sports -----------------------------------------------------------------------------------


def draw_players(pen: Pen, number: int, low: float, high: float) -> None:
    """Scatter players of two teams."""
    shirts = (pen.hue.accent, pen.hue.dark)
    for index in range(number):
        y = pen.between(low, high)
        draw_athlete(pen, pen.between(0.08, 0.92), y, 0.1 + 0.12 * y, shirts[index % 2])


def football_pitch(pen: Pen) -> None:
    """Draw a football pitch from above: stripes, lines, circle, boxes, players."""
    pen.box(-1, -1, 2, 2, pen.hue.ground)
    stripes = pen.count(6, 10)
    for index, x in enumerate(spread(0, 1 - 1 / stripes, stripes)):
        if index % 2:
            pen.box(x, 0.1, x + 1 / stripes, 0.9, pen.hue.main)
    chalk = pen.hue.pale
    pen.frame(0.0, 0.1, 1.0, 0.9, chalk, 0.016)
    pen.line([(0.5, 0.1), (0.5, 0.9)], chalk, 0.016)
    pen.ring(0.5, 0.5, 0.13, chalk, 0.016)
    for depth, reach in ((0.17, 0.22), (0.07, 0.11)):
        pen.frame(0.0, 0.5 - reach, depth, 0.5 + reach, chalk, 0.014)
        pen.frame(1.0 - depth, 0.5 - reach, 1.0, 0.5 + reach, chalk, 0.014)
    draw_players(pen, pen.count(3, 9), 0.2, 0.85)
    pen.disc(pen.between(0.2, 0.8), pen.between(0.2, 0.8), 0.02, chalk)


def net_court(pen: Pen) -> None:
    """Draw a tennis or volleyball court in perspective with its net and two players."""
    pen.box(-1, -1, 2, 2, pen.hue.ground)
    far, near, chalk = pen.between(0.2, 0.3), pen.between(0.42, 0.5), pen.hue.pale
    pen.poly([(0.5 - far, 0.18), (0.5 + far, 0.18), (0.5 + near, 0.95), (0.5 - near, 0.95)], pen.hue.main)
    for share in (1.0, 0.78):
        ends = [(0.5 + side * share * reach, y) for side in (-1, 1) for reach, y in ((far, 0.18), (near, 0.95))]
        pen.line([ends[0], ends[1], ends[3], ends[2], ends[0]], chalk, 0.016)
    for y in (0.32, 0.72):
        reach = 0.78 * (far + (near - far) * (y - 0.18) / 0.77)
        pen.line([(0.5 - reach, y), (0.5 + reach, y)], chalk, 0.014)
    pen.line([(0.5, 0.32), (0.5, 0.72)], chalk, 0.014)
    draw_athlete(pen, pen.between(0.35, 0.6), 0.36, 0.2, pen.hue.accent)
    draw_net(pen, 0.06, 0.38, 0.94, 0.5)
    draw_athlete(pen, pen.between(0.3, 0.65), 0.88, 0.32, pen.hue.accent)
    pen.disc(pen.between(0.3, 0.7), pen.between(0.1, 0.35), 0.025, pen.hue.accent)


def draw_net(pen: Pen, left: float, top: float, right: float, bottom: float) -> None:
    """Draw the mesh of a net with a taut upper edge."""
    for x in spread(left, right, round((right - left) / 0.055)):
        pen.line([(x, top), (x, bottom)], pen.hue.pale, 0.007)
    for y in spread(top, bottom, max(3, round((bottom - top) / 0.055))):
        pen.line([(left, y), (right, y)], pen.hue.pale, 0.007)
    pen.line([(left, top), (right, top)], pen.hue.pale, 0.024)
    for x in (left, right):
        pen.line([(x, top - 0.02), (x, bottom + 0.06)], pen.hue.dark, 0.02)


def running_track(pen: Pen) -> None:
    """Draw the lanes of a running track that meet far away, with runners."""
    horizon = pen.between(0.15, 0.32)
    pen.floor(horizon)
    lanes = pen.count(5, 7)
    vanish = pen.between(0.3, 0.7)
    pen.poly([(vanish - 0.12, horizon), (vanish + 0.12, horizon), (1.45, 1.15), (-0.45, 1.15)], pen.hue.main)
    for far, near in zip(spread(vanish - 0.12, vanish + 0.12, lanes + 1), spread(-0.45, 1.45, lanes + 1), strict=True):
        pen.line([(far, horizon), (near, 1.15)], pen.hue.pale, 0.018)
    for index in range(pen.count(2, 4)):
        depth = pen.between(0.35, 0.8)
        x = vanish + (0.5 - vanish) * depth + (index - 1.2) * 0.36 * depth
        draw_athlete(pen, x, horizon + (1.1 - horizon) * depth, 0.12 + 0.42 * depth, pen.colour())


def track_oval(pen: Pen) -> None:
    """Draw a stadium from above: an oval track round a green."""
    pen.box(-1, -1, 2, 2, pen.hue.back)
    pen.disc(0.5, 0.5, 0.54, pen.hue.main, 0.76)
    lanes, squash = pen.count(4, 6), 0.74
    for radius in spread(0.34, 0.53, lanes):
        pen.ring(0.5, 0.5, radius, pen.hue.pale, 0.013, squash)
    pen.disc(0.5, 0.5, 0.33, pen.hue.ground, squash)
    pen.frame(0.3, 0.37, 0.7, 0.63, pen.hue.pale, 0.014)
    pen.line([(0.5, 0.37), (0.5, 0.63)], pen.hue.pale, 0.014)
    pen.ring(0.5, 0.5, 0.06, pen.hue.pale, 0.014)
    for _ in range(pen.count(3, 7)):
        angle, radius = pen.between(0, 2 * math.pi), pen.between(0.38, 0.5)
        x, y = 0.5 + radius * math.cos(angle), 0.5 + radius * squash * math.sin(angle)
        draw_athlete(pen, x, y + 0.05, 0.12, pen.hue.accent)


def ball_in_goal(pen: Pen) -> None:
    """Draw a goal with its net, a large ball and sometimes a keeper."""
    pen.floor(0.72)
    left, right, top = pen.between(0.02, 0.12), pen.between(0.88, 0.98), pen.between(0.1, 0.2)
    for x in spread(left, right, pen.count(10, 14)):
        pen.line([(x, top), (0.5 + (x - 0.5) * 0.85, 0.72)], pen.hue.pale, 0.008)
    for y in spread(top, 0.72, pen.count(7, 10)):
        pen.line([(left, y), (right, y)], pen.hue.pale, 0.008)
    pen.line([(left, 0.76), (left, top), (right, top), (right, 0.76)], pen.hue.ink, 0.036)
    pen.line([(-0.5, 0.76), (1.5, 0.76)], pen.hue.pale, 0.018)
    if pen.chance(0.6):
        draw_athlete(pen, pen.between(0.3, 0.65), 0.76, 0.4, pen.hue.accent)
    draw_ball(pen, pen.between(0.2, 0.8), pen.between(0.55, 0.85), pen.between(0.1, 0.17))


def basketball_hoop(pen: Pen) -> None:
    """Draw a basketball that flies to the hoop before its board."""
    pen.floor(0.86)
    pen.box(0.18, 0.06, 0.78, 0.48, pen.hue.pale)
    pen.frame(0.18, 0.06, 0.78, 0.48, pen.hue.dark, 0.024)
    pen.frame(0.37, 0.2, 0.59, 0.4, pen.hue.dark, 0.02)
    pen.line([(0.48, 0.48), (0.48, 0.95)], pen.hue.ink, 0.03)
    rim, foot = spread(0.34, 0.62, 7), spread(0.41, 0.55, 7)
    for index, x in enumerate(rim):
        for goal in (index - 1, index + 1):
            if 0 <= goal < 7:
                pen.line([(x, 0.45), (foot[goal], 0.68)], pen.hue.second, 0.012)
    pen.ring(0.48, 0.45, 0.15, pen.hue.accent, 0.03, 0.28)
    draw_ball(pen, pen.between(0.68, 0.92), pen.between(0.1, 0.4), pen.between(0.1, 0.14))
    if pen.chance(0.6):
        draw_athlete(pen, pen.between(0.1, 0.25), 0.98, 0.44, pen.hue.accent)


def pool_lanes(pen: Pen) -> None:
    """Draw swimmers between the float ropes of a pool."""
    pen.box(-1, -1, 2, 2, pen.hue.ground)
    lanes = pen.count(4, 6)
    height = 1.1 / lanes
    for index, y in enumerate(spread(-0.05, 1.05, lanes + 1)):
        for step, x in enumerate(spread(-0.1, 1.1, 30)):
            pen.disc(x, y, 0.02, pen.hue.accent if (step // 2) % 2 else pen.hue.pale)
        if index < lanes and pen.chance(0.75):
            x, middle = pen.between(0.15, 0.8), y + height / 2
            pen.line([(x - 0.2, middle), (x - 0.02, middle)], pen.hue.pale, 0.045)
            pen.line([(x - 0.16, middle), (x - 0.02, middle)], pen.skin(), 0.035)
            pen.line([(x - 0.04, middle), (x + 0.02, middle - 0.05), (x + 0.09, middle - 0.02)], pen.skin(), 0.02)
            pen.disc(x, middle, 0.036, pen.hue.dark)
        for _ in range(2):
            x, drop = pen.between(0, 0.9), pen.between(0.3, 0.7) * height
            pen.line(arc(x, y + drop, 0.06, 0.012, math.pi, 2 * math.pi), pen.hue.main, 0.01)


# --- 文娱: culture ----------------------------------------------------------------------------------


def draw_curtain(pen: Pen, left: float, right: float, bottom: float) -> None:
    """Draw hanging folds of cloth."""
    folds = max(3, round((right - left) / 0.05))
    width = (right - left) / folds
    for index, x in enumerate(spread(left, right - width, folds)):
        pen.box(x, -0.2, x + width, bottom, pen.hue.main if index % 2 else pen.hue.second)
        pen.disc(x + width / 2, bottom, width / 2, pen.hue.main if index % 2 else pen.hue.second)


def stage_show(pen: Pen) -> None:
    """Draw a stage with curtain, spotlights and performers."""
    pen.box(-1, -1, 2, 2, pen.hue.dark)
    pen.floor(0.8)
    performers = pen.count(1, 3)
    spots = spread(0.5, 0.5, 1) if performers == 1 else spread(0.34, 0.66, performers)
    for x in spots:
        lamp = x + pen.between(-0.15, 0.15)
        pen.poly([(lamp - 0.02, -0.1), (lamp + 0.02, -0.1), (x + 0.15, 0.86), (x - 0.15, 0.86)], pen.hue.accent)
        pen.disc(x, 0.87, 0.16, pen.hue.pale, 0.3)
    for x in spots:
        draw_person(pen, x, 0.88, 0.42, pen.hue.dark)
    width = pen.between(0.18, 0.26)
    draw_curtain(pen, -0.15, width, 0.92)
    draw_curtain(pen, 1 - width, 1.15, 0.92)
    draw_curtain(pen, -0.15, 1.15, 0.1)


def film_strip(pen: Pen) -> None:
    """Draw a strip of film with holes at both edges and a picture in each frame."""
    tilt, single = pen.between(-0.4, 0.4), pen.chance(0.5)
    half = pen.between(0.22, 0.28) if single else 0.24
    for middle in (0.5,) if single else (0.22, 0.78):
        ends = [(-0.3, middle - 0.8 * tilt), (1.3, middle + 0.8 * tilt)]
        pen.poly([(x, y + side * half) for side in (-1, 1) for x, y in ends[::side]], pen.hue.dark)
        for x in spread(-0.28, 1.28, 22):
            centre = middle + tilt * (x - 0.5)
            for y in (centre - half * 0.83, centre + half * 0.83):
                pen.box(x - 0.018, y - 0.022, x + 0.018, y + 0.022, pen.hue.pale)
        for x in spread(-0.3, 1.0, 5):
            centre = middle + tilt * (x + 0.14 - 0.5)
            pen.box(x, centre - half * 0.64, x + 0.28, centre + half * 0.64, pen.colour())
            pen.disc(x + 0.14, centre + 0.02, half * 0.3, pen.hue.pale)


def cinema_screen(pen: Pen) -> None:
    """Draw a bright screen in a dark hall, seen from behind the audience."""
    pen.box(-1, -1, 2, 2, pen.hue.dark)
    pen.box(0.06, 0.06, 0.94, 0.6, pen.hue.pale)
    pen.box(0.09, 0.09, 0.91, 0.57, pen.hue.second)
    if pen.chance(0.5):
        pen.poly([(0.43, 0.2), (0.43, 0.46), (0.62, 0.33)], pen.hue.pale)
    else:
        pen.disc(pen.between(0.2, 0.8), 0.22, 0.07, pen.hue.pale)
        pen.poly([(0.09, 0.57), (0.3, 0.3), (0.5, 0.5), (0.65, 0.35), (0.91, 0.57)], pen.hue.accent)
    draw_curtain(pen, -0.3, 0.04, 0.7)
    draw_curtain(pen, 0.96, 1.3, 0.7)
    for row, y in enumerate((0.76, 0.95)):
        for x in spread(-0.05 + 0.05 * row, 1.0, 7 - row):
            pen.box(x - 0.065, y - 0.02, x + 0.065, 1.3, pen.hue.ground if row else pen.hue.main)
            pen.disc(x, y - 0.05, 0.045, pen.hue.dark if row else pen.hue.ground)


def string_instrument(pen: Pen) -> None:
    """Draw a violin, a guitar or a lute with its strings."""
    pen.floor(pen.between(0.5, 1.1))
    wood, lute = pen.hue.main, pen.chance(0.35)
    if lute:
        pen.poly([(0.46, 0.3), (0.54, 0.3), *arc(0.5, 0.72, 0.26, 0.27, -0.2, math.pi + 0.2)], wood)
    else:
        pen.disc(0.5, 0.76, 0.26, wood, 0.85)
        pen.disc(0.5, 0.5, 0.19, wood, 0.9)
    pen.disc(0.5, 0.62, 0.08, pen.hue.dark)
    for side in (-1, 1):
        pen.line(arc(0.5 + side * 0.14, 0.66, 0.02, 0.08, -1.5, 1.5), pen.hue.dark, 0.016)
    pen.box(0.46, 0.02, 0.54, 0.6, pen.hue.dark)
    pen.box(0.44, -0.1, 0.56, 0.05, wood)
    for y in spread(-0.07, 0.03, 3):
        pen.line([(0.37, y), (0.63, y)], pen.hue.accent, 0.022)
    pen.box(0.4, 0.82, 0.6, 0.86, pen.hue.dark)
    for x in spread(0.473, 0.527, 4):
        pen.line([(x, 0.0), (x, 0.85)], pen.hue.pale, 0.008)
    if not lute and pen.chance(0.6):
        pen.line([(0.02, 0.9), (0.95, 0.25)], pen.hue.ink, 0.022)
        pen.line([(0.04, 0.93), (0.97, 0.28)], pen.hue.pale, 0.012)


def draw_spine(pen: Pen, x: float, bottom: float, tall: float) -> float:
    """Draw one book on a shelf, now and then leaning, and return where the next one starts."""
    hue = pen.hue
    width, lean = pen.between(0.045, 0.1), 0.06 if pen.chance(0.12) else 0.0
    colour = (hue.main, hue.second, hue.accent, hue.dark, hue.pale)[pen.count(0, 4)]
    right, top, band = x + width, bottom - tall, bottom - tall * 0.8
    pen.poly([(x, bottom), (right, bottom), (right + lean, top), (x + lean, top)], colour)
    ends = [(x + lean * 0.8 + 0.01, band), (right + lean * 0.8 - 0.01, band)]
    pen.line(ends, hue.dark if colour == hue.pale else hue.pale, 0.02)
    return right + lean + 0.006


def book_shelf(pen: Pen) -> None:
    """Draw shelves of books with coloured spines."""
    shelves = pen.count(2, 3)
    height = 1.0 / shelves
    for bottom in spread(height, 1.0, shelves):
        x = -0.1
        while x < 1.08:
            x = draw_spine(pen, x, bottom, height * pen.between(0.6, 0.88))
        pen.box(-0.5, bottom, 1.5, bottom + 0.035, pen.hue.ground)


def open_book(pen: Pen) -> None:
    """Draw an open book with lines of text on both pages."""
    pen.floor(pen.between(0.0, 0.8))
    for side in (-1, 1):
        cover = [(0.5, 0.28), (0.5 + side * 0.48, 0.2), (0.5 + side * 0.48, 0.8), (0.5, 0.9)]
        pen.poly(cover, pen.hue.main)
        top = [(0.5 + side * 0.45 * step, 0.27 - 0.09 * math.sin(math.pi * step * 0.9)) for step in spread(0, 1, 9)]
        low = [(x, y + 0.56) for x, y in reversed(top)]
        pen.poly(top + low, pen.hue.pale)
        for drop in spread(0.08, 0.48, pen.count(6, 9)):
            pen.line([(x, y + drop) for x, y in top[1:8]], pen.hue.second, 0.014)
    pen.line([(0.5, 0.27), (0.5, 0.86)], pen.hue.dark, 0.018)


def draw_mask(pen: Pen, x: float, y: float, size: float, laughs: bool) -> None:
    """Draw a mask with painted eyes, brows, nose and a laughing or weeping mouth."""
    face, paint = (pen.hue.pale, pen.hue.accent) if laughs else (pen.hue.accent, pen.hue.dark)
    brow = arc(x, y, size * 0.8, size * 0.7, math.pi, 2 * math.pi)
    pen.poly(brow + arc(x, y, size * 0.8, size * 1.2, 0, math.pi), face)
    for eye in (x - size * 0.36, x + size * 0.36):
        pen.disc(eye, y - size * 0.02, size * 0.24, paint, 0.85)
        pen.disc(eye, y, size * 0.13, pen.hue.dark, 0.6)
        brow = arc(eye, y - size * 0.25, size * 0.3, size * 0.14, math.pi, 2 * math.pi)
        pen.line(brow, pen.hue.dark, size * 0.09)
    pen.poly([(x, y), (x - size * 0.1, y + size * 0.4), (x + size * 0.1, y + size * 0.4)], paint)
    drop, start = (0.55, 0.0) if laughs else (0.85, math.pi)
    pen.poly(arc(x, y + size * drop, size * 0.38, size * 0.26, start, start + math.pi), pen.hue.dark)


def theatre_masks(pen: Pen) -> None:
    """Draw a laughing and a weeping mask, or one opera mask with a painted forehead."""
    pen.floor(pen.between(0.6, 1.2))
    if pen.chance(0.45):
        draw_mask(pen, 0.5, 0.5, 0.38, laughs=True)
        pen.poly([(0.455, 0.235), (0.545, 0.235), (0.5, 0.44)], pen.hue.accent)
    else:
        draw_mask(pen, 0.28, 0.4, 0.25, laughs=True)
        draw_mask(pen, 0.72, 0.6, 0.25, laughs=False)


# --- Pictures that fit any class ----------------------------------------------------------------------


def draw_houses(pen: Pen, side: int) -> None:
    """Draw the row of houses on one side of a street, in perspective."""
    near, far = 0.5 + side * 0.7, 0.5 + side * 0.08
    wall = [(far, 0.4), (far, 0.58), (near, 1.0), (near, -0.2)]
    pen.poly(wall, pen.hue.main if side > 0 else pen.hue.second)
    for step in spread(0.18, 0.45, pen.count(2, 3)):
        x = 0.5 + side * step
        for y in (0.45 - step * 0.7, 0.5 - step * 0.15):
            pen.box(x - 0.04, y, x + 0.04, y + 0.12 * (0.5 + step), pen.hue.pale)


def draw_car(pen: Pen, x: float, y: float) -> None:
    """Draw a small car."""
    pen.box(x, y, x + 0.2, y + 0.08, pen.hue.accent)
    pen.box(x + 0.04, y - 0.06, x + 0.16, y, pen.hue.accent)
    for wheel in (x + 0.04, x + 0.16):
        pen.disc(wheel, y + 0.085, 0.03, pen.hue.pale)


def street(pen: Pen) -> None:
    """Draw a street between houses, with people and often a car."""
    pen.floor(0.55)
    for side in (-1, 1):
        draw_houses(pen, side)
    pen.poly([(0.47, 0.58), (0.53, 0.58), (0.95, 1.2), (0.05, 1.2)], pen.hue.dark)
    for y in (0.66, 0.78, 0.94):
        pen.line([(0.5, y), (0.5, y + 0.06)], pen.hue.pale, 0.02)
    if pen.chance(0.6):
        draw_car(pen, pen.between(0.4, 0.55), pen.between(0.7, 0.82))
    for _ in range(pen.count(1, 4)):
        x, y = pen.between(0.05, 0.95), pen.between(0.75, 0.95)
        draw_person(pen, x, y, pen.between(0.2, 0.3), pen.colour())


def crowd(pen: Pen) -> None:
    """Draw a crowd of heads, seen from behind or from the front."""
    back_view = pen.chance(0.5)
    for row, y in enumerate(spread(pen.between(0.35, 0.5), 1.15, pen.count(3, 5))):
        size = 0.2 + 0.07 * row
        for x in spread(-0.1, 1.1, 7 - row):
            coat = (pen.colour(), pen.hue.dark, pen.hue.pale)[pen.count(0, 2)]
            draw_bust(pen, x + pen.between(-0.05, 0.05), y + pen.between(-0.02, 0.02), size, coat, back_view)


def skyline(pen: Pen) -> None:
    """Draw the towers of a town, with windows, sun or moon."""
    pen.disc(pen.between(0.1, 0.9), pen.between(0.1, 0.25), 0.08, pen.hue.accent)
    x = -0.2
    while x < 1.2:
        width, top = pen.between(0.1, 0.2), pen.between(0.25, 0.7)
        pen.box(x, top, x + width, 1.0, pen.hue.main if pen.chance(0.5) else pen.hue.second)
        for y in np.arange(top + 0.05, 0.9, 0.08):
            for pane in spread(x + 0.03, x + width - 0.03, 3):
                if pen.chance(0.6):
                    pen.box(pane - 0.012, y, pane + 0.012, y + 0.035, pen.hue.pale)
        x += width + pen.between(0.0, 0.03)
    pen.floor(0.92)


def hands(pen: Pen) -> None:
    """Draw raised or reaching hands."""
    for _ in range(pen.count(2, 4)):
        x, y, size, skin = pen.between(0.1, 0.9), pen.between(0.4, 0.65), pen.between(0.13, 0.2), pen.skin()
        lean = pen.between(-0.25, 0.25)
        pen.line([(x, y), (x - lean * 0.8, 1.3)], pen.colour(), size * 1.1)
        pen.line([(x, y), (x - lean * 0.3, y + size * 1.7)], skin, size * 0.75)
        pen.disc(x, y, size * 0.55, skin)
        for finger in spread(-0.42, 0.42, 4):
            tip = (x + size * (finger * 1.6 + lean), y - size * (1.35 - abs(finger)))
            pen.line([(x + finger * size, y - size * 0.3), tip], skin, size * 0.24)
        pen.line([(x + size * 0.4, y + size * 0.1), (x + size * 0.95, y - size * 0.35)], skin, size * 0.26)


def desk_with_papers(pen: Pen) -> None:
    """Draw a table top with sheets of paper, a cup and a pen."""
    pen.floor(pen.between(-0.2, 0.25))
    for _ in range(pen.count(2, 4)):
        x, y, turn = pen.between(0.2, 0.8), pen.between(0.35, 0.85), pen.between(-0.6, 0.6)
        across, down = (math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))

        def spot(u: float, v: float, x: float = x, y: float = y, a: Point = across, d: Point = down) -> Point:
            return x + u * a[0] + v * d[0], y + u * a[1] + v * d[1]

        pen.poly([spot(-0.15, -0.2), spot(0.15, -0.2), spot(0.15, 0.2), spot(-0.15, 0.2)], pen.hue.pale)
        for line in spread(-0.14, 0.14, pen.count(4, 6)):
            pen.line([spot(-0.11, line), spot(pen.between(0.02, 0.11), line)], pen.hue.main, 0.014)
    x, y = pen.between(0.1, 0.9), pen.between(0.3, 0.9)
    pen.disc(x, y, 0.1, pen.hue.second)
    pen.disc(x, y, 0.075, pen.hue.dark)
    x, y = pen.between(0.2, 0.7), pen.between(0.3, 0.9)
    pen.line([(x, y), (x + 0.22, y - 0.12)], pen.hue.accent, 0.03)


Scene = Callable[[Pen], None]

SCENES: dict[str, tuple[Scene, ...]] = {
    "时政": (speech_rostrum, assembly_hall, flag_row, columned_building, round_table, handshake_before_flags),
    "财经": (candle_chart, bar_chart, ticker_board, line_chart, container_port, shop_front, coin_stacks),
    "科技": (circuit_board, node_graph, planet_and_probe, satellite_dish, tube_rack, robot_arm),
    "体育": (football_pitch, running_track, pool_lanes, track_oval, net_court, ball_in_goal, basketball_hoop),
    "文娱": (film_strip, book_shelf, stage_show, string_instrument, theatre_masks, cinema_screen, open_book),
}
GENERIC: tuple[Scene, ...] = (street, crowd, skyline, hands, desk_with_papers)


# --- Clutter and the camera's faults --------------------------------------------------------------------


def clutter_line(pen: Pen) -> None:
    """Draw a stray line, such as a cable or a branch."""
    points = [(pen.between(-0.1, 1.1), pen.between(-0.1, 1.1)) for _ in range(pen.count(2, 3))]
    pen.line(points, pen.colour(), pen.between(0.008, 0.03))


def clutter_blob(pen: Pen) -> None:
    """Draw a blob out of focus, mostly near the edge, so that it seldom hides the scene."""
    angle, reach = pen.between(0, 2 * math.pi), pen.between(0.35, 0.6)
    x, y = 0.5 + reach * math.cos(angle), 0.5 + reach * math.sin(angle)
    pen.disc(x, y, pen.between(0.03, 0.12), pen.colour(), pen.between(0.6, 1.4))


def clutter_head(pen: Pen) -> None:
    """Let a passer-by walk into the lower edge of the picture."""
    draw_bust(pen, pen.between(0.0, 1.0), 1.15, pen.between(0.22, 0.36), pen.colour(), pen.chance(0.5))


def clutter_tree(pen: Pen) -> None:
    """Let a small tree stand at one side."""
    x, size = (pen.between(-0.05, 0.15), pen.between(0.85, 1.05))[pen.count(0, 1)], pen.between(0.08, 0.14)
    pen.line([(x, 0.75), (x, 0.98)], pen.hue.dark, 0.03)
    pen.disc(x, 0.7, size, pen.hue.main, 1.2)


def clutter_sign(pen: Pen) -> None:
    """Hang a small sign with lines of writing somewhere."""
    x, y = pen.between(-0.05, 0.9), pen.between(-0.02, 0.9)
    pen.box(x, y, x + 0.18, y + 0.12, pen.hue.pale)
    for drop in (0.035, 0.075):
        pen.line([(x + 0.02, y + drop), (x + pen.between(0.09, 0.16), y + drop)], pen.hue.dark, 0.016)


def clutter_prop(pen: Pen) -> None:
    """Add a small thing that belongs to another class: a flag, a ball, a coin, a book."""
    x, y = pen.between(0.0, 0.9), pen.between(0.0, 0.9)
    choice = pen.count(0, 3)
    if choice == 0:
        draw_flag(pen, x, y, y + 0.2, 0.13)
    elif choice == 1:
        draw_ball(pen, x, y, 0.06)
    elif choice == 2:
        pen.disc(x, y, 0.06, pen.hue.accent)
        pen.ring(x, y, 0.042, pen.hue.dark, 0.012)
    else:
        pen.box(x, y, x + 0.1, y + 0.14, pen.hue.second)
        pen.box(x + 0.02, y + 0.03, x + 0.08, y + 0.05, pen.hue.pale)


CLUTTER_THINGS: tuple[Scene, ...] = (clutter_line, clutter_blob, clutter_head, clutter_tree, clutter_sign, clutter_prop)


def add_clutter(pen: Pen) -> None:
    """Put foreign things over the scene."""
    for _ in range(pen.count(*CLUTTER)):
        CLUTTER_THINGS[pen.count(0, len(CLUTTER_THINGS) - 1)](pen)


def develop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Shrink the canvas and add blur, coarse noise, uneven light and few colours, as a bad camera would."""
    small = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(rng.uniform(*BLUR)))
    pixels = np.asarray(small, dtype=float)
    # Noise in blocks of two pixels compresses far better than noise in every pixel.
    grain = rng.normal(0, rng.uniform(*NOISE), (SIZE // 2, SIZE // 2, 1)).repeat(2, axis=0).repeat(2, axis=1)
    tint = rng.uniform(0.92, 1.08, 3)
    light = np.linspace(rng.uniform(0.85, 1.0), rng.uniform(0.85, 1.0), SIZE).reshape(1, SIZE, 1)
    pixels = (pixels + grain) * light * tint * rng.uniform(*BRIGHTNESS)
    bright = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return bright.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB")


def draw_image(label: str, generic: bool, seed: int) -> Image.Image:
    """Draw one 96 x 96 RGB picture for an item of the given class."""
    rng = np.random.default_rng(seed)
    scenes = GENERIC if generic else SCENES[label]
    pen = Pen(rng)
    weights = FADE ** np.arange(len(scenes))
    scenes[int(rng.choice(len(scenes), p=weights / weights.sum()))](pen)
    add_clutter(pen)
    return develop(pen.image, rng)


def write_images(rows: Iterable[tuple[str, str, bool, int]], folder: str | Path) -> list[Path]:
    """Write one PNG per row (name, label, generic, seed) into the folder and return the paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, label, generic, seed in rows:
        path = folder / (name if name.endswith(".png") else f"{name}.png")
        draw_image(label, generic, seed).save(path, format="PNG", optimize=True)
        paths.append(path)
    return paths
