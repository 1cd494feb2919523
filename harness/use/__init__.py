"""What one does: a run from the configuration to its row, and with a finished one predict, export, and hold it against
the reference (parity).
"""
