"""Configurations, data, environments, processes and figures; imports no deep-learning library, ever."""
