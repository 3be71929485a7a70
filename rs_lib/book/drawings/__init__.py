"""Drawing functions, a module per chapter: from a figure's recorded data to its picture."""
