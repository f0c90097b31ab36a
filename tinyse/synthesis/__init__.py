"""Speech out of text: an openly licensed neural voice, whose talkers are blended, as recordings like any other."""
