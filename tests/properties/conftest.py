"""How long the histories are looked for: `pytest tests/properties --hypothesis-profile=long` looks much longer."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("long", max_examples=1000, deadline=None, print_blob=True)
