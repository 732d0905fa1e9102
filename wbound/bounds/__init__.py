"""Upper bounds on W2: one theorem a file."""
