"""How the histories are looked for.

`pytest tests/properties --hypothesis-profile=long` looks much longer; `hasty` is content with a first failure.
"""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("long", max_examples=1000, deadline=None, print_blob=True)
settings.register_profile(
    "hasty",
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
    deadline=None,
    database=None,
)
