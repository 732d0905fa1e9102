"""Curves and checks along K, ε or T: bounds beside exact values."""
