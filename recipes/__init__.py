"""What runs in a library's own environment: a room for each library, and what the rooms share.

That is contract/, worker/, weights/ and pytorch/. Nothing here imports the harness.
"""
