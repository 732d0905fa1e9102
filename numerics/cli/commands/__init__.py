"""The commands: one family a file, found by numerics.cli.main."""
