"""What all kinds of imports share: their contract, reading of archives, writing of images."""
