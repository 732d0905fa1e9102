"""Bounds held against referees: verdicts, the matrix of targets, searches for counterexamples."""
