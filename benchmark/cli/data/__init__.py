"""`main.py data …`: commands about data sets, one a file."""
