"""Errors come back from another interpreter as they were."""

from __future__ import annotations

import pickle

import pytest

from wbound.errors import BadInput, HypothesisFailed, Inconsistent, IOFailure, Unreachable, WboundError


@pytest.mark.parametrize(
    "error",
    [
        BadInput("K", 0, "must be an integer >= 1"),
        HypothesisFailed("Theorem 1", "the step-size condition", "too long", step=3),
        Unreachable(0.1, 0.2, "the score"),
        Inconsistent("refuted"),
        IOFailure("cannot read x"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_error_survives_pickling(error: WboundError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)
    assert again.exit_code == error.exit_code
