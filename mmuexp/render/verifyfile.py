"""Writes what `verify` found in each format, by suffix."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from mmuexp.render.export import json_bytes, to_csv, to_parquet

if TYPE_CHECKING:
    from mmuexp.analysis.verify import Verified


def _json(found: "Verified") -> bytes:
    return json_bytes({"manifest": found.manifest, "rows": json.loads(found.frame.to_json(orient="records"))})


def _html(found: "Verified") -> bytes:
    from mmuexp.render.verify import verify_html

    return verify_html(found).encode()


WRITERS: "dict[str, Callable[[Verified], bytes]]"
WRITERS = {".csv": to_csv, ".json": _json, ".parquet": to_parquet, ".html": _html}
