"""Networks as ONNX files.

network.py is what is exported, writing.py writes it, checking.py compares its images with those of
torch, and quantizing.py makes its weights 8-bit integers.
"""
