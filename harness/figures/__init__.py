"""What is told of a run that ended: its row, of metrics, times, memory and arithmetic, and the summary on the screen.
Each key is explained in outputs/README.md.
"""
