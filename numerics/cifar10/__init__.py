"""The same forward processes on images, with trained networks: the extra ``cifar10``.

Floors, ground first: `clocks`, `archives`, `images`, `gaussians`, `networks`, `checkpoints`, `runs`, `training`.
"""
