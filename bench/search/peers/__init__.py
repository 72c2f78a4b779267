"""The methods that are compared: each a program that reads a job per line and answers with a line."""
