"""A package, so that its fixtures of that scope last as long as its tests: Ray is started once."""
