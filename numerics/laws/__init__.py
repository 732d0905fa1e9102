"""Exact laws of samplers on the line, without sampling."""
