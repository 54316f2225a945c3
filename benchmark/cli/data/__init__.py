"""The commands `main.py data …`, one file each."""
