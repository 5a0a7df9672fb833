"""The ONNX operations that a model of unknown origin may hold: those that compute, and nothing else.

An ONNX model is a program, too: some operations loop without end or hold graphs of their own, those of other domains do
whatever a library makes them do, and weights may be read from any file. Allowed are the operations of ONNX's own domain
that take and give arrays of numbers.
"""

from __future__ import annotations

from typing import Any, Final

from mainstream.errors import ProblemError
from mainstream.onnx_graphs.backend import onnx

ONNX_DOMAINS: Final = frozenset({"", "ai.onnx"})
"""Two names of the same domain."""

_STRUCTURE: Final = """
    BitCast Cast CastLike Constant Dropout Identity
"""
_SHAPES: Final = """
    CenterCropPad Compress Concat ConstantOfShape DepthToSpace Expand EyeLike Flatten Gather GatherElements GatherND
    NonZero OneHot Pad Range Reshape ReverseSequence Scatter ScatterElements ScatterND Shape Size Slice SpaceToDepth
    Split Squeeze TensorScatter Tile Transpose Trilu Unique Unsqueeze Where
"""
_ARITHMETIC: Final = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Clip Cos Cosh
    CumProd CumSum Det Div Einsum Erf Exp Floor Gemm Log MatMul MatMulInteger Mod Mul Neg Not Or Pow Reciprocal Round
    Sign Sin Sinh Sqrt Sub Sum Tan Tanh Xor
"""
_COMPARISON: Final = """
    ArgMax ArgMin Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Max Mean Min ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare TopK
"""
_LAYERS: Final = """
    AffineGrid Attention AveragePool BatchNormalization Celu Col2Im Conv ConvInteger ConvTranspose DeformConv Elu GRU
    Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample GroupNormalization HardSigmoid HardSwish Hardmax
    InstanceNormalization LRN LSTM LayerNormalization LeakyRelu LogSoftmax LpNormalization LpPool MaxPool MaxRoiPool
    MaxUnpool MeanVarianceNormalization Mish NonMaxSuppression PRelu RMSNormalization RNN Relu Resize RoiAlign
    RotaryEmbedding Selu Shrink Sigmoid Softmax Softplus Softsign SwiGLU Swish ThresholdedRelu Upsample
"""
_QUANTISED: Final = """
    DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul QuantizeLinear
"""
ALLOWED: Final = frozenset(f"{_STRUCTURE} {_SHAPES} {_ARITHMETIC} {_COMPARISON} {_LAYERS} {_QUANTISED}".split())


def check_ops(model: Any) -> None:
    """Raise :class:`ProblemError` unless a ModelProto holds only allowed operations, and no functions of its own.

    Operations that ONNX lacks are named before those that would need trust, since trust does not help them. No allowed
    operation holds a graph, so there are no inner graphs to check.
    """
    if model.functions:
        raise ProblemError(
            f"it holds the function {model.functions[0].name!r}, which may do more than compute; replace it by its "
            "operations (onnx.inliner.inline_local_functions), or trust it (--trust-models)"
        )
    strange = sorted(
        {
            f"{node.domain}.{node.op_type}" if node.domain not in ONNX_DOMAINS else node.op_type
            for node in model.graph.node
            if node.domain not in ONNX_DOMAINS or node.op_type not in ALLOWED
        }
    )
    lacking = [name for name in strange if "." not in name and not _is_known(name)]
    if lacking:
        raise ProblemError(
            f"it holds the operation {lacking[0]!r}{_more(lacking)}, which the installed ONNX lacks; export the model "
            "with operations of ONNX alone"
        )
    if strange:
        raise ProblemError(
            f"it holds the operation {strange[0]!r}{_more(strange)}, which may do more than compute; "
            "trust it (--trust-models)"
        )


def _is_known(operation: str) -> bool:
    return bool(onnx().defs.has(operation))


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
