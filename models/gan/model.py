"""A generator without skip connections, trained against a discriminator for vivid color.

The network is that of resnet, and colorizing is one pass from L to color. Only the training
differs (train.py); the discriminator is not part of the model.
"""

from ..resnet import model as resnet


class Model(resnet.Model):
    """The generator of a conditional GAN (Goodfellow et al. 2014; Mirza and Osindero 2014)."""
