"""Vega as one script, as vl-convert brings it: made in a second or two, kept in the user's cache folder."""

import functools
import os
import tempfile
from contextlib import suppress

from mmuexp.native import cache_folder


@functools.cache
def vega() -> str:
    """JavaScript that defines `vegaEmbed`: Vega with its interpreter of expressions, so a page needs no eval."""
    from importlib.metadata import version

    import vl_convert

    place = cache_folder() / "vega" / f"{version('vl-convert-python')}.js"
    with suppress(OSError, UnicodeDecodeError):
        kept = place.read_text(encoding="utf-8")
        if kept.endswith(_END):
            return kept
    script = (
        vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;").replace("</script", "<\\/script").rstrip() + _END
    )
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place.parent)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(script)
        os.replace(temporary, place)
    return script


_END = "\n/* end */\n"
