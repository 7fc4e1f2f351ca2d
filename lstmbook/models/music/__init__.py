"""Models of music in several voices: all notes of a frame at once, or voice by voice.

from lstmbook.datasets.music import chorales
train, valid = chorales("train", resolution=2), chorales("valid", resolution=2)
model = VoiceModel.of_size(VoiceTokens.of(train + valid), 256).fit(train, valid)
scores.write(model.compose(64, seed=1), "chorale.mid")
lb.save(model, "chorales.safetensors")

`FrameModel`, `VoiceModel` and `VoiceChain` say what a frame costs in nats by the same
`frame_costs(pieces)`, each given the frames before it and that the piece goes on.
"""

from .chain import VoiceChain
from .frames import FrameModel, frame_loss
from .voices import VoiceModel

__all__ = ["FrameModel", "VoiceChain", "VoiceModel", "frame_loss"]
