"""Numbers that travel from a code cell into the prose.

    glue(rnn_loss=0.1667, lstm_loss=spread([0.004, 0.005, 0.003]))

prints both lines, and the text may then say {glue:text}`rnn_loss:.2f` (0.17) or
{glue:text}`lstm_loss` (0.004 ± 0.001). The record is the one that MyST-NB reads;
MyST-NB itself is not needed, so a notebook runs on Colab as it is.
"""

from __future__ import annotations

import math
import statistics

# MyST-NB takes an output with this prefix off the page and keeps its value.
_RECORD = "application/papermill.record/"


def glue(**values):
    """Give numbers or short texts names that the prose can use.

    values: floats, integers, texts; NumPy and torch scalars are converted.
    Prints one line `name = value` for each: where MyST is not rendered (Colab),
    the reader sees the name in the text and the number here. Floats are stored in
    full, so that the prose chooses the digits: {glue:text}`name:.3f`.
    Raises TypeError for anything that is not one value (see `spread`).
    """
    values = {name: _plain(name, value) for name, value in values.items()}
    width = max(map(len, values), default=0)
    for name, value in values.items():
        text = f"{value:.4g}" if isinstance(value, float) else f"{value}"
        print(f"{name:{width}} = {text}")
    for name, value in values.items():
        # repr, because MyST-NB reads the stored text back as a Python literal
        show_record(
            {f"{_RECORD}text/plain": repr(value)},
            {"scrapbook": {"name": name, "mime_prefix": _RECORD}},
        )


def spread(values, digits=3):
    """Mean and sample standard deviation as text: "0.004 ± 0.001".

    values: one number a seed
    digits: digits after the point
    """
    values = [float(v) for v in values]
    if not values:
        raise ValueError("spread needs at least one value")
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    return f"{mean:.{digits}f} ± {sd:.{digits}f}"


def show_record(data, metadata=None):
    """Add an output to the notebook cell that runs; elsewhere do nothing.

    data: {mime type: content}. Returns whether there was a notebook.
    """
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return False
    # a terminal IPython would print the raw record
    if get_ipython() is None or not hasattr(get_ipython(), "kernel"):
        return False
    display(data, raw=True, metadata=metadata or {})
    return True


def _plain(name, value):
    """`value` as a float, an int or a str."""
    if getattr(value, "shape", None) == () or getattr(value, "size", None) == 1:
        value = value.item()  # a NumPy scalar or array of one number
    elif hasattr(value, "numel") and value.numel() == 1:
        value = value.item()  # a tensor of one number
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(
            f"glue({name}=...) got a {type(value).__name__}; it takes a float, an "
            "int or a text. For the values of several seeds: spread(values)."
        )
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # "nan" is no literal; as text it can still be shown
    return value
