"""What a statement is: hypotheses, kind, source and formula, before any statement is made."""
