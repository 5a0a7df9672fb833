"""All of it on a clip that is made here: film, train, solve, run, evaluate; ``mainstream demo``."""
