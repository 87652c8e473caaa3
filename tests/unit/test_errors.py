import pickle
import re

import pytest

from models import errors
from models.errors import BadAnswer, BadImage, RedactionFailed, VigieError


def tree(root=VigieError):
    for child in root.__subclasses__():
        yield child
        yield from tree(child)


def test_the_docstring_draws_the_whole_tree():
    drawn = set(re.findall(r"\b[A-Z]\w+(?= )|StorageError|VigieError", errors.__doc__ or ""))
    for error in tree():
        assert error.__name__ in drawn, f"{error.__name__} is missing from the tree"


def test_every_error_says_whether_a_retry_helps_and_its_exit_code():
    for error in tree():
        assert isinstance(error.retryable, bool)
        assert 1 < error.exit_code < 128


def test_only_what_is_full_or_away_is_worth_a_retry():
    away = {"StoreFull", "StoreUnavailable", "SinkUnavailable"}
    assert {e.__name__ for e in tree() if e.retryable} == away


@pytest.mark.parametrize("kind", [BadAnswer, BadImage, RedactionFailed])
def test_errors_cross_process_borders(kind):
    error = pickle.loads(pickle.dumps(kind("truncated", "at byte 12")))
    assert (error.reason, error.detail, str(error)) == (
        "truncated",
        "at byte 12",
        "truncated: at byte 12",
    )
