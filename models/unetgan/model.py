"""A U-Net trained against a discriminator for vivid color.

The network is that of unet, and colorizing is one pass from L to color. Only the training differs
(train.py); the discriminator is not part of the model.
"""

from ..unet import model as unet


class Model(unet.Model):
    """The generator of pix2pix (Isola et al. 2017), with residual blocks and GroupNorm."""
