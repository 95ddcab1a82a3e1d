"""Error rates measured on labelled images: gathered, scored, reported."""
