"""The TensorFlow operations that a model of unknown origin may hold: those that compute, and nothing else.

A frozen graph is a program: some operations read and write files, open connections, call Python, or loop for ever.
Allowed are the operations that the frozen graphs of the project's networks and of Keras's layers were found to hold,
and similar arithmetic. A choice between two functions without effects is allowed, too, since old checkpoints have one
between training and inference; the functions' own operations are checked as well. Loops are not allowed, and so no LSTM
or GRU that Keras did not unroll.
"""

from __future__ import annotations

from typing import Any, Final

from mainstream.errors import ProblemError
from mainstream.graphs.backend import tensorflow

_STRUCTURE: Final = """
    Cast Const Identity IdentityN NoOp PartitionedCall Placeholder PlaceholderWithDefault PreventGradient Snapshot
    StatefulPartitionedCall StatelessIf StopGradient CheckNumerics
"""
_SHAPES: Final = """
    BatchToSpaceND BroadcastTo Concat ConcatV2 DepthToSpace EnsureShape ExpandDims Fill Gather GatherNd GatherV2
    InvertPermutation MirrorPad OneHot OnesLike Pack Pad PadV2 Range Rank Reshape ReverseV2 ScatterNd Shape ShapeN Size
    Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze StridedSlice TensorScatterUpdate Tile Transpose Unpack Where
    ZerosLike
"""
_ARITHMETIC: Final = """
    Abs Acos Acosh Add AddN AddV2 AccumulateNV2 Asin Asinh Atan Atan2 Atanh BatchMatMul BatchMatMulV2 BatchMatMulV3
    BiasAdd BiasAddV1 Ceil ClipByValue Complex Cos Cosh Cumprod Cumsum Div DivNoNan Einsum Erf Erfc Erfinv Exp Expm1
    Floor FloorDiv FloorMod Imag Inv LinSpace Log Log1p LogSoftmax MatMul Maximum Minimum Mod Mul MulNoNan Neg Pow Real
    RealDiv Reciprocal Rint Round Rsqrt Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Square SquaredDifference
    Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlogy
"""
_COMPARISON: Final = """
    All Any ApproximateEqual ArgMax ArgMin Equal Greater GreaterEqual IsFinite IsInf IsNan Less LessEqual LogicalAnd
    LogicalNot LogicalOr Max Mean Min NotEqual Prod Select SelectV2 Sum TopK TopKV2 InTopK InTopKV2 SegmentMax
    SegmentMean SegmentMin SegmentSum UnsortedSegmentMax UnsortedSegmentSum
"""
_LAYERS: Final = """
    AvgPool AvgPool3D Conv2D Conv2DBackpropInput Conv3D CropAndResize DepthwiseConv2dNative Dilation2D Elu
    FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 L2Loss LRN LeakyRelu MaxPool MaxPool3D MaxPoolV2
    NonMaxSuppressionV3 Relu Relu6 ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor Selu
    AdjustContrastv2 AdjustHue AdjustSaturation HSVToRGB RGBToHSV
"""
ALLOWED: Final = frozenset(f"{_STRUCTURE} {_SHAPES} {_ARITHMETIC} {_COMPARISON} {_LAYERS}".split())


def check_ops(definition: Any) -> None:
    """Raise :class:`ProblemError` unless a GraphDef, its functions included, holds only allowed operations.

    Operations that TensorFlow lacks are named before those that would need trust, since trust does not help them.
    """
    functions = definition.library.function
    bodies = [definition.node, *(function.node_def for function in functions)]
    strange = sorted({node.op for body in bodies for node in body} - ALLOWED)
    own = {function.signature.name for function in functions}
    lacking = [name for name in strange if name not in own and not _is_known(name)]
    if lacking:
        raise ProblemError(
            f"it holds the operation {lacking[0]!r}{_more(lacking)}, which the installed TensorFlow lacks; freeze the "
            "model with operations of TensorFlow alone"
        )
    if strange:
        raise ProblemError(
            f"it holds the operation {strange[0]!r}{_more(strange)}, which may do more than compute; freeze the model "
            "with `mainstream freeze`, or trust it (--trust-models)"
        )


def _is_known(operation: str) -> bool:
    try:
        tensorflow("run").Graph().op_def_for_type(operation)
    except Exception:  # what it raises is not documented
        return False
    return True


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
