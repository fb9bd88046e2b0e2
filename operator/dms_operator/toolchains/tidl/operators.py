"""Which ONNX operators TIDL takes on TDA4VM, and what to do about the others: data alone, `rules` reads it.

Source: TI edgeai-tidl-tools docs/operators.md (commit 238cb8b, tools 11.x: ONNX 1.14, ONNX Runtime 1.15, opset 19,
IR 8) and docs/vision_transformers.md. An operator that is not a row here runs on the Arm cores.
"""

from dataclasses import dataclass

MAXIMUM_OPSET = 19
IR_VERSION = 8
MAXIMUM_NODES = 864
"""Nodes of one part (`max_num_subgraph_nodes`); more are split."""

ANYWHERE = "anywhere"
IN_PATTERN = "pattern"
AT_EDGES = "edges"


@dataclass(frozen=True)
class Operator:
    """One row: TIDL's layer, most dimensions above 1 of a variable input, and where the operator may stand."""

    layer: str
    rank: int = 6
    where: str = ANYWHERE


SUPPORTED: dict[str, Operator] = {
    "Conv": Operator("TIDL_ConvolutionLayer", 4),
    "ConvTranspose": Operator("TIDL_Deconv2DLayer", 4),
    "AveragePool": Operator("TIDL_PoolingLayer", 4),
    "GlobalAveragePool": Operator("TIDL_PoolingLayer", 4),
    "MaxPool": Operator("TIDL_PoolingLayer", 4),
    "Relu": Operator("TIDL_ReLULayer"),
    "PRelu": Operator("TIDL_PReLULayer"),
    "LeakyRelu": Operator("TIDL_LeakyReluLayer"),
    "Clip": Operator("TIDL_ClipLayer"),
    "Add": Operator("TIDL_EltWiseLayer"),
    "Sum": Operator("TIDL_EltWiseLayer"),
    "Sub": Operator("TIDL_EltWiseLayer"),
    "Mul": Operator("TIDL_EltWiseLayer"),
    "Div": Operator("TIDL_EltWiseLayer"),
    "Max": Operator("TIDL_EltWiseLayer"),
    "Min": Operator("TIDL_EltWiseLayer"),
    "Gemm": Operator("TIDL_InnerProductLayer", 4),
    "MatMul": Operator("TIDL_InnerProductLayer", 4),
    "Softmax": Operator("TIDL_SoftMaxLayer"),
    "BatchNormalization": Operator("TIDL_BatchNormLayer", 5),
    "InstanceNormalization": Operator("TIDL_InstanceNormLayer"),
    "LayerNormalization": Operator("TIDL_LayerNormLayer"),
    "Concat": Operator("TIDL_ConcatLayer"),
    "Slice": Operator("TIDL_SliceLayer"),
    "Split": Operator("TIDL_SliceLayer"),
    "Flatten": Operator("TIDL_FlattenLayer"),
    "Reshape": Operator("TIDL_ReshapeLayer"),
    "Squeeze": Operator("TIDL_SqueezeLayer"),
    "Unsqueeze": Operator("TIDL_UnsqueezeLayer"),
    "Transpose": Operator("TIDL_TransposeLayer"),
    "Gather": Operator("TIDL_GatherLayer"),
    "ArgMin": Operator("TIDL_ArgOpLayer", 4),
    "ArgMax": Operator("TIDL_ArgOpLayer", 4),
    "Resize": Operator("TIDL_ResizeLayer", 4),
    "Upsample": Operator("TIDL_ResizeLayer", 4),
    "DepthToSpace": Operator("TIDL_DepthToSpaceLayer"),
    "SpaceToDepth": Operator("TIDL_SpaceToDepthLayer"),
    "Pad": Operator("TIDL_PadLayer"),
    "ReduceMin": Operator("TIDL_ReduceLayer", 4),
    "ReduceMax": Operator("TIDL_ReduceLayer", 4),
    "TopK": Operator("TIDL_TopKLayer"),
    "GridSample": Operator("TIDL_GridSampleLayer"),
    "DeformConv": Operator("TIDL_DeformableConvLayer", 4),
    "ScatterND": Operator("TIDL_ScatterElementsLayer", 4),
    "ScatterElements": Operator("TIDL_ScatterElementsLayer", 4),
    "Expand": Operator("TIDL_ExpandLayer"),
    "Sigmoid": Operator("TIDL_SigmoidLayer"),
    "HardSigmoid": Operator("TIDL_HardSigmoidLayer"),
    "HardSwish": Operator("TIDL_HardSwishLayer"),
    "Mish": Operator("TIDL_MishLayer"),
    "Tanh": Operator("TIDL_TanhLayer"),
    "Elu": Operator("TIDL_ELULayer"),
    **{op: Operator(f"TIDL_{op}Layer") for op in ("Sqrt", "Pow", "Log", "Exp", "Abs", "Neg", "Floor", "Sin", "Cos")},
    **{op: Operator(f"TIDL_{op}Layer") for op in ("Tan", "Sinh", "Cosh", "Asin", "Acos", "Atan", "Asinh")},
    "ReduceMean": Operator("TIDL_LayerNormLayer", where=IN_PATTERN),
    "Erf": Operator("TIDL_BatchNormLayer", where=IN_PATTERN),
    "Identity": Operator("TIDL_IdentityLayer", where=IN_PATTERN),
    "Dropout": Operator("TIDL_DropOutLayer", where=IN_PATTERN),
    "Cast": Operator("TIDL_CastLayer", where=AT_EDGES),
}

PATTERN_OF: dict[str, str] = {"ReduceMean": "LayerNorm", "Erf": "Gelu"}
"""The pattern inside which an operator of kind IN_PATTERN is taken."""

HINTS: dict[str, str] = {
    "ReduceMean": "give it constant axes and static shapes: it is then rewritten as GlobalAveragePool",
    "Erf": "export GELU in one piece (Div, Erf, Add, Mul, Mul), or train with Relu",
    "Gelu": "use the exact GELU, not the tanh approximation: it is then rewritten as Div, Erf, Add, Mul, Mul",
    "GlobalAveragePool": "give it a static shape: a plane above 1024 is then rewritten as a product",
    "Gemm": "write Gemm as MatMul and Add (TI's rule convert_gemm_to_matmul_and_add)",
    "GRU": "use a Transformer encoder or a temporal convolution instead",
    "LSTM": "use a Transformer encoder or a temporal convolution instead",
    "Softmax": "move the softmax axis to the last dimension with a Transpose",
    "LayerNormalization": "normalize over the last dimension only",
    "Cast": "cast before the model's input or after its output",
    "Identity": "run constant folding (onnxsim), which removes it",
    "Dropout": "export in evaluation mode",
    "Split": "write it as Slice nodes on 4-dimensional tensors",
    "Slice": "slice 4-dimensional tensors with constant bounds and step 1",
    "NonMaxSuppression": "cut the post-processing out of the graph",
    "If": "export the one branch that inference takes",
    "Loop": "unroll the loop before export",
    "Einsum": "write it as Transpose, Reshape and MatMul",
    "Where": "fold the mask into the weights, or write it as Mul and Add",
    "Resize": "scale by a power of two with mode nearest (asymmetric, floor) or linear (half_pixel)",
    "AveragePool": "use GlobalAveragePool, or kernels of 2 or 3 with strides of 1 or 2",
    "MaxPool": "use kernels of 2 or 3 with strides of 1 or 2",
    "Conv": "use square strides, and depthwise kernels of 3, 5 or 7 with stride 1 or 2",
}
