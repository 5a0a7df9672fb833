"""Plug-in, extra ``train``: what the scheduler must know of a network, and the files that the runtime executes."""
