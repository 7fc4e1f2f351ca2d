"""Sphinx extension of the book: a bibliography to look up authors and years in.

The text cites [Gers et al., 2000]; the list begins with the surname, as it is sorted.
"""

import pybtex.plugin
from pybtex.style.formatting.plain import Style
from pybtex.style.template import names, sentence


class SurnameFirst(Style):
    default_name_style = "lastfirst"

    def format_names(self, role, as_sentence=True):
        line = names(role, sep="; ", sep2="; ", last_sep="; ")
        return sentence[line] if as_sentence else line


def setup(app):
    pybtex.plugin.register_plugin(
        "pybtex.style.formatting", "surname_first", SurnameFirst
    )
    return {"parallel_read_safe": True}
