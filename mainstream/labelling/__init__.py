"""A local web page on which a person labels a clip: ``mainstream label``."""
