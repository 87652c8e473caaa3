"""What a model card says is checked before it decides what is found."""

import re

import pytest

from models.card import SHIPPED, read_card
from models.errors import BadWeights


@pytest.mark.parametrize("score", [".nan", "1.5", "-0.1"])
def test_a_threshold_that_finds_nothing_is_refused(tmp_path, score):
    text = (SHIPPED / "privacy.md").read_text()
    first = re.search(r"(min_score:\n  \w+: )[\d.]+", text)
    (tmp_path / "privacy.md").write_text(text.replace(first[0], first[1] + score))
    with pytest.raises(BadWeights, match="min_score"):
        read_card("privacy", tmp_path)
