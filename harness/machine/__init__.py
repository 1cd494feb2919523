"""What this machine is and does: its processors and GPUs, memory and energy while a run is on it, how quiet it was,
and where a run is placed on it. Nothing here knows what a run is.
"""
