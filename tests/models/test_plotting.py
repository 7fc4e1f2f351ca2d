import io
import itertools
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from lstmbook import palette, plotting

ROOT = Path(__file__).parents[2]

# Machado, Oliveira and Fernandes (2009), full strength, on linear RGB
SIGHT = {
    "full": np.eye(3),
    "without red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "without green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "without blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


class Gates(NamedTuple):
    i: torch.Tensor
    f: torch.Tensor
    g: torch.Tensor
    o: torch.Tensor


class State(NamedTuple):
    h: torch.Tensor
    c: torch.Tensor


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def trace():
    torch.manual_seed(0)
    gates = Gates(*torch.rand(4, 2, 10, 3))
    return SimpleNamespace(gates=gates, state=State(*torch.randn(2, 2, 10, 3)))


def lab(color, sight):
    """CIE L*a*b* of a colour as a reader of that sight sees it."""
    rgb = np.array(to_rgb(color))
    rgb = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    seen = np.clip(np.array(SIGHT[sight]) @ rgb, 0, 1)
    xyz = np.array(to_xyz) @ seen / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("group", ["gates", "series"])
def test_colours_stay_apart_for_every_reader(group, sight):
    gates = [plotting.COLORS[name] for name in "ifgoch"]
    colors = [*(gates if group == "gates" else plotting.SERIES), plotting.GREY]
    near = min(
        np.linalg.norm(lab(a, sight) - lab(b, sight))
        for a, b in itertools.combinations(colors, 2)
    )
    assert near > 15


def test_ink_darkens_until_it_reads_on_white():
    assert plotting.ink(plotting.COLORS["h"]) == pytest.approx(to_rgb("#1F2933"))
    for color in [*plotting.COLORS.values(), plotting.GREY]:
        light = palette._luminance(np.array(plotting.ink(color)))
        assert 1.05 / (light + 0.05) >= 4.5


def drawn(ax):
    """The figure's stored PNG as an array; it must be small and on white."""
    ax = np.ravel(ax)[0]
    png = ax.figure.png()
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    assert (picture[0, 0] == 255).all() and (picture[-1, -1] == 255).all()
    assert len(png) < 60_000
    return picture


LAGS = [1, 5, 10, 20]
SERIES = {"LSTM": np.ones((3, 4)) * [1, 0.99, 0.98, 0.97], "RNN": [1, 0.9, 0.6, 0.5]}


@pytest.mark.parametrize("options", [{}, {"logy": True}, {"logx": True}])
def test_a_lag_plot_names_its_lines_and_its_baseline(options):
    ax = plotting.lag_plot(
        LAGS, SERIES, "It falls.", "accuracy", (0.5, "chance"), **options
    )
    drawn(ax)
    texts = {text.get_text() for text in ax.texts}
    assert texts == {"LSTM", "RNN", "chance"}
    colors = [line.get_color() for line in ax.lines[:2]]
    assert colors == [plotting.MODELS["LSTM"], plotting.MODELS["RNN"]]


def test_names_of_lines_that_end_together_do_not_overlap():
    series = {name: [1, 0.5 + 0.001 * k, 0.5, 0.5] for k, name in enumerate("abcd")}
    ax = plotting.lag_plot(LAGS, series, "Four lines end in one point.", "y")
    drawn(ax)
    boxes = sorted(t.get_window_extent().y0 for t in ax.texts)
    height = ax.texts[0].get_window_extent().height
    assert min(np.diff(boxes)) >= height * 0.9


def test_learning_curves_may_have_steps_of_their_own():
    ax = plotting.learning_curves(
        {"LSTM": [0, 10, 20], "RNN": [0, 5]},
        {"LSTM": [1, 0.5, 0.1], "RNN": [1, 0.9]},
        "The LSTM learns.",
        "loss",
    )
    drawn(ax)
    rnn = ax.lines[1]
    assert rnn.get_xdata()[np.isfinite(rnn.get_ydata())].max() == 5


def test_a_band_needs_as_many_points_as_x():
    _, ax = plotting.figure()
    with pytest.raises(ValueError, match=r"ys has 3 points"):
        plotting.band(ax, [1, 2], np.zeros((4, 3)))


def test_a_band_on_a_log_axis_stays_above_zero():
    _, ax = plotting.figure()
    ax.set_yscale("log")
    plotting.band(ax, [0, 1], [[1e-3, 1e-3], [1.0, 1.0], [1e-3, 1e-3]], "x")
    low = ax.collections[0].get_paths()[0].vertices[:, 1].min()
    assert low > 0


def test_gate_traces_show_gates_and_states_over_the_text(trace):
    axes = plotting.gate_traces(trace, "To be, or\n", units=[0, 2], title="Two units.")
    drawn(axes)
    assert len(axes) == 4
    upper, lower = axes[:2]
    assert [line.get_color() for line in upper.lines] == [
        plotting.COLORS[gate] for gate in "ifo"
    ]
    assert np.allclose(upper.lines[1].get_ydata(), trace.gates.f[0, :, 0])
    assert {text.get_text() for text in lower.texts} == {"hidden state", "cell state"}
    letters = [tick.get_text() for tick in axes[-1].get_xticklabels()]
    assert "".join(letters) == "To␣be,␣or↵"


def test_gate_traces_of_no_unit_are_the_mean(trace):
    axes = plotting.gate_traces(trace, row=1, gates="f")
    assert np.allclose(axes[0].lines[0].get_ydata(), trace.gates.f[1].mean(-1))


def test_a_text_of_another_length_is_refused(trace):
    with pytest.raises(ValueError, match="text has 3 pieces, the trace 10 steps"):
        plotting.gate_traces(trace, "abc")


@pytest.mark.parametrize("gate", [None, "f", "c"])
def test_a_heatmap_of_a_gate_runs_from_white_to_its_colour(gate):
    values = torch.rand(3, 10)
    ax = plotting.heatmap(values, "A gate.", gate=gate, text="To be, or.")
    drawn(ax)
    image = ax.images[0]
    assert to_hex(image.cmap(0.0)) == "#ffffff"
    if gate == "f":
        assert image.get_clim() == (0, 1)
        assert to_hex(image.cmap(1.0)) == plotting.COLORS["f"].lower()


def test_a_heatmap_of_both_signs_is_white_at_zero():
    ax = plotting.heatmap([[-1.0, 0.0, 3.0]], "A state.", rows=["unit 4"])
    image = ax.images[0]
    assert image.get_clim() == (-3, 3)
    assert np.allclose(image.cmap(0.5), 1, atol=0.01)


def test_a_heatmap_takes_a_matrix():
    with pytest.raises(ValueError, match=r"\[rows, T\]"):
        plotting.heatmap([1.0, 2.0], "A row.")


def test_bars_write_mean_and_spread():
    ax = plotting.bars_with_spread(
        {"RNN": [0.1, 0.2, 0.3], "LSTM": 0.5},
        "Bars.",
        "loss",
        (0.4, "guess"),
        fmt=".2f",
    )
    drawn(ax)
    assert {t.get_text() for t in ax.texts} == {"0.20 ± 0.10", "0.50", "guess"}


@pytest.mark.parametrize("count", range(1, len(plotting.PARTS) + 1))
def test_the_cell_grows_part_by_part(count):
    ax = plotting.cell_drawing(plotting.PARTS[:count])
    drawn(ax)
    equations = " ".join(t.get_text() for t in ax.texts)
    assert ("f_t" in equations) == (count >= 6)
    assert ("R_i" in equations) == (count >= 5)
    assert ("p_o" in equations) == (count >= 7)


def colors_of(ax):
    return {to_hex(patch.get_edgecolor()).upper() for patch in ax.patches}


def test_only_the_highlighted_part_is_in_colour():
    shown = colors_of(plotting.cell_drawing(highlight="forget"))
    assert plotting.COLORS["f"] in shown
    assert not shown & {plotting.COLORS[name] for name in "igoch"}
    every = colors_of(plotting.cell_drawing(highlight="all"))
    assert {plotting.COLORS[name] for name in "ifgoch"} <= every


@pytest.mark.parametrize(
    ("parts", "highlight", "error"),
    [
        (("cell", "forgot"), None, "unknown part"),
        (("candidate",), None, "starts from"),
        (("cell", "forget"), None, 'needs "candidate"'),
        (("cell", "candidate", "recurrent"), None, 'needs "output"'),
        (("cell", "candidate"), "forget", "cannot be highlighted"),
    ],
)
def test_a_drawing_that_cannot_be_is_refused(parts, highlight, error):
    with pytest.raises(ValueError, match=error):
        plotting.cell_drawing(parts, highlight)


def test_the_loop_and_the_two_paths_can_be_drawn():
    for n in (2, 4):
        drawn(plotting.unrolled_drawing(n))
        drawn(plotting.two_paths_drawing(n))
    with pytest.raises(ValueError, match="at least 2"):
        plotting.unrolled_drawing(1)


def test_the_same_figure_is_the_same_file():
    one, two = (plotting.cell_drawing().figure.png() for _ in range(2))
    assert one == two


def test_a_notebook_stores_the_small_picture_once(monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    cell = nbformat.v4.new_code_cell(
        "import lstmbook as lb\nlb.plotting.cell_drawing();"
    )
    book = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(
        book, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    (output,) = cell.outputs
    assert len(output.data["image/png"]) < 50_000


def test_plotting_needs_no_torch():
    code = """
import sys, types
package = types.ModuleType("lstmbook")
package.__path__ = ["lstmbook"]
sys.modules["lstmbook"] = package
import lstmbook.plotting
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# --- films -------------------------------------------------------------------------


def film(frames=4, height=3, width=5):
    return torch.rand(
        frames, height, width, generator=torch.Generator().manual_seed(frames)
    )


def test_a_film_strip_shows_every_frame_and_leaves_out_the_empty():
    shown, hidden = film(), film()
    hidden[:2] = float("nan")
    axes = plotting.film_strip({"truth": shown, "ours": hidden}, "Title", seen=2)
    assert axes.shape == (2, 4)
    for t in range(4):
        np.testing.assert_allclose(axes[0, t].images[0].get_array(), shown[t])
    borders = [ax.spines["left"].get_visible() for ax in axes[1]]
    assert borders == [False, False, True, True]
    assert [ax.get_title(loc="center") for ax in axes[0]] == list("1234")
    fig = axes[0, 0].figure
    fig.canvas.draw()
    places = [ax.get_position().x0 for ax in axes[0]]
    apart = np.diff(places)
    assert apart[1] > 1.1 * apart[0] and apart[0] == pytest.approx(apart[2], rel=0.05)


def test_a_film_strip_refuses_films_of_unequal_length():
    with pytest.raises(ValueError, match=r"\[3, 4\] frames"):
        plotting.film_strip({"a": film(3), "b": film(4)})
    with pytest.raises(ValueError, match=r"\(3, 5\).*height"):
        plotting.film_strip({"a": film()[0]})


def test_an_animation_is_a_small_png_that_moves_and_comes_to_rest():
    films = {"truth": film(4, 24, 24), "ours": film(4, 24, 24)}
    captions = [f"frame {t}" for t in range(4)]
    shown = plotting.Animation(films, still=2, loops=3, scale=4, captions=captions)
    png = shown._repr_png_()
    assert png.startswith(b"\x89PNG") and len(png) < 20_000
    assert repr(shown) == "Animation(4 frames of truth, ours)"
    picture = Image.open(io.BytesIO(png))
    assert picture.n_frames == 5  # four, and the still in front
    assert picture.info["loop"] == 3 and picture.info["default_image"]
    frames = []
    for k in range(5):
        picture.seek(k)
        frames.append(np.asarray(picture.convert("L")))
    np.testing.assert_array_equal(frames[0], frames[3])
    assert (frames[1] != frames[2]).any()
    # One pixel of the film, where the first film begins, below the names.
    grey = 255 * (1 - films["truth"][0, 0, 0].item())
    assert frames[1][26, 14] == pytest.approx(grey, abs=1.5)


def test_an_animation_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="one shape"):
        plotting.Animation({"a": film(3), "b": film(4)})
    with pytest.raises(ValueError, match=r"still=9.*4 frames"):
        plotting.Animation({"a": film(4)}, still=9)
