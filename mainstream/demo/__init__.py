"""All steps on clips that are made here: film, train, solve, run, evaluate; ``mainstream demo``."""
