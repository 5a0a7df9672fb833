"""Make labelled clips: cut-outs that enter, cross and leave over real footage; ``mainstream scenes``."""
