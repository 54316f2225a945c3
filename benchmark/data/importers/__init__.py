"""The kinds of sources that images are imported from, one file each, found by folder.

A file defines `IMPORTER`, an `Importer` of benchmark/data/importing/contract.py.
"""
