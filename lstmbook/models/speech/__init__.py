"""Speech: which word a recording is, and what is said in one, without alignments.

import lstmbook as lb
from lstmbook.audio import AudioFeatures
from lstmbook.datasets.speech import DIGITS, leave_one_out
from lstmbook.models.speech import SpeechClassifier
train, test = leave_one_out("theo")
model = SpeechClassifier.of_size(DIGITS, AudioFeatures("mfcc", deltas=1)).fit(train)
print(model.predict("mine.wav"), model.accuracy(test))

from lstmbook.datasets.vocabulary import Vocabulary
model = SpeechRecogniser.of_size(Vocabulary(letters), AudioFeatures()).fit(phrases)
print(model.transcribe("mine.wav", width=16))
lb.save(model, "ears.safetensors")     # lb.load(...) gives it back, features and all
"""

from .classifier import SpeechClassifier
from .layers import deep_layer
from .recogniser import ErrorRates, SpeechRecogniser

__all__ = ["ErrorRates", "SpeechClassifier", "SpeechRecogniser", "deep_layer"]
