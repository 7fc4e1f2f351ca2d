"""Drawings of recurrence: the LSTM cell part by part, the unrolled loop, two paths.

Plain matplotlib in units of the drawing; every arrow ends where a box begins. Use
them through `lstmbook.plotting`.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from .palette import COLORS, GREY, MODELS, SERIES, BookFigure, ink, tint

#: Parts of the cell in the order in which they were invented, and are explained.
PARTS = (
    "cell",
    "candidate",
    "input",
    "output",
    "recurrent",
    "forget",
    "peepholes",
)

_COLOR_OF = {
    "cell": COLORS["c"],
    "candidate": COLORS["g"],
    "input": COLORS["i"],
    "output": COLORS["o"],
    "recurrent": COLORS["h"],
    "forget": COLORS["f"],
    "peepholes": COLORS["c"],
}

_NEEDS = {
    "candidate": "cell",
    "input": "candidate",
    "output": "candidate",
    "forget": "candidate",
    "recurrent": "output",
    "peepholes": "candidate",
}


def cell_drawing(parts=PARTS[:-1], highlight=None, ax=None):
    """Draw the LSTM cell as far as it has been explained.

    parts:     names from PARTS; the rest is left out
    highlight: the part, or parts, in colour, the others grey; None is the last
               of `parts`, "all" gives each its colour
    ax:        Axes to draw in; without one a figure is made
    Returns the Axes. Under the drawing stand the equations of the parts drawn.
    Raises ValueError for a part that is not in PARTS or hangs in the air, such as
    "recurrent", the way of h, without "output", which makes h.
    """
    parts = tuple(parts)
    if highlight is None:
        highlight = parts[-1:]
    highlight = parts if highlight == "all" else highlight
    highlight = (highlight,) if isinstance(highlight, str) else tuple(highlight)
    _check_parts(parts, highlight)
    if ax is None:
        left = len({"input", "forget", "candidate"} & set(parts))
        rows = max(left, 3 if "output" in parts else 1)
        bottom = -0.95 if parts == ("cell",) else -0.75 - 0.62 * rows
        ax = _axes(7.6, (-1.0, 10.9), (bottom, 6.25))
    pens = {p: _Pen(ax, _COLOR_OF[p], p in highlight) for p in PARTS}
    _frame(ax, 0.75, 0.4, 9.35, 6.1)
    _carousel(pens, parts)
    if parts == ("cell",):
        _loop(pens["cell"])
    else:
        _gates(pens, parts)
    if "output" in parts:
        _output(pens, parts)
    if "peepholes" in parts:
        _peepholes(pens["peepholes"], parts)
    _equations(ax, pens, parts)
    return ax


def unrolled_drawing(n=3):
    """A recurrent network as a loop and, beside it, unrolled over n steps.

    Returns the Axes.
    """
    if n < 2:
        raise ValueError(f"n is {n}; unrolling shows at least 2 steps")
    gap, left = 2.35, 4.2
    right = left + gap * (n - 1)
    ax = _axes(7.6, (-1.1, right + 2.0), (-0.85, 3.25))
    h = _Pen(ax, COLORS["h"], True)
    x = _Pen(ax, SERIES[2], True)
    w = _Pen(ax, MODELS["RNN"], True)

    def cell(at, step):
        h.box(at, 1.2, r"$\tanh$", half=0.5)
        x.path((at, -0.15), (at, 0.85))
        x.text(at, -0.45, f"$x_{{{step}}}$", size=14)
        x.text(at + 0.14, 0.3, "$W$", ha="left")
        h.path((at, 1.55), (at, 2.5))
        h.text(at, 2.8, f"$h_{{{step}}}$", size=14)

    cell(0.0, "t")
    w.path((0.0, 2.0), (-0.95, 2.0), (-0.95, 1.2), (-0.5, 1.2))
    w.dot(0.0, 2.0)
    w.text(-0.72, 2.22, "$R$")
    h.text(1.75, 1.2, "$=$", size=22)
    w.text(left - 1.65, 1.2, "$h_0$", size=14)
    w.path((left - 1.35, 1.2), (left - 0.5, 1.2))
    w.text(left - 0.95, 1.42, "$R$")
    for k in range(n):
        at = left + gap * k
        cell(at, k + 1)
        if k < n - 1:
            w.path((at + 0.5, 1.2), (at + gap - 0.5, 1.2))
            w.text(at + gap / 2, 1.42, "$R$")
    w.path((right + 0.5, 1.2), (right + 1.2, 1.2))
    w.text(right + 1.5, 1.2, r"$\cdots$", size=16)
    return ax


def two_paths_drawing(n=3):
    """The two ways through time: the cell state above, the hidden state below.

    Returns the Axes.
    """
    wide = 3.0
    end = wide * n
    ax = _axes(7.6, (-1.0, end + 1.0), (-1.55, 4.5))
    c = _Pen(ax, COLORS["c"], True, width=3.6)
    h = _Pen(ax, COLORS["h"], True, width=2.6)
    grey = _Pen(ax, COLORS["h"], False)
    f = _Pen(ax, COLORS["f"], True)
    i = _Pen(ax, COLORS["i"], True)
    o = _Pen(ax, COLORS["o"], True)
    upper, lower = 3.0, 0.6
    for k in range(n):
        at = wide * k
        _frame(ax, at + 0.2, -0.1, at + wide - 0.2, 3.6)
        times, plus, out = at + 0.75, at + 1.45, at + 2.35
        c.path((at if k else -0.35, upper), (times - _R, upper))
        c.path((times + _R, upper), (plus - _R, upper), arrow=False)
        c.path(
            (plus + _R, upper),
            (at + wide if k < n - 1 else end + 0.35, upper),
            arrow=k == n - 1,
        )
        h.path((at if k else -0.35, lower), (at + 0.45, lower))
        h.ax.add_patch(
            _rounded(
                at + 0.45,
                lower - 0.4,
                at + 1.75,
                lower + 0.4,
                facecolor=tint(COLORS["h"], 0.08),
                edgecolor=COLORS["h"],
                linewidth=1.8,
                zorder=4,
            )
        )
        h.text(at + 1.1, lower, "gates", size=10.5)
        f.path((times, lower + 0.4), (times, upper - _R))
        f.text(times - 0.12, 1.85, "$f$", ha="right")
        i.path((plus, lower + 0.4), (plus, upper - _R))
        i.text(plus + 0.12, 1.85, r"$i \odot g$", ha="left")
        f.times(times, upper)
        i.plus(plus, upper)
        c.path((out, upper), (out, lower + _R))
        c.dot(out, upper)
        o.path((at + 1.75, lower), (out - _R, lower))
        o.text(at + 1.92, lower + 0.24, "$o$")
        o.times(out, lower)
        h.path(
            (out + _R, lower),
            (at + wide if k < n - 1 else end + 0.35, lower),
            arrow=k == n - 1,
        )
        grey.path((at + 1.1, -0.55), (at + 1.1, lower - 0.4))
        grey.text(at + 1.1, -0.85, f"$x_{{{k + 1}}}$", size=13)
    c.text(-0.65, upper, "$c_0$", size=14)
    h.text(-0.65, lower, "$h_0$", size=14)
    c.text(end + 0.68, upper, f"$c_{n}$", size=14)
    h.text(end + 0.68, lower, f"$h_{n}$", size=14)
    c.text(
        0.2,
        3.95,
        "the conveyor: scaled by $f$, added to, never rewritten",
        ha="left",
        size=11,
    )
    h.text(
        0.2,
        -1.35,
        "the working memory: made anew from $c$ at every step",
        ha="left",
        size=11,
    )
    return ax


# --- the cell, part by part --------------------------------------------------------

_R = 0.2  # radius of a circle that multiplies or adds
_TOP, _BUS, _BOX = 5.2, 0.95, 2.25  # heights: cell state, inputs, gates
_F, _I, _G, _O, _OUT = 2.0, 3.6, 5.0, 6.9, 8.3  # gates and the output, in x
_X = 1.25  # where x_t comes in and c_{t-1} is tapped
_HALF, _TALL = 0.42, 0.35  # half a gate's box


def _check_parts(parts, highlight):
    if unknown := [part for part in (*parts, *highlight) if part not in PARTS]:
        raise ValueError(f"unknown part {unknown}; the parts are {PARTS}")
    if "cell" not in parts:
        raise ValueError(f'the drawing starts from "cell", got {parts}')
    for part in parts:
        if part in _NEEDS and _NEEDS[part] not in parts:
            raise ValueError(f'"{part}" needs "{_NEEDS[part]}", got {parts}')
    if absent := [part for part in highlight if part not in parts]:
        raise ValueError(f"{absent} cannot be highlighted: not in {parts}")


def _carousel(pens, parts):
    pen = pens["cell"]
    pen.text(-0.5, _TOP, "$c_{t-1}$", size=15)
    pen.text(10.4, _TOP, "$c_t$", size=15)
    if "forget" in parts:
        pen.path((-0.1, _TOP), (_F - _R, _TOP))
        pen.path((_F + _R, _TOP), (_G - _R, _TOP))
    else:
        pen.path((-0.1, _TOP), (_G - _R, _TOP))
        pen.text(2.9, _TOP + 0.28, r"$\times\,1$", size=13)
    pen.path((_G + _R, _TOP), (10.05, _TOP))
    pen.plus(_G, _TOP)
    if parts == ("cell",):
        pen.path((_G, 4.15), (_G, _TOP - _R))
        pen.text(_G, 3.9, "what is new", size=11)


def _loop(pen):
    """The same carousel as the self-connection of one unit, as in 1997."""
    x, y, r = _G, 1.3, 0.42
    pen.text(1.1, 2.95, "the same, as one unit with a loop", ha="left", size=11)
    pen.ax.add_patch(
        Circle(
            (x, y), r, facecolor=pen.fill, edgecolor=pen.color, linewidth=1.8, zorder=4
        )
    )
    pen.text(x, y, "$c$", size=15)
    pen.path((3.3, y), (x - r, y))
    pen.path((x + r, y), (6.7, y))
    d = r * 0.7071
    curve = [(x + d, y + d), (x + 1.4, y + 1.6), (x - 1.4, y + 1.6), (x - d, y + d)]
    pen.arrow(Path(curve, [Path.MOVETO, *[Path.CURVE4] * 3]))
    pen.text(x + 0.8, y + 1.3, r"$\times\,1$", size=13)
    pen.text(3.15, y, "what is new", ha="right", size=11)
    pen.text(6.9, y, "$c_t$", ha="left", size=15)


def _gates(pens, parts):
    at = {"candidate": _G, "input": _I, "output": _O, "forget": _F}
    last = max(x for part, x in at.items() if part in parts)
    x_in = _Pen(pens["cell"].ax, COLORS["h"], pens["candidate"].on)
    x_in.text(_X, -0.3, "$x_t$", size=15)
    x_in.path((_X, -0.05), (_X, _BUS), arrow=False)
    bus = x_in
    if "recurrent" in parts:
        bus = pens["recurrent"]
        bus.text(-0.5, _BUS, "$h_{t-1}$", size=15)
        bus.path((-0.1, _BUS), (_X, _BUS), arrow=False)
        bus.dot(_X, _BUS)
    bus.path((_X, _BUS), (last, _BUS), arrow=False)
    for part, x in at.items():
        if part in parts:
            pen = pens[part]
            pen.path((x, _BUS), (x, _BOX - _TALL))
            if x < last:
                (pen if pen.on else bus).dot(x, _BUS)
            pen.box(x, _BOX, r"$\tanh$" if part == "candidate" else r"$\sigma$")
    g = pens["candidate"]
    if "input" in parts:
        i, y = pens["input"], 3.75
        g.path((_G, _BOX + _TALL), (_G, y - _R))
        i.path((_I, _BOX + _TALL), (_I, y), (_G - _R, y))
        i.path((_G, y + _R), (_G, _TOP - _R))
        i.times(_G, y)
        i.text(4.1, y + 0.25, "$i_t$", size=13)
    else:
        g.path((_G, _BOX + _TALL), (_G, _TOP - _R))
    g.text(_G + 0.15, 3.0, "$g_t$", ha="left", size=13)
    if "forget" in parts:
        f = pens["forget"]
        f.path((_F, _BOX + _TALL), (_F, _TOP - _R))
        f.times(_F, _TOP)
        f.text(_F + 0.15, 4.2, "$f_t$", ha="left", size=13)


def _output(pens, parts):
    pen, y = pens["output"], 3.1
    pen.path((_OUT, _TOP), (_OUT, 4.15 + _TALL))
    pens["cell"].dot(_OUT, _TOP)
    pen.box(_OUT, 4.15, r"$\tanh$")
    pen.path((_OUT, 4.15 - _TALL), (_OUT, y + _R))
    pen.path((_O, _BOX + _TALL), (_O, y), (_OUT - _R, y))
    pen.text(7.4, y + 0.25, "$o_t$", size=13)
    pen.times(_OUT, y)
    h = pens["recurrent"] if pens["recurrent"].on else pen
    h.path((_OUT, y - _R), (_OUT, _BUS), (10.05, _BUS))
    h.text(10.4, _BUS, "$h_t$", size=15)


def _peepholes(pen, parts):
    if "input" in parts:
        if "forget" in parts:
            pen.bridge(_F, 3.2)
        pen.dashes((_X, _TOP), (_X, 3.2), (2.8, 3.2), (2.8, _BOX), (_I - _HALF, _BOX))
    if "forget" in parts:
        pen.dashes((_X, _TOP), (_X, _BOX), (_F - _HALF, _BOX))
    if {"input", "forget"} & set(parts):
        pen.dot(_X, _TOP)
    if "output" in parts:
        pen.dashes((5.95, _TOP), (5.95, _BOX), (_O - _HALF, _BOX))
        pen.dot(5.95, _TOP)


def _equations(ax, pens, parts):
    def inside(k, c):
        terms = [f"W_{k} x_t"]
        if "recurrent" in parts:
            terms.append(f"R_{k} h_{{t-1}}")
        if "peepholes" in parts and c:
            terms.append(rf"p_{k} \odot {c}")
        return " + ".join([*terms, f"b_{k}"])

    kept = r"f_t \odot c_{t-1}" if "forget" in parts else "c_{t-1}"
    new = r"i_t \odot g_t" if "input" in parts else "g_t"
    if parts == ("cell",):
        new = r"\mathrm{what\ is\ new}"
    c_t = rf"$c_t = {kept} + {new}$"
    lines = {
        "input": rf"$i_t = \sigma({inside('i', 'c_{t-1}')})$",
        "forget": rf"$f_t = \sigma({inside('f', 'c_{t-1}')})$",
        "candidate": rf"$g_t = \tanh({inside('g', '')})$",
        "output": rf"$o_t = \sigma({inside('o', 'c_t')})$",
        "cell": c_t,
        "hidden": r"$h_t = o_t \odot \tanh(c_t)$",
    }
    # what else a part changes, when it is the new one
    touches = {
        "candidate": {"cell"},
        "input": {"cell"},
        "forget": {"cell"},
        "output": {"hidden"},
        "recurrent": {"input", "forget", "candidate", "output"},
        "peepholes": {"input", "forget", "output"},
    }
    touched = set().union(*(touches.get(p, set()) for p in parts if pens[p].on))
    plain = _Pen(ax, COLORS["h"], True)
    if parts == ("cell",):
        pens["cell"].text(_G, -0.35, c_t, size=13)
        return
    columns = (("input", "forget", "candidate"), ("output", "cell", "hidden"))
    for x, column in zip((0.55, 5.95), columns, strict=True):
        shown = [
            n for n in column if n in parts or (n == "hidden" and "output" in parts)
        ]
        for row, name in enumerate(shown):
            pen = pens["output" if name == "hidden" else name]
            if name == "hidden" or not pen.on:
                pen = plain if name in touched else _Pen(ax, GREY, False)
            pen.text(x, -1.0 - 0.62 * row, lines[name], ha="left", size=13)


# --- the pen -----------------------------------------------------------------------

_PALE, _GROUND = "#A9B1B9", "#FAFBFC"


class _Pen:
    """Draws in the colour of a part, or in grey where the part is not the subject."""

    def __init__(self, ax, color, on, width=2.3):
        self.ax, self.on = ax, on
        self.color = color if on else _PALE
        self.ink = ink(color) if on else "#6B747D"
        self.fill = tint(color, 0.16) if on else "#F3F4F6"
        self.width = width if on else 1.6
        self.zorder = 3 if on else 2

    def path(self, *points, arrow=True):
        """A line through the points, with its head at the last."""
        self.arrow(Path(points), arrow)

    def dashes(self, *points):
        """A dashed line through the points to a solid head; the last leg is level."""
        x, y = points[-1]
        self._patch(Path([*points[:-1], (x - 0.2, y)]), "-", (0, (2.6, 1.5)))
        self.path((x - 0.21, y), (x, y))

    def arrow(self, path, arrow=True):
        head = "-|>,head_width=0.28,head_length=0.55"
        self._patch(path, head if arrow else "-", "-")

    def _patch(self, path, arrowstyle, linestyle):
        self.ax.add_patch(
            FancyArrowPatch(
                path=path,
                arrowstyle=arrowstyle,
                mutation_scale=15,
                color=self.color,
                linewidth=self.width,
                linestyle=linestyle,
                capstyle="butt",
                joinstyle="miter",
                shrinkA=0,
                shrinkB=0,
                zorder=self.zorder,
            )
        )

    def box(self, x, y, text, half=_HALF):
        self.ax.add_patch(
            _rounded(
                x - half,
                y - _TALL,
                x + half,
                y + _TALL,
                facecolor=self.fill,
                edgecolor=self.color,
                linewidth=1.8,
                zorder=4,
            )
        )
        self.text(x, y, text, size=13)

    def times(self, x, y):
        self._circle(x, y)
        self.ax.add_patch(Circle((x, y), 0.055, color=self.ink, zorder=5))

    def plus(self, x, y):
        self._circle(x, y)
        arm = 0.11
        for dx, dy in ((arm, 0), (0, arm)):
            self.ax.plot(
                [x - dx, x + dx],
                [y - dy, y + dy],
                color=self.ink,
                linewidth=1.8,
                zorder=5,
                solid_capstyle="butt",
            )

    def dot(self, x, y):
        self.ax.add_patch(Circle((x, y), 0.075, color=self.color, zorder=4))

    def bridge(self, x, y):
        """A gap in what runs upwards at x, so that a crossing at y is none."""
        self.zorder = 3.5
        self.ax.add_patch(
            Rectangle((x - 0.1, y - 0.1), 0.2, 0.2, color=_GROUND, zorder=3.4)
        )

    def text(self, x, y, text, *, ha="center", size=12):
        self.ax.text(
            x,
            y,
            text,
            ha=ha,
            va="center",
            fontsize=size,
            color=self.ink,
            zorder=6,
            math_fontfamily="cm",
        )

    def _circle(self, x, y):
        self.ax.add_patch(
            Circle(
                (x, y),
                _R,
                facecolor="white",
                edgecolor=self.color,
                linewidth=1.8,
                zorder=4,
            )
        )


def _rounded(left, low, right, high, **kwargs):
    style = "round,pad=0,rounding_size=0.12"
    return FancyBboxPatch(
        (left, low), right - left, high - low, boxstyle=style, **kwargs
    )


def _frame(ax, left, low, right, high):
    ax.add_patch(
        _rounded(
            left,
            low,
            right,
            high,
            facecolor=_GROUND,
            edgecolor="#D5DAE0",
            linewidth=1.2,
            zorder=0,
        )
    )


def _axes(width, xlim, ylim):
    """Axes without axes, in which a circle is round."""
    height = width * (ylim[1] - ylim[0]) / (xlim[1] - xlim[0])
    fig = plt.figure(
        FigureClass=BookFigure,
        figsize=(width, height),
        facecolor="white",
        layout="none",
    )
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=xlim, ylim=ylim, aspect="equal")
    ax.axis("off")
    return ax
