"""The picture of a score has the shapes that the SVG has."""

import numpy as np
import pytest
from matplotlib.path import Path

from lstmbook.engraving import engraved, outline, outlines


def area(path):
    """Of the polygon through a path, curves taken finely."""
    x, y = np.concatenate(path.to_polygons()).T
    return abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2


@pytest.mark.parametrize(
    "d", ["M1 2L5 2L5 5L1 5z", "m1 2l4 0 0 3 -4 0z", "M1 2h4v3h-4z", "M1,2H5V5H1Z"]
)
def test_one_rectangle_written_in_four_ways(d):
    path = outline(d)
    assert path.vertices[:4].tolist() == [[1, 2], [5, 2], [5, 5], [1, 5]]
    assert path.codes[-1] == Path.CLOSEPOLY and area(path) == 12


def test_curves_and_their_mirrored_form():
    full = outline("M0 0C0 1 1 2 2 2C3 2 4 1 4 0z")
    short = outline("M0 0c0 1 1 2 2 2s2 -1 2 -2z")
    assert np.allclose(full.vertices, short.vertices)
    assert full.codes.tolist() == short.codes.tolist()


def test_an_unknown_command_raises():
    with pytest.raises(ValueError, match="'A'"):
        outline("M0 0A1 1 0 0 0 2 2")


SVG = """<svg xmlns="http://www.w3.org/2000/svg"><defs><g id="head">
<path transform="scale(1,-1)" d="M0 0h10v20h-10z"/></g></defs>
<g class="placeholder"><path d="M0 0h999v999z"/></g>
<g transform="translate(100, 50)"><use href="#head"
transform="translate(5, 5) scale(2, 2)"/>
<path d="M0 0 L30 0" stroke-width="40"/><polygon points="0,0 3,0 3,3"/></g></svg>"""


def test_shapes_stand_where_their_transforms_put_them():
    (head, line, beam), box = outlines(SVG)
    assert head.vertices[:3].tolist() == [[105, 55], [125, 55], [125, 15]]
    assert sorted(map(tuple, line.vertices)) == [
        (100, 30), (100, 70), (130, 30), (130, 70)]  # fmt: skip
    assert beam.vertices.tolist() == [[100, 50], [103, 50], [103, 53]]
    assert box == (10, -75, 220, 160)


def test_what_is_no_score_raises():
    with pytest.raises(ValueError, match="no shapes"):
        outlines("<svg></svg>")
    with pytest.raises(ValueError, match="rotate"):
        outlines('<svg><g transform="rotate(30)"><path d="M0 0h9"/></g></svg>')


def test_a_piece_becomes_a_picture():
    pytest.importorskip("verovio")
    from lstmbook.datasets.voices import Piece

    few = Piece.of([[72, 67, 64, 48]] * 4)
    many = Piece.of([[72 + t % 3, 67, 64, 48] for t in range(4)])
    ax = engraved(few, inches=4)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # downwards, as in the SVG
    count = len(ax.collections[0].get_paths())
    assert len(engraved(many).collections[0].get_paths()) > count > 20
