"""Apache MXNet 1.9 with gluonnlp 0.10; its last releases are of 2022 and 2020."""
