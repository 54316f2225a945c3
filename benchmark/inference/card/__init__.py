"""The model card of exported weights: writing.py fills card.md.jinja with what is known of them."""
