"""The sections of the report: one builder a file."""
