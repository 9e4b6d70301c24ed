"""Whatever bytes come in, what comes out is what was promised.

`SIGNALS_FUZZ_EXAMPLES` says how many each target is tried with; `python3 noxfile.py -s fuzz` looks
for new ones by the branches that they take.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, pieces_of

EXAMPLES = int(os.environ.get("SIGNALS_FUZZ_EXAMPLES", "0")) or settings().max_examples


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_no_bytes_make_it_stumble(target):
    """Any bytes, and any that are made of what means something there, are handled as promised."""
    pieces = st.sampled_from(pieces_of(target))
    made = st.lists(pieces, max_size=60).map("".join).map(str.encode)

    @settings(max_examples=EXAMPLES)
    @given(st.one_of(made, st.binary(max_size=200)))
    def tried(data):
        target(data)

    tried()
