"""Answer calls of vl-convert, one a line of JSON, until stdin ends: a process of its own, started by `vega.py`.

vl-convert ends its whole process where its engine has no memory or where a text is not XML.
"""

import base64
import json
import signal
import sys

import vl_convert

signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C goes to both, and ours says what becomes of this one

for line in sys.stdin:
    name, arguments = json.loads(line)
    try:
        made = getattr(vl_convert, name)(**arguments)
        answer = {"bytes": base64.b64encode(made).decode()} if isinstance(made, bytes) else {"made": made}
    except BaseException as error:  # a panic of Rust is not an Exception
        answer = {"error": str(error) or type(error).__name__}
    print(json.dumps(answer), flush=True)
