"""The widgets' twin on a page: rows to ask without a kernel, as data that a browser reads and one small script.

Notebooks 04_error_analysis and 05_inspect tell the story.
"""

import base64
import hashlib
from pathlib import Path

TEMPLATES = Path(__file__).parent / "assets" / "template"
MARK = '<section class="fb-twin"'  # where a page has this, it gets the script


def script() -> str:
    """The one script of all pages; it stands between ``<script>`` and ``</script>`` as it is."""
    return (TEMPLATES / "twin.js").read_text(encoding="utf-8")


def script_hash() -> str:
    """How a Content-Security-Policy names the script: it then lets this one run, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
