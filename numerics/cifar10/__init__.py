"""The same forward processes on images, with trained networks: the extra ``cifar10``.

Ground first: `clocks`, `archives`, `images`, `gaussians`, `networks`, `checkpoints`, `runs`, `sampling`, `training`;
then what is made of runs: `evaluation`, `scoreerror`, `compare`, `eight`, `presenting`.
"""
