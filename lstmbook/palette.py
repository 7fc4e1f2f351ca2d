"""The book's colours, its style, and the figure that is stored small."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

#: Colours of the gates, the cell and the hidden state. Chosen to stay apart for
#: colour-blind readers and, in lightness, in print (tests/models/test_plotting.py).
COLORS = {
    "i": "#1F5FD6",
    "f": "#B3330A",
    "g": "#DDA02E",
    "o": "#06A06B",
    "c": "#8E1C9B",
    "h": "#1F2933",
}
# The GRU's gates do the work of gates that are already coloured (Cho et al. 2014).
COLORS |= {"z": COLORS["f"], "r": COLORS["i"], "n": COLORS["g"]}

#: The grey of baselines, of text that stands back, and of drawings' other parts.
GREY = "#8C959F"

#: Colours of lines that are no gates, in order; three models keep theirs.
SERIES = ["#4B3BD8", "#7A1020", "#0A7058", "#A98510", "#4F0A69"]
MODELS = {"LSTM": SERIES[0], "RNN": SERIES[1], "GRU": SERIES[2]}


_STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": 144,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "savefig.dpi": 144,
    "axes.facecolor": "white",
    "axes.edgecolor": "#57606A",
    "axes.labelcolor": "#1F2933",
    "axes.prop_cycle": mpl.cycler(color=SERIES),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.labelsize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E7EAED",
    "grid.linewidth": 0.8,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 10.5,
    "text.color": "#1F2933",
    "mathtext.fontset": "cm",
    "lines.linewidth": 2.0,
    "xtick.color": "#57606A",
    "ytick.color": "#57606A",
    "xtick.labelcolor": "#1F2933",
    "ytick.labelcolor": "#1F2933",
    "legend.frameon": False,
}


def style():
    """Set matplotlib to the book's style; importing `lstmbook.plotting` does it."""
    mpl.rcParams.update(_STYLE)
    _register()


class BookFigure(Figure):
    """A matplotlib figure that a notebook stores as a PNG of few colours.

    Its `end_labels`, lists of annotations, are moved apart whenever it is drawn,
    because only then is it known how much room there is.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.end_labels = []

    def draw(self, renderer):
        if (engine := self.get_layout_engine()) is not None:
            engine.execute(self)
        for labels in self.end_labels:
            _move_apart(labels, self.dpi)
        super().draw(renderer)

    def png(self):
        """The figure as bytes of a PNG file on a white ground.

        The file keeps the commonest colours, 128 for lines and text or 256 for
        pictures. That takes a third of the space, so a chapter of many figures
        stays below its 400 KB, and every flat colour stays exact.
        """
        from PIL import Image  # a dependency of matplotlib

        full, small = io.BytesIO(), io.BytesIO()
        self.savefig(full, format="png", bbox_inches="tight", facecolor="white")
        pixels = np.asarray(Image.open(full).convert("RGB"))
        keep = 256 if any(ax.images for ax in self.axes) else 128
        index, palette = _few_colors(pixels, keep)
        picture = Image.fromarray(index)
        picture.putpalette(palette.tobytes())
        picture.save(small, format="png", optimize=True)
        return small.getvalue()


def _few_colors(pixels, keep):
    """The commonest `keep` colours of an image, and each pixel's nearest of them.

    pixels: [height, width, 3] bytes. Returns index [height, width] and palette
    [keep, 3]. (Pillow's own search is coarse: it turns white into pale grey.)
    """
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    codes, index, counts = np.unique(
        red << 16 | green << 8 | blue, return_inverse=True, return_counts=True
    )
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    palette = colors[np.argsort(-counts, kind="stable")[:keep]]
    # |a - b|^2 less |a|^2, the same for every candidate b of a colour a
    nearest = ((palette**2).sum(1) - 2 * colors @ palette.T).argmin(1)
    index = nearest.astype(np.uint8)[index].reshape(pixels.shape[:2])
    return index, palette.astype(np.uint8)


def _move_apart(labels, dpi):
    """Shift annotations up or down, as little as lets each be read."""
    heights = [label.axes.transData.transform(label.xy)[1] for label in labels]
    if not np.isfinite(heights).all():
        return
    room = 1.3 * max(label.get_fontsize() for label in labels) * dpi / 72
    groups = []  # [labels from the bottom up, height of their middle]
    for k in np.argsort(heights, kind="stable"):
        groups.append([[k], heights[k]])
        while len(groups) > 1:
            (low, a), (high, b) = groups[-2:]
            if b - a >= room * (len(low) + len(high)) / 2:
                break
            both = low + high
            groups[-2:] = [[both, (a * len(low) + b * len(high)) / len(both)]]
    for members, middle in groups:
        for place, k in enumerate(members):
            height = middle + room * (place - (len(members) - 1) / 2)
            labels[k].xyann = (labels[k].xyann[0], (height - heights[k]) * 72 / dpi)


def _register():
    """Let IPython show a BookFigure by its own `png`."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None:
        shell.display_formatter.formatters["image/png"].for_type(
            BookFigure, BookFigure.png
        )


def tint(color, strength):
    """A colour mixed with white: strength 1 is the colour itself, 0 white."""
    return tuple(1 - strength * (1 - part) for part in to_rgb(color))


def ink(color, contrast=4.5):
    """The colour, darkened until text in it reads well on white (WCAG contrast)."""
    rgb = np.array(to_rgb(color))
    while 1.05 / (_luminance(rgb) + 0.05) < contrast:
        rgb = rgb * 0.96
    return tuple(float(part) for part in rgb)


def _luminance(rgb):
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
