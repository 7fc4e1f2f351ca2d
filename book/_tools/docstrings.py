"""Sphinx extension of the book: the docstrings of the package on the API pages.

The docstrings of lstmbook are plain text, made to be read in an editor. Here a block
of `name: meaning` lines becomes a list of definitions, a block with columns, equations
or code stays as it is set, `this` becomes code, and everything else is a paragraph in
which no character has a special meaning.

The pages are made without torch, with stand-ins for its names. `Tensor | None`, which
Python evaluates when it reads a function, must work with a stand-in, too.
"""

import re
from typing import Union

from sphinx.ext import autodoc
from sphinx.ext.autodoc.mock import _MockObject

_ITEM = re.compile(
    r"(?P<names>\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*)(?:: +|  +)(?P<text>\S.*)"
)
_SENTENCE = re.compile(r"(Sources?|Returns|Raises|Weights|Mind)\b")
_INDENT = "    "


def to_rest(lines):
    """The lines of a docstring, indentation removed, as lines of reST."""
    blocks = list(_blocks(lines))
    if len(blocks) == 1 and len(blocks[0]) == 1:
        return [_text(blocks[0][0]), ""]
    return [line for block in blocks for line in (*_block(block), "")]


def _blocks(lines):
    """Paragraphs: what empty lines part, and what begins with Returns or the like."""
    block = []
    for line in [*lines, ""]:
        if block and (not line.strip() or _SENTENCE.match(line)):
            yield block
            block = []
        if line.strip():
            block.append(line.rstrip())


def _block(block):
    for k in range(len(block)):  # a sentence may lead over to a list
        if items := _items(block[k:]):
            return [*(_block(block[:k]) if k else []), "", *items]
    if _plain(block):
        return [_text(" ".join(line.strip() for line in block))]
    return ["::", "", *(_INDENT + line for line in block)]


def _items(block):
    """A definition list, when the lines are items; a sentence may follow them."""
    items = []
    for k, line in enumerate(block):
        found = _ITEM.fullmatch(line)
        if found and not _SENTENCE.match(line):
            items.append([found["names"], found["text"]])
        elif items and line.startswith("  "):
            items[-1][1] += " " + line.strip()
        elif items and line[0].isupper():
            return [*_definitions(items), "", *_block(block[k:])]
        else:
            return None
    return _definitions(items)


def _definitions(items):
    out = []
    for names, text in items:
        out.append(", ".join(f"``{name}``" for name in names.split(", ")))
        # A shape at the start is set off from what follows it.
        text = re.sub(r"^(\[[^\]]*\]) +(?=\S)", r"`\1` ", text)
        out.append(_INDENT + _text(re.sub(r" {2,}", " ", text)))
    return out


def _plain(block):
    """Whether a block may be set anew: no columns, no equations, no code."""
    columns = any(re.search(r"\S {2,}\S", line.lstrip()) for line in block)
    equations = sum(bool(re.match(r"\s*[\w()]+ = ", line)) for line in block)
    code = re.fullmatch(r" .*|\w+(, \w+)* = \S+\(.*\)", block[0])
    return not columns and equations < 2 and not code


def _text(text):
    parts = re.split(r"``(.+?)``|`(.+?)`", text)
    out = []
    for k in range(0, len(parts), 3):
        out.append(re.sub(r"([\\*_|`<>])", r"\\\1", parts[k]))
        code = "".join(p for p in parts[k + 1 : k + 3] if p)
        if code:
            # the escaped spaces let code touch a letter or a bracket
            out.append(rf"\ ``{code}``\ ")
    return "".join(out)


def _process(app, what, name, obj, options, lines):
    if name.startswith("lstmbook"):
        lines[:] = to_rest(lines)


def setup(app):
    _MockObject.__or__ = lambda self, other: Union[self, other]  # noqa: UP007
    _MockObject.__ror__ = lambda self, other: Union[other, self]  # noqa: UP007
    # The arguments of a class are those of its __init__, not of the stand-in's __new__.
    autodoc._CLASS_NEW_BLACKLIST.append("sphinx.ext.autodoc.mock._MockObject.__new__")
    # before napoleon (500), which then finds nothing to change
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True}
