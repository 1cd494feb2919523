"""What everything stands on: errors for people, the home of what is built and its locks, progress, what is printed,
environments and the Python that runs in them. It imports nothing from above, and runs on a bare Python.
"""
