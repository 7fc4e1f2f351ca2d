"""Films on paper: frames side by side, and as a small animation."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager

from .palette import BookFigure, style


def film_strip(films, title=None, *, times=None, seen=0, colors=None, size=0.72):
    """Frames side by side, a row for each film.

    films:  {name: [frames, height, width]}, values from 0 (paper) to 1 (ink); frames
            that are all NaN stay empty
    times:  what stands above each column; the numbers from 1 unless given
    seen:   that many columns stand apart on the left, as what a model was shown
    colors: {name: colour map}, for rows that are not ink on paper; the limits are
            then those of the row
    size:   inches of a frame
    Returns the Axes, [films, frames].
    """
    style()
    rows = {name: _frames(film) for name, film in films.items()}
    count = {len(film) for film in rows.values()}
    if len(count) != 1:
        raise ValueError(f"films have {sorted(count)} frames: give as many of each")
    (count,) = count
    times = range(1, count + 1) if times is None else times
    colors = colors or {}
    gap = 0.25 * bool(0 < seen < count)
    widths = [1.0] * seen + [gap] * bool(gap) + [1.0] * (count - seen)
    fig = plt.figure(
        figsize=(size * sum(widths) + 1.4, size * len(rows) + 0.4),
        FigureClass=BookFigure,
    )
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    grid = fig.add_gridspec(len(rows), len(widths), width_ratios=widths)
    axes = np.empty((len(rows), count), dtype=object)
    for r, (name, film) in enumerate(rows.items()):
        limits = (0, 1) if name not in colors else (np.nanmin(film), np.nanmax(film))
        for t, frame in enumerate(film):
            ax = fig.add_subplot(grid[r, t + bool(gap and t >= seen)])
            axes[r, t] = ax
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            empty = np.isnan(frame).all()
            for spine in ax.spines.values():
                spine.set(visible=not empty, color="#C5CBD1", linewidth=0.8)
            ax.imshow(
                frame,
                cmap=colors.get(name, "gray_r"),
                vmin=limits[0],
                vmax=limits[1],
                interpolation="nearest",
            )
            if r == 0:
                ax.set_title(f"{times[t]}", loc="center", fontsize=9, pad=3,
                             fontweight="normal")  # fmt: skip
            if t == 0:
                ax.set_ylabel(
                    name, rotation=0, ha="right", va="center", fontsize=9.5, labelpad=5
                )
    if title is not None:
        fig.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return axes


class Animation:
    """Films that move side by side in a notebook and on the page: an animated PNG.

    films:   {name: [frames, height, width]}, values from 0 (paper) to 1 (ink)
    still:   the frame to show where nothing moves, in print for instance
    seconds: how long a frame stands
    loops:   how often it runs; it must come to rest by itself, or it could not be
             read beside
    scale:   a pixel becomes a square of so many
    captions: a text under all films for each frame
    """

    def __init__(
        self, films, *, still=0, seconds=0.4, loops=2, scale=6, captions=None
    ):  # fmt: skip
        rows = {name: _frames(film) for name, film in films.items()}
        shapes = {film.shape for film in rows.values()}
        if len(shapes) != 1:
            raise ValueError(f"films are {sorted(shapes)}: give one shape")
        count = shapes.pop()[0]
        if not -count <= still < count:
            raise ValueError(f"still={still}: the films have {count} frames")
        pictures = [
            _side_by_side(
                {name: film[t] for name, film in rows.items()},
                scale,
                None if captions is None else captions[t],
            )
            for t in range(count)
        ]
        out = io.BytesIO()
        # Where PNGs do not move, the first picture is shown, and only there.
        pictures[still].save(
            out,
            format="PNG",
            save_all=True,
            default_image=True,
            append_images=pictures,
            duration=round(1000 * seconds),
            loop=loops,
            optimize=True,
        )
        self.png = out.getvalue()
        self._about = f"{count} frames of {', '.join(rows)}"

    def __repr__(self):
        return f"Animation({self._about})"

    def _repr_png_(self):
        return self.png


def _side_by_side(frames, scale, caption):
    from PIL import Image, ImageDraw, ImageFont

    gap, head = 12, 24
    height, width = next(iter(frames.values())).shape
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 13)
    room = [max(width * scale, round(font.getlength(name)) + 4) for name in frames]
    size = (
        sum(room) + gap * (len(room) + 1),
        height * scale + head + (gap if caption is None else head + 4),
    )
    picture = Image.new("L", size, 255)
    pen = ImageDraw.Draw(picture)
    left = gap
    for (name, frame), wide in zip(frames.items(), room, strict=True):
        grey = Image.fromarray((255 * (1 - np.clip(frame, 0, 1))).astype(np.uint8))
        grey = grey.resize((width * scale, height * scale), Image.Resampling.NEAREST)
        picture.paste(grey, (left, head))
        box = (left - 1, head - 1, left + width * scale, head + height * scale)
        pen.rectangle(box, outline=180)
        pen.text((left, 4), name, fill=31, font=font)
        left += wide + gap
    if caption is not None:
        pen.text((gap, height * scale + head + 6), caption, fill=31, font=font)
    return picture


def _frames(film):
    if hasattr(film, "detach"):
        film = film.detach().cpu()
    film = np.asarray(film, dtype=float)
    if film.ndim == 4 and film.shape[1] == 1:
        film = film[:, 0]
    if film.ndim != 3:
        raise ValueError(f"a film has shape {film.shape}: give [frames, height, width]")
    return film
