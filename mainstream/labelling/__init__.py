"""A local page where a person marks what a clip shows: ``mainstream label``."""
