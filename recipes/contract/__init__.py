"""What a recipe is given and gives back: the job, its rows and batches, its checkpoints, and what it reports.

Standard library and numpy alone: this runs in every library's environment.
"""
