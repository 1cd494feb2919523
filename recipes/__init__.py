"""One library, one file; these run in that library's own environment and import nothing of the harness."""
