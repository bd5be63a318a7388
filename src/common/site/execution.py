"""The process of one page: ``python -m common.site.execution <folder>``.

It executes ``input.ipynb`` of the folder, writes ``output.ipynb`` if every cell ran, and tells in
``ended.json`` how it ended.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from common.runs import notebooks, store
from common.runs.files import write_json

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run(folder: Path) -> None:
    """Execute the page of a folder; no error of the page leaves this function.

    Args:
        folder: holds ``input.ipynb``.  ``ended.json`` gets ``cell``, the number of the last code
            cell that was started, and ``name`` and ``text`` of an error, None without one.
    """
    notebook = store.read_notebook(folder / "input.ipynb")
    numbers = {cell.id: i for i, cell in enumerate(notebooks.code_cells(notebook), start=1)}
    ended: dict[str, Any] = {"cell": None, "name": None, "text": ""}

    def start(cell: Any, cell_index: int) -> None:
        ended["cell"] = numbers.get(cell.id, ended["cell"])

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": os.getcwd()}},
        on_cell_start=start,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        ended |= {"name": error.ename, "text": _COLOUR.sub("", error.evalue)}
    except Exception as error:
        # a dead kernel, a missing kernel: the page is told which cell it was
        ended |= {"name": type(error).__name__, "text": _COLOUR.sub("", str(error))}
    else:
        store.write_notebook(folder / "output.ipynb", notebook)
    write_json(folder / "ended.json", ended)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
