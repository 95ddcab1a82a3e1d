"""The verification edge node: a code and a face in, a verdict out."""
