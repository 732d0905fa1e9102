"""Samplers of other libraries, and a user's own, recorded as tapes (section 15 of docs/theory.md)."""
