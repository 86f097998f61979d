"""Vega as one script, as vl-convert brings it: made in a second or two, kept in the user's cache folder."""

import functools
import os
from contextlib import suppress

from mmuexp.render.chart.vega import convert
from mmuexp.runtime import partfile
from mmuexp.runtime.places import cache_folder


@functools.cache
def vega() -> str:
    """JavaScript that defines `vegaEmbed`: Vega with its interpreter of expressions, so a page needs no eval."""
    from importlib.metadata import version

    place = cache_folder() / "vega" / f"{version('vl-convert-python')}.js"
    with suppress(OSError, UnicodeDecodeError):
        kept = place.read_text(encoding="utf-8")
        if kept.startswith(_LICENCES) and kept.endswith(_END):
            return kept
    code = convert("javascript_bundle", snippet="window.vegaEmbed=vegaEmbed;").replace("\r\n", "\n")
    script = _LICENCES + code.replace("</script", "<\\/script").rstrip() + _END
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = partfile.create(str(place))
        with open(handle, "w", encoding="utf-8") as file:
            file.write(script)
        os.replace(temporary, place)
    return script


# both licences ask for this in every copy
_LICENCES = (
    "/* Vega, Vega-Embed and what they stand on: (c) University of Washington Interactive Data Lab, BSD-3-Clause;"
    " D3: (c) Mike Bostock, ISC. Bundled by vl-convert. */\n"
)
_END = "\n/* end */\n"
