"""Run layers so that training through them is cheap: the same function as Keras's, with less to compute.

Batch norm in inference mode multiplies each channel by a factor and adds a constant. Behind a convolution both are
folded into its kernel and bias: y = x * (k s) + (b - m) s + beta with s = gamma / sqrt(v + epsilon). The gradients of
gamma and beta are then computed from the kernel's, without a sum over all pixels. A 1 x 1 convolution is done as a
matrix product, whose gradient TensorFlow computes faster on a CPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from mainstream.graphs.backend import keras, tensorflow
from mainstream.graphs.trace import Call, Network, TensorKey


def forward(
    network: Network, tensor: Any, start: int, stop: int, *, training: bool = False, batch_norm: bool = False
) -> Any:
    """Run layers start..stop-1 on a tensor.

    Parameters
    ----------
    network : Network
    tensor : tf.Tensor, shape (batch, ...)
        The tensor at chokepoint `start`.
    start, stop : int
        Chokepoints.
    training : bool
        Run layers that behave differently in training (dropout) in that mode; batch norm only with `batch_norm`.

    Returns
    -------
    tf.Tensor
        The tensor at chokepoint `stop`.
    """
    normalises = training and batch_norm
    calls = [call for layer in network.layers[start:stop] for call in layer.calls]
    folded = {} if normalises else dict(_pairs(calls, network.cuts[stop]))
    skipped = {id(norm) for norm in folded.values()}
    values: dict[TensorKey, Any] = {network.cuts[start]: tensor}
    for call in calls:
        if id(call) in folded:
            norm = folded[id(call)]
            (key,) = call.inputs.values()
            values[norm.outputs[0]] = _convolve(call.operation, norm.operation, values[key])
        elif id(call) not in skipped:
            is_norm = isinstance(call.operation, keras().layers.BatchNormalization)
            call.run(values, training=normalises if is_norm else training)
    return values[network.cuts[stop]]


def _pairs(calls: list[Call], last: TensorKey) -> Iterator[tuple[int, Call]]:
    """Pairs: id of a convolution's call, the call of the batch norm that is its only reader."""
    reads = Counter(key for call in calls for key in call.inputs.values())
    makers = {call.outputs[0]: call for call in calls if _is_plain(call.operation)}
    for call in calls:
        operation = call.operation
        if not isinstance(operation, keras().layers.BatchNormalization) or operation.compute_dtype != "float32":
            continue
        (key,) = call.inputs.values()
        if key in makers and key != last and reads[key] == 1 and operation.axis in {-1, 3}:
            yield id(makers[key]), call


def _is_plain(operation: Any) -> bool:
    """Whether it is a convolution that :func:`_convolve` computes as Keras does."""
    layers = keras().layers
    return (
        type(operation) in {layers.Conv2D, layers.DepthwiseConv2D}
        and operation.data_format == "channels_last"
        and operation.compute_dtype == "float32"
        and operation.activation is keras().activations.linear
        and operation.padding in {"same", "valid"}
        and (isinstance(operation, layers.DepthwiseConv2D) or operation.groups == 1)
        and len({*operation.strides}) == 1
    )


def _convolve(convolution: Any, norm: Any, tensor: Any) -> Any:
    """Run a convolution and the batch norm behind it, in inference mode."""
    tf = tensorflow()
    scale = tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        scale *= norm.gamma
    mean = norm.moving_mean - convolution.bias if convolution.use_bias else norm.moving_mean
    shift = -mean * scale
    if norm.center:
        shift += norm.beta
    step, padding = convolution.strides[0], convolution.padding.upper()
    options = {"strides": [1, step, step, 1], "padding": padding, "dilations": convolution.dilation_rate}
    if isinstance(convolution, keras().layers.DepthwiseConv2D):
        kernel = convolution.kernel * tf.reshape(scale, convolution.kernel.shape[2:])
        result = tf.nn.depthwise_conv2d(tensor, kernel, **options)
    elif tuple(convolution.kernel.shape[:2]) == (1, 1) and step == 1:
        result = tf.tensordot(tensor, (convolution.kernel * scale)[0, 0], 1)
    else:
        result = tf.nn.conv2d(tensor, convolution.kernel * scale, **options)
    return tf.nn.bias_add(result, shift)
