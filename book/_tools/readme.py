"""Write the table of chapters in README.md from the heads of the notebooks."""

import re

import nbformat
import toc

FILE = toc.ROOT / "README.md"
BEGIN, END = "<!-- chapters -->\n\n", "\n\n<!-- end of chapters -->"


def table():
    """The table: chapter, minutes, Colab."""
    at = toc.address()
    lines = ["| chapter | 2 CPU cores | GPU | |", "|---|---|---|---|"]
    for path in toc.notebooks():
        name = path.relative_to(toc.ROOT).as_posix()
        head = nbformat.read(path, as_version=4).cells[0].source
        title = re.search(r"^# (.+)", head, re.MULTILINE)[1]
        times = r"· ([^·]+) on 2 CPU cores · ([^·]+) on a GPU"
        cpu, gpu = re.search(times, head).groups()
        colab = f"[Colab]({at['colab']}/blob/{at['tag']}/{name})"
        lines.append(f"| [{title}]({name}) | {cpu} | {gpu} | {colab} |")
    return "\n".join(lines)


def current():
    """README.md as it should be now."""
    before, rest = FILE.read_text(encoding="utf-8").split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    FILE.write_text(current(), encoding="utf-8")
    print("wrote README.md")
