"""Networks as ONNX files: graphs of the operators LSTM, GRU and RNN, and back.

    path = lb.onnx.export(layer, "layer.onnx")     # run once and compared, too
    y, state = lb.onnx.run(path, x, state, lengths)
    layer = lb.onnx.from_onnx(path)

A layer becomes one node and not an unrolled loop, so time and batch may have any
size. The inputs of a file are

    x          float32 [batch, time, features]
    lengths    int64 [batch]; left out, every row is as long as x
    initial_h  float32 [batch, size], and initial_c; left out, the layer's own start

and its outputs y [batch, time, output], final_h and final_c. In a `Stack` the names
of states begin with the number of the layer, "1.initial_h"; a `Bidirectional` layer
takes no state and gives "forward.final_h" and "backward.final_h".

onnxruntime computes these operators with code of its own. That makes it the oracle
for what torch has no kernel for: peepholes, coupled gates, the GRU that resets first.
"""

from .files import export, from_onnx, run, to_onnx

__all__ = ["export", "from_onnx", "run", "to_onnx"]
