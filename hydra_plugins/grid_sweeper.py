"""Hydra's grid sweeper, made resumable: the harness records the runs, starts what is left, and shows what became of it.

It lies here because Hydra takes plugins from this package alone.
"""

from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser


class GridSweeper(BasicSweeper):
    """All combinations of `key=a,b,c`, on the command line or in `hydra.sweeper.params`."""

    started = 0

    def sweep(self, arguments: list[str]) -> None:
        from harness import sweeps

        assert self.hydra_context and self.config
        loader = self.hydra_context.config_loader
        overrides = OverridesParser.create(config_loader=loader).parse_overrides([*self._parse_config(), *arguments])
        combinations = [list(words) for batch in self.split_arguments(overrides, None) for words in batch]
        composed = [loader.load_sweep_config(self.config, words) for words in combinations]
        sweeps.codes.append(sweeps.sweep(combinations, composed, self.config, self.launch))

    def launch(self, runs: list[list[str]], folder: Path) -> list[int]:
        """Have the launcher do the runs, in batches if `max_batch_size` says so; return the exit code of each."""
        from harness import config

        assert self.launcher and self.config
        word = config.quoted(f"hydra.sweep.dir={folder}", sweep=False)
        self.config.hydra.overrides.hydra.append(word)  # so the processes of the launcher know their sweep
        returned = []
        for batch in self.split_overrides_to_chunks(runs, self.max_batch_size):
            done = self.launcher.launch(batch, initial_job_idx=self.started)
            self.started += len(batch)
            returned += [one.return_value for one in done]
        return returned
