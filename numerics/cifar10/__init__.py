"""The same forward processes on images, with trained networks: the extra ``cifar10``.

Ground first: `processes`, `archives`, `images`, `gaussian_images`, `networks`, `noise_levels` (one network for every
process), `fast_networks`, `checkpoints`, `runs`, `sampling`, `tape_sampling`, `training`; other people's:
`foreign_networks`, `networks_in_use`; then what is made of them: `long_sampling`, `evaluation`, `sample_quality`,
`network_error`, `comparison`, `kept_cells`, `comparison_runs`, `comparison_output`.
"""
