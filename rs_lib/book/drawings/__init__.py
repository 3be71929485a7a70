"""Drawing functions, a module per chapter: each turns the data of a recorded figure into a picture."""
