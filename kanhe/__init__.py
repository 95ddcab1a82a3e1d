"""The command line and the demo: the only room that knows edge and central."""
