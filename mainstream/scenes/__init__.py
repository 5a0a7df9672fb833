"""Labelled clips that are made: cut-outs that enter, cross and leave over real footage; ``mainstream scenes``."""
