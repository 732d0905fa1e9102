"""A sampler: where its times lie, what its steps do, and the setting in which a statement is read."""
