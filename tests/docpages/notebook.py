"""The notebook of docs/, run as Jupyter runs it."""

import re
from pathlib import Path
from typing import Any

from .pages import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def executed() -> Any:
    """The notebook with the outputs of today; raises if a cell does."""
    import nbclient
    import nbformat

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    quiet = ["--HistoryManager.enabled=False", "--IPKernelApp.log_level=ERROR"]
    client = nbclient.NotebookClient(notebook, timeout=100, resources=resources, extra_arguments=quiet)
    return client.execute()


def kept() -> Any:
    import nbformat

    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(notebook: Any) -> list[list[str]]:
    """What each code cell shows, as text: tables and figures; of a picture its data."""
    return [[_text(out) for out in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]


def renew() -> bool:
    """Writes the outputs of today, if they say something else than those that are there."""
    import nbformat

    now = executed()
    if outputs(now) == outputs(kept()):
        return False
    for cell in now.cells:
        cell.metadata = {}
    now.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    Path(NOTEBOOK).write_text(nbformat.writes(now) + "\n")
    return True


def _text(out: Any) -> str:
    from .pictures import data

    if out.output_type == "stream":
        return out.text
    if "image/svg+xml" in out.data:
        return "\n".join(data(out.data["image/svg+xml"]))
    return re.sub(r"0x[0-9a-f]{8,}", "0x", out.data["text/plain"])
