"""One module a kind of data, found by its name: `source(config) -> Source`, cheap until its parts are read."""
