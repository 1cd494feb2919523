"""The plain reference that scripts/parity.py holds the recipes against; it takes protocol=controlled alone."""
