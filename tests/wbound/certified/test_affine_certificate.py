"""Certificates of Eq. 17, Eq. 20 and phase-law samplers: what they enclose, and what a file of one lets through."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import wbound
from wbound.bounds.theorem_6 import affine_floor
from wbound.certified.affine import AffineCertificate, certify_affine, verify_affine
from wbound.certified.certificate_file import digest
from wbound.errors import BadInput, Inconsistent
from wbound.exact.ddim_angles import ddim_floor
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import phase_levels, zolotarev_levels


@pytest.mark.parametrize(
    ("kappa", "K"), [("10", 1), ("1000", 3), ("1e6", 5), ("2", 2), ("1e12", 12), ("1e300", 1)]
)
def test_the_floor(kappa: str, K: int) -> None:
    """E_K in doubles lies in an enclosure as tight as doubles, to 1e-13; and the doubles' sampler reaches it to 1e-8."""
    made = certify_affine(kappa, K)
    E = affine_floor(float(kappa), K)
    assert made.floor.relative < 1e-15 and abs(E - made.floor.mid) < 1e-13 * E
    assert made.worst is not None and made.attained is not None
    # no sampler is below: proved for this one
    assert made.worst.upper >= made.floor.lower and made.attained < 3e-8 + 2e-13 / E
    if E > 1e-6:
        assert made.worst.lower >= made.floor.lower * (1 - 1e-11)


def test_a_sampler_and_a_spectrum() -> None:
    """Any levels: W2 as the tape's law has it, and the worst case above a dense maximum and no wider than it says."""
    rng = np.random.default_rng(0)
    for K in (1, 2, 4):
        sampler = phase_levels(np.exp(rng.uniform(0.0, 3.0, 2 * K + 1)))
        x = np.exp(rng.uniform(0.0, 6.0, 5))
        made = certify_affine("403.4287934927351", K, sampler=sampler, spectrum=x.tolist())
        law = tape_law(sampler.tape(), x)
        assert made.w2 is not None and made.w2.mid == pytest.approx(law.w2(), rel=1e-11)
        at = np.exp(np.linspace(0.0, 6.0, 20001))
        dense = float(np.abs(sampler.gain(at) / np.sqrt(at) - 1.0).max())
        assert made.worst is not None
        assert made.worst.lower * (1 - 1e-6) <= dense <= made.worst.upper * (1 + 1e-12)
        assert made.worst.upper <= made.worst.lower * (1 + 1.1e-8)
        assert made.worst.lower >= made.floor.upper


def test_ddims_floor() -> None:
    for K, sigma0, lam in ((1, "2", None), (20, "1", None), (7, "0.3", "4"), (3, Fraction(1, 3), "1e4")):
        made = certify_affine("1", K, sigma0=sigma0, d=3, lam_max=lam)
        x = float(Fraction(str(sigma0))) ** 2
        assert made.ddim is not None and made.ddim.relative < 1e-15 and made.worst is None
        assert made.ddim.mid == pytest.approx(
            ddim_floor(K, [x] * 3, None if lam is None else float(lam)), rel=1e-13
        )


def test_a_file_comes_back() -> None:
    made = certify_affine("1e4", 3, spectrum=["1", "0.1", "1e3"], a="0.1", sigma0="1")
    again = verify_affine(made.to_json())
    assert isinstance(again, AffineCertificate) and again.bits == made.bits + 64
    for name, e in made.enclosures().items():
        new = again.enclosures()[name]
        assert e.lower <= new.lower <= new.upper <= e.upper


def edited(change: Callable[[dict[str, Any]], object], sealed: bool) -> str:
    body = json.loads(certify_affine("100", 2).to_json())
    change(body)
    if sealed:  # an edit that knows the digest
        body["digest"] = digest(body)
    return json.dumps(body)


@pytest.mark.parametrize(
    ("change", "sealed", "error"),
    [
        (lambda b: b["inputs"].update(kappa="101"), False, Inconsistent),
        (lambda b: b["inputs"].update(kappa="101"), True, Inconsistent),
        (lambda b: b["inputs"].update(K=3), True, BadInput),
        (lambda b: b["inputs"].update(kappa=100.0), True, BadInput),
        (lambda b: b["inputs"].update(levels="1"), True, BadInput),
        (lambda b: b["inputs"].pop("z"), True, BadInput),
        (lambda b: b["enclosures"]["floor"].update(lower="0.1"), True, Inconsistent),
        (lambda b: b["enclosures"]["worst"].update(upper="0.01"), True, Inconsistent),
        (lambda b: b["enclosures"]["worst"].update(upper="1"), True, Inconsistent),
        (lambda b: b["enclosures"].pop("worst"), True, Inconsistent),
        (lambda b: b["statements"].update(floor="eq-17"), True, Inconsistent),
        (lambda b: b.update(format="other"), True, BadInput),
    ],
)
def test_an_edit_is_noticed(
    change: Callable[[dict[str, Any]], object], sealed: bool, error: type[Exception]
) -> None:
    with pytest.raises(error):
        verify_affine(edited(change, sealed))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: certify_affine("0.5", 2), "kappa"),
        (lambda: certify_affine("10", 0), "K"),
        (lambda: certify_affine("10", 2, a="0"), "a"),
        (lambda: certify_affine("10", 2, sampler=zolotarev_levels(3, 1.0, 10.0)), "levels"),
        (lambda: certify_affine("10", 1, sampler={"levels": [1.0], "z": [-1.0], "nu": 1.0}), "z"),
        (lambda: certify_affine("10", 1, spectrum=["-1"]), "spectrum"),
        (lambda: certify_affine("1", 1, spectrum=["1"]), "spectrum"),
        (lambda: certify_affine("1", 1, sigma0="0"), "sigma0"),
        (lambda: certify_affine("1", 1, sigma0="1", lam_max="0"), "lam_max"),
    ],
)
def test_refusals(call: Callable[[], object], named: str) -> None:
    with pytest.raises(BadInput) as caught:
        call()
    assert caught.value.option == named


def test_a_wrong_sampler_is_not_certified_as_the_best() -> None:
    """One per cent in ν: the worst case leaves E_K, and the certificate says so."""
    right = zolotarev_levels(3, 1.0, 1e3)
    wrong = {"levels": right.levels.tolist(), "z": right.z.tolist(), "nu": 1.01 * right.nu}
    made = certify_affine("1000", 3, sampler=wrong)
    assert made.worst is not None and made.worst.lower > made.floor.upper + 0.009
    assert wbound.certify_affine is certify_affine and math.isfinite(made.worst.mid)
