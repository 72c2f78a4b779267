"""EVALUATE: call the API, run the code, score."""
