"""The front doors: the command line and its report."""
