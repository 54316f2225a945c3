"""A blind study of colorization results with people, from the tests of models to rates.

outputs.py reads the images, design.py chooses the pairs, page.py writes them into one offline page,
answers.py reads what participants answered, and rates.py makes rates with intervals of it.
"""
