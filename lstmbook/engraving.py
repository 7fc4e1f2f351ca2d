"""A score as a picture on matplotlib Axes, for where an SVG cannot be shown.

    ax = engraved(piece)                     # Axes with the staves, the notes, ...

verovio engraves (`lstmbook.scores.svg`); here its outlines are drawn. This is no
general reader of SVG: it knows what verovio writes, and raises for anything else.
"""

import re
from xml.etree import ElementTree

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.path import Path

from . import scores
from .datasets.voices import Piece

# How many numbers each command of an outline takes (SVG 1.1, sec. 8.3).
TAKES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Z": 0}
INK = "#1F2933"
THINNEST = 20  # the lines of a staff would be paler than a screen can show


def engraved(piece: Piece, ax=None, width: int = 1600, inches: float = 7.2):
    """Draw the score of a piece. Returns the Axes, which have its proportions.

    width: of the page, in verovio's units (a tenth of a millimetre): a wider page
        has more bars in a line and smaller notes
    inches: how wide the figure is, if there are no Axes yet; its height follows
    """
    shapes, box = outlines(scores.svg(piece, width=width))
    left, top, right, bottom = box
    if ax is None:
        from .plotting import figure

        _, ax = figure(inches, inches * (bottom - top) / (right - left))
    ink = PathCollection(shapes, facecolors=INK, linewidths=0, snap=False)
    ax.add_collection(ink)
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.axis("off")
    return ax


def outlines(svg: str) -> tuple[list[Path], tuple[float, float, float, float]]:
    """The shapes of verovio's SVG, all to be filled, and the box around them.

    Strokes, which are straight there, become narrow rectangles. Text, such as
    numbers of bars, is left out. The box is (left, top, right, bottom), y downwards.
    """
    root = ElementTree.fromstring(re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg))
    symbols = {g.get("id"): g for g in root.iter("g") if g.get("id")}
    shapes = []

    def walk(element, scale, shift):
        if "placeholder" in element.get("class", "") or element.tag == "defs":
            return
        scale, shift = _placed(element.get("transform", ""), scale, shift)
        if (shape := _shape(element)) is not None:
            shapes.append(Path(shape.vertices * scale + shift, shape.codes))
        if element.tag == "use":
            walk(symbols[element.get("href").lstrip("#")], scale, shift)
        for child in element:
            walk(child, scale, shift)

    walk(root, np.ones(2), np.zeros(2))
    if not shapes:
        raise ValueError("the SVG has no shapes: is it a score by verovio?")
    points = np.concatenate([shape.vertices for shape in shapes])
    margin = 90  # half a space between two lines of a staff
    low, high = points.min(0) - margin, points.max(0) + margin
    return shapes, (low[0], low[1], high[0], high[1])


def outline(d: str) -> Path:
    """The path that the attribute d of an SVG describes."""
    points, codes = [], []
    at = start = control = np.zeros(2)
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", d):
        kind = command.upper()
        if kind not in TAKES:
            raise ValueError(f"an outline with the unknown command {command!r}")
        numbers = [float(n) for n in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        if kind == "Z":
            points.append(start)
            codes.append(Path.CLOSEPOLY)
            at = control = start
            continue
        for k in range(0, len(numbers), TAKES[kind]):
            given = np.array(numbers[k : k + TAKES[kind]])
            base = at if command.islower() else np.zeros(2)
            if kind in "HV":
                axis = "HV".index(kind)
                new = at.copy()
                new[axis] = given[0] + base[axis]
                new = new[None]
            else:
                new = given.reshape(-1, 2) + base
            if kind == "S":  # the last control point, mirrored, comes first
                new = np.concatenate([(2 * at - control)[None], new])
            points += list(new)
            move = kind == "M" and k == 0
            codes += [Path.CURVE4] * 3 if kind in "CS" else [
                Path.MOVETO if move else Path.LINETO]  # fmt: skip
            at = new[-1]
            control = new[1] if kind in "CS" else at
            start = at if move else start
    return Path(points, codes)


def _placed(transform: str, scale, shift):
    """Scale and shift of what stands inside an element with this transform."""
    for name, text in re.findall(r"(\w+)\(([^)]*)\)", transform):
        numbers = np.array([float(n) for n in re.split(r"[\s,]+", text.strip())])
        if name == "translate":
            shift = shift + scale * numbers
        elif name == "scale":
            scale = scale * numbers
        else:
            raise ValueError(f"transform {name!r}, which is not known")
    return scale, shift


def _shape(element) -> Path | None:
    """What one element draws, to be filled."""
    get = element.get
    if element.tag == "path":
        path = outline(get("d"))
        stroke = float(get("stroke-width", 0))
        if len(path.vertices) == 2 and stroke:
            return _bar(*path.vertices, max(stroke, THINNEST))
        return path
    if element.tag == "polygon":
        numbers = [float(n) for n in re.split(r"[\s,]+", get("points").strip())]
        return Path(np.array(numbers).reshape(-1, 2), closed=False)
    if element.tag == "ellipse":
        center = np.array([float(get("cx")), float(get("cy"))])
        radius = np.array([float(get("rx")), float(get("ry"))])
        circle = Path.unit_circle()
        return Path(circle.vertices * radius + center, circle.codes)
    if element.tag == "rect":
        x, y, w, h = (float(get(k)) for k in ("x", "y", "width", "height"))
        return Path([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
    return None


def _bar(a, b, width: float) -> Path:
    """A straight stroke from a to b as a rectangle."""
    along = (b - a) / (np.linalg.norm(b - a) or 1)
    aside = np.array([-along[1], along[0]]) * width / 2
    return Path([a + aside, b + aside, b - aside, a - aside])
