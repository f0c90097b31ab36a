"""A .tflite file of a quantized step as a folder of C: bit-exact, without heap or globals (README.md)."""
