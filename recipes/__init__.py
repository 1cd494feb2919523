"""What runs in a library's own environment: a room each for the libraries, and what the rooms share (contract/, worker/,
pytorch/, weights/). Nothing here imports the harness.
"""
