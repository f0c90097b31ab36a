"""A .tflite file of an int8 step as a folder of C: bit-exact, without heap or globals (README.md)."""
