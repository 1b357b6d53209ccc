"""Look for secrets with detect-secrets: keys, tokens and logins of services by their form, and random text.

Random text is not looked for in tests, which have keys of their own, nor in the history, nor in the lists of hashes.
The examples of pasted secrets in `tests/data/settings/bad` are what they are. A line that is meant ends in
`# pragma: allowlist secret`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.scan import scan_diff
from detect_secrets.settings import default_settings, transient_settings

_NEVER = {"KeywordDetector", "IPPublicDetector"}  # a word like "password" beside a text is no secret, nor is an address
_RANDOM = {"Base64HighEntropyString", "HexHighEntropyString"}
_EXAMPLES = ("tests/data/settings/bad/", "tests/agent/config/test_secrets.py")
_HASHES = ".lock"
# The words with which a key begins, where they are looked for; and what tests make up to see it kept out of sight.
_HARMLESS = {
    ("agent/config/certificates.py", "Private Key"),
    ("tests/agent/config/conftest.py", "Basic Auth Credentials"),
    ("tests/agent/config/test_web_settings.py", "Private Key"),
    ("tests/agent/test_sentry.py", "Basic Auth Credentials"),
    ("tests/agent/test_sentry.py", "Private Key"),
}
_NOTHING = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's empty tree  # pragma: allowlist secret
_PATCH = ("--unified=0", "--no-color", "--no-ext-diff", "--no-renames")
_IS_A_FILE = "detect_secrets.filters.common.is_invalid_file"


def in_tree(root: Path) -> Iterator[str]:
    """Name the place and the kind of everything in the files of a checkout that looks like a secret."""
    for secret in _look(root, ["diff", *_PATCH, _NOTHING], random=True):
        if not (secret.type.endswith("Entropy String") and secret.filename.startswith("tests/")):
            yield f"{secret.filename}:{secret.line_number}: {secret.type}"


def in_history(root: Path) -> Iterator[str]:
    """Name the file and the kind of everything that ever was committed and looks like a secret."""
    places = {(one.filename, one.type) for one in _look(root, ["log", "--patch", "--all", "--format=", *_PATCH])}
    for filename, kind in sorted(places):
        yield f"{filename}: {kind}"


def _look(root: Path, command: Sequence[str], *, random: bool = False) -> Iterator[PotentialSecret]:
    """Scan every line that is added in what a git command prints."""
    diff = subprocess.run(["git", *command], cwd=root, capture_output=True, check=True).stdout
    unwanted = _NEVER if random else _NEVER | _RANDOM
    with default_settings() as usual:
        plugins = [{"name": name, **options} for name, options in usual.plugins.items() if name not in unwanted]
        filters = [{"path": path} for path in usual.filters if path != _IS_A_FILE]  # what was removed counts too
    with transient_settings({"plugins_used": plugins, "filters_used": filters}) as settings:
        settings.disable_filters(_IS_A_FILE)
        for secret in scan_diff(diff.decode(errors="replace")):
            harmless = (secret.filename, secret.type) in _HARMLESS or secret.filename.startswith(_EXAMPLES)
            if not (harmless or secret.filename.endswith(_HASHES)):
                yield secret
