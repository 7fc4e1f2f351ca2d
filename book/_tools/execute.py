"""Execute notebooks afresh and store what came out: `make execute [NB=path]`.

Runs all chapters in the order of the table of contents, or the notebooks named, each
in a new kernel and in its own folder. Refuses to write a notebook that raises. Takes
out what is volatile, and keeps text and PNG only. Prints what a run costs.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from toc import ROOT, notebooks

KEEP = (
    "text/plain",
    "image/png",
    "application/vnd.lstmbook.claim+json",
    "application/papermill.record/",  # numbers for the prose
)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
COST = """
import resource, sys, time
_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.process_time(), _peak / (2**30 if sys.platform == "darwin" else 2**20))
"""


def execute(path, timeout=600):
    """Run one notebook and write it back.

    Returns seconds on the wall, seconds of CPU, peak memory in GiB, and the text
    that went to stderr (which is not stored).
    Raises CellExecutionError, and leaves the file alone, when a cell does.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.reset_execution_trackers()
    start = time.perf_counter()
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
                client.execute_cell(cell, index)
        wall = time.perf_counter() - start
        notebook.cells.append(nbformat.v4.new_code_cell(COST))
        cost = client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
        notebook.cells.pop()
    cpu, memory = map(float, cost.outputs[0].text.split())
    stderr = clean(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return wall, cpu, memory, stderr


def clean(notebook):
    """Take out, in place, what must not be stored. Returns the text of stderr."""
    own = {k: v for k, v in notebook.metadata.items() if k == "lstmbook"}
    notebook.metadata = nbformat.from_dict(METADATA | own)
    stderr = []
    for cell in notebook.cells:
        for key in ("execution", "jupyter", "collapsed", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        outputs = []
        for output in cell.outputs:
            if output.get("name") == "stderr":
                stderr.append(output.text)
                continue
            if "data" in output:
                data = {k: v for k, v in output.data.items() if k.startswith(KEEP)}
                if not data:
                    continue
                output.data = nbformat.from_dict(data)
                output.metadata = nbformat.from_dict(
                    {k: v for k, v in output.metadata.items() if k == "scrapbook"}
                )
            outputs.append(output)
        cell.outputs = outputs
    return "".join(stderr)


def main(names):
    paths = [Path(name).resolve() for name in names] or notebooks()
    print(f"{'wall s':>7} {'CPU s':>7} {'GiB':>5} {'KB':>5}")
    total = 0
    for path in paths:
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        try:
            wall, cpu, memory, stderr = execute(path)
        except CellExecutionError as error:
            sys.exit(f"{shown}: not written, a cell raises\n{error}")
        total += wall
        size = path.stat().st_size / 1000
        print(f"{wall:7.1f} {cpu:7.1f} {memory:5.2f} {size:5.0f}  {shown}", flush=True)
        if stderr:
            print(f"  on stderr, not stored:\n{stderr}", flush=True)
    print(f"{total:7.1f} in all")


if __name__ == "__main__":
    main(sys.argv[1:])
