"""The book's figures: one palette, one style.

A gate has the same colour in every chapter, baselines are grey, spread is a band,
lines carry their names, and the title says the message as a sentence. The ground is
white in the light and the dark theme. The drawings of the cell live in
`cell_drawing`, the colours in `palette`; both are imported from here.

Functions return Axes: in a notebook, end the line with a semicolon.
"""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patheffects import withStroke

from .cell_drawing import PARTS, cell_drawing, two_paths_drawing, unrolled_drawing
from .film_drawing import Animation, film_strip
from .palette import COLORS, GREY, MODELS, SERIES, BookFigure, ink, style, tint

__all__ = [
    "COLORS",
    "GATE_NAMES",
    "GREY",
    "MODELS",
    "PARTS",
    "SERIES",
    "Animation",
    "band",
    "bars_with_spread",
    "cell_drawing",
    "colormap",
    "direct_label",
    "figure",
    "film_strip",
    "gate_traces",
    "heatmap",
    "ink",
    "lag_plot",
    "learning_curves",
    "shades",
    "style",
    "tint",
    "two_paths_drawing",
    "unrolled_drawing",
]

GATE_NAMES = {
    "i": "input gate",
    "f": "forget gate",
    "g": "candidate",
    "o": "output gate",
    "c": "cell state",
    "h": "hidden state",
    "z": "update gate",
    "r": "reset gate",
    "n": "candidate",
}


def figure(width=7.0, height=3.2, *, rows=1, cols=1, title=None, **subplots):
    """A figure in the book's style.

    width, height: inches; subplots: further arguments of plt.subplots
    Returns the figure and its Axes (an array of them for rows or cols over 1).
    """
    style()
    fig, axes = plt.subplots(
        rows, cols, figsize=(width, height), FigureClass=BookFigure, **subplots
    )
    if title is not None:
        _title(fig, title)
    return fig, axes


def band(ax, x, ys, label=None, color=None, name=True):
    """The mean over seeds as a line, one standard deviation as a band.

    x:  [points]
    ys: [seeds, points], or [points] for a single run
    label is written at the end of the line unless name=False.
    Returns the line.
    """
    x, ys = _array(x), np.atleast_2d(_array(ys))
    if ys.shape[-1] != len(x):
        raise ValueError(f"ys has {ys.shape[-1]} points {ys.shape}, x has {len(x)}")
    mean = ys.mean(0)
    color = color or MODELS.get(label)
    (line,) = ax.plot(x, mean, color=color, label=label)
    if len(ys) > 1:
        sd = ys.std(0, ddof=1)
        low = mean - sd
        if ax.get_yscale() == "log":
            # a log axis has no place for what is below zero
            low = np.maximum(low, ys.min(0))
        ax.fill_between(
            x, low, mean + sd, color=line.get_color(), alpha=0.18, linewidth=0
        )
    if label and name:
        direct_label(ax, x[-1], mean[-1], label, line.get_color())
    return line


def direct_label(ax, x, y, text, color="#1F2933", *, side="right"):
    """Write a name beside a point of a line instead of a legend.

    x, y: in data units; side: "right", "left", "above" or "below"
    Returns the matplotlib text.
    """
    dx, dy, ha, va = {
        "right": (6, 0, "left", "center"),
        "left": (-6, 0, "right", "center"),
        "above": (0, 6, "center", "bottom"),
        "below": (0, -6, "center", "top"),
    }[side]
    return ax.annotate(
        text,
        (x, y),
        xytext=(dx, dy),
        textcoords="offset points",
        ha=ha,
        va=va,
        color=ink(color),
        fontweight="bold",
        annotation_clip=False,
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )


def lag_plot(
    lags,
    series,
    title,
    ylabel,
    baseline=None,
    *,
    xlabel="lag (time steps)",
    logx=False,
    logy=False,
    colors=None,
    markers=True,
    ax=None,
):
    """Something against the lag, one named line for each entry of `series`.

    lags:     [L]
    series:   {name: [L] or [seeds, L]}
    baseline: a number, or (number, its name), drawn in grey
    colors:   {name: colour}, or a list in the order of `series`
    Returns the Axes.
    """
    if ax is None:
        _, ax = figure()
    if logx:
        ax.set_xscale("log")
    if logy:
        ax.set_yscale("log")
    if not isinstance(colors, dict):
        colors = dict(zip(series, colors or [], strict=False))
    free = iter([c for c in SERIES * 3 if c not in [MODELS.get(n) for n in series]])
    ends = []
    for name, ys in series.items():
        color = colors.get(name) or MODELS.get(name) or next(free)
        line = band(ax, lags, ys, name, color, name=False)
        if markers and len(_array(lags)) <= 20:
            line.set(marker="o", markersize=4.5)
        ends.append((line.get_xdata()[-1], line.get_ydata()[-1], name, color))
    ax.margins(x=0.015)
    if baseline is not None:
        _baseline(ax, baseline)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    _title(ax, title)
    _label_ends(ax, ends)
    return ax


def learning_curves(
    steps, series, title, ylabel, baseline=None, *, xlabel="training step", **options
):
    """Loss or accuracy against training: `lag_plot` with another axis.

    steps:  [N] or {name: [N]} where the lines have points of their own
    series: {name: [N] or [seeds, N]}
    Returns the Axes.
    """
    options = {"xlabel": xlabel, "markers": False} | options
    if not isinstance(steps, dict):
        return lag_plot(steps, series, title, ylabel, baseline, **options)
    every = np.unique(np.concatenate([_array(s) for s in steps.values()]))
    on_all = {
        name: np.stack(
            [
                np.interp(every, _array(steps[name]), y, left=np.nan, right=np.nan)
                for y in np.atleast_2d(_array(ys))
            ]
        )
        for name, ys in series.items()
    }
    return lag_plot(every, on_all, title, ylabel, baseline, **options)


def gate_traces(trace, text=None, units=None, *, row=0, gates=None, title=None):
    """Gates and states over time, with the real text under them.

    trace: what `layer(x, trace=True)` returns: gates and state [B, T, H]
    text:  T characters or words, written under their time steps
    units: which hidden units, one pair of panels each; None is the mean over all
    row:   which sequence of the batch
    gates: names of the gates to draw, as in "ifo"; None is all but the candidate
    Upper panel: gates, from 0 (shut) to 1 (open). Lower panel: the states.
    Returns the Axes, [panels].
    """
    signals = {n: _array(v)[row] for n, v in trace.gates._asdict().items()}
    states = {n: _array(v)[row] for n, v in trace.state._asdict().items()}
    if gates is None:
        gates = [name for name in signals if name not in "gn"]
    if not gates:
        raise ValueError(f"no gates to draw; the trace has {list(signals)}")
    steps = len(signals[gates[0]])
    picks = [None] if units is None else list(units)
    fig, axes = figure(
        max(5.0, min(8.0, 1.6 + 0.115 * steps)),
        0.5 + 2.5 * len(picks),
        rows=2 * len(picks),
        sharex=True,
        squeeze=False,
        height_ratios=[1.6, 1.0] * len(picks),
    )
    for upper, lower, unit in zip(axes[::2, 0], axes[1::2, 0], picks, strict=True):
        whose = "mean of all units" if unit is None else f"unit {unit}"
        for ax, group in ((upper, {g: signals[g] for g in gates}), (lower, states)):
            ends = []
            for name, values in group.items():
                y = values.mean(-1) if unit is None else values[:, unit]
                ax.plot(y, color=COLORS[name], linewidth=1.8)
                ends.append((steps - 1, y[-1], GATE_NAMES[name], COLORS[name]))
            ax.margins(x=0.01)
            if text is not None:
                ax.grid(axis="x", visible=False)
                ax.tick_params(axis="x", length=0)
            _label_ends(ax, ends)
        upper.set(ylim=(-0.04, 1.04), yticks=[0, 0.5, 1], ylabel=f"gate\n{whose}")
        lower.set(ylabel="state")
        lower.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    _time_axis(axes[-1, 0], steps, text)
    if title:
        _title(fig, title)
    return axes[:, 0]


def heatmap(
    values,
    title,
    *,
    ylabel="unit",
    text=None,
    rows=None,
    gate=None,
    diverging=None,
    limits=None,
    label="",
    ax=None,
):
    """A matrix over time: gates, states or probabilities.

    values:    [rows, T]
    text:      T characters or words under the columns
    rows:      names of the rows
    gate:      a name such as "f": white to the colour of that gate, over 0 to 1
    diverging: two colours around a white zero; None decides by the sign of the data
    limits:    (low, high) of the colours
    label:     what the colour bar measures, with its unit
    Returns the Axes.
    """
    values = _array(values)
    if values.ndim != 2:
        raise ValueError(f"heatmap takes [rows, T], got an array {values.shape}")
    count, steps = values.shape
    if diverging is None:
        diverging = gate is None and np.nanmin(values) < 0 < np.nanmax(values)
    if ax is None:
        _, ax = figure(7.0, min(6.0, max(1.9, 1.3 + 0.16 * count)))
    if limits is None and gate in ("i", "f", "o", "z", "r"):
        limits = (0.0, 1.0)
    elif limits is None:
        top = float(np.nanmax(np.abs(values))) or 1.0
        limits = (-top, top) if diverging else (float(np.nanmin(values)), top)
    image = ax.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap=colormap(gate, diverging=diverging),
        vmin=limits[0],
        vmax=limits[1],
    )
    ax.grid(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.015, fraction=0.05)
    bar.outline.set_visible(False)
    bar.set_label(label)
    if rows is not None:
        ax.set_yticks(range(count), rows)
    ax.set_ylabel(ylabel)
    _time_axis(ax, steps, text)
    _title(ax, title)
    return ax


def bars_with_spread(
    values, title, xlabel, baseline=None, *, colors=None, fmt=".3f", ax=None
):
    """A bar for each name, a dot for each seed, the mean and spread in figures.

    values:   {name: one number, or one a seed}
    baseline: a number, or (number, its name), drawn in grey
    colors:   {name: colour}; without one a bar is the first colour of SERIES
    Returns the Axes. Bars run from left to right, so that names stay readable.
    """
    if ax is None:
        _, ax = figure(7.0, 1.3 + 0.42 * len(values))
    colors = colors or {}
    for at, (name, numbers) in enumerate(values.items()):
        numbers = np.atleast_1d(_array(numbers))
        color = colors.get(name) or MODELS.get(name, SERIES[0])
        mean = numbers.mean()
        text = f"{mean:{fmt}}"
        ax.barh(at, mean, height=0.62, color=tint(color, 0.55))
        if len(numbers) > 1:
            sd = numbers.std(ddof=1)
            text += f" ± {sd:{fmt}}"
            ax.plot([mean - sd, mean + sd], [at, at], color=ink(color), linewidth=2)
            # seeds a little apart from one another, in their order
            apart = np.linspace(-0.16, 0.16, len(numbers))
            ax.plot(numbers, at + apart, "o", color=ink(color), markersize=3.5)
        reach = max(mean, numbers.max(), 0)
        if len(numbers) > 1:
            reach = max(reach, mean + sd)  # the name stands clear of the whisker
        direct_label(ax, reach, at, text, "#1F2933").set_fontweight("normal")
    ax.set_yticks(range(len(values)), list(values))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    if baseline is not None:
        _baseline(ax, baseline, vertical=True)
    ax.set_xlabel(xlabel)
    _title(ax, title)
    return ax


def colormap(gate=None, *, diverging=False):
    """A colour map of the book: white to a gate's colour, or two around white."""
    dark = COLORS[gate] if gate else COLORS["h"]
    ends = [COLORS["i"], "white", COLORS["f"]] if diverging else ["white", dark]
    return LinearSegmentedColormap.from_list("lstmbook", ends)


def shades(n, color=COLORS["f"]):
    """n shades of a colour, light to dark, for values that have an order."""
    levels = np.linspace(0.45, 0, n) if n > 1 else [0.0]
    return [tint(ink(color), 1 - level) for level in levels]


# --- what they share ---------------------------------------------------------------


def _array(values):
    """NumPy from a list, an array or a tensor on any device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    elif isinstance(values, list | tuple):
        return np.array([_array(v) for v in values], dtype=float)
    return np.asarray(values, dtype=float)


def _title(where, text):
    if isinstance(where, mpl.figure.Figure):
        where.suptitle(text, x=0.01, ha="left", fontsize=12, fontweight="bold")
    else:
        where.set_title(text)


def _baseline(ax, baseline, vertical=False):
    value, name = baseline if isinstance(baseline, tuple) else (baseline, None)
    line = ax.axvline if vertical else ax.axhline
    line(value, color=GREY, linewidth=1.4, linestyle=(0, (5, 3)), zorder=1)
    if name is None:
        return
    options = {"textcoords": "offset points", "fontsize": 9.5, "color": ink(GREY)}
    if vertical:
        top = ax.get_ylim()[1]
        ax.set_ylim(top=top - 0.45)  # a free strip above the bars for the name
        ax.annotate(name, (value, top), (5, 3), va="bottom", **options)
        return
    axes = ax.transData + ax.transAxes.inverted()
    height = axes.transform((ax.get_xlim()[0], value))[1]
    if height > 0.85:  # make room for the name above the line
        top = axes.inverted().transform((0, height / 0.85))[1]
        ax.set_ylim(ax.get_ylim()[0], top)
    ax.annotate(
        name,
        (0, value),
        (4, 3),
        xycoords=ax.get_yaxis_transform(),
        va="bottom",
        path_effects=[withStroke(linewidth=3, foreground="white")],
        **options,
    )


def _label_ends(ax, ends):
    """Names at the right ends of lines, moved apart where they would overlap.

    ends: [(x, y, name, colour)]
    """
    labels = [direct_label(ax, *end) for end in ends]
    if labels and isinstance(ax.figure, BookFigure):
        ax.figure.end_labels.append(labels)


_VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}


def _time_axis(ax, steps, text):
    if text is None:
        ax.set_xlabel("time step")
        return
    if len(text) != steps:
        raise ValueError(f"text has {len(text)} pieces, the trace {steps} steps")
    pieces = [_VISIBLE.get(piece, piece) for piece in text]
    long = max(map(len, pieces)) > 2
    ax.set_xticks(range(steps), pieces)
    ax.tick_params(axis="x", length=0, labelrotation=90 if long else 0)
    for tick in ax.get_xticklabels():
        tick.set(family="DejaVu Sans Mono", fontsize=9 if steps <= 60 else 7)
    ax.grid(axis="x", visible=False)


style()
