"""Grids placed by a criterion: the optimal clock's and numerical ones."""
