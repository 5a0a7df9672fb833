"""ONNX Runtime's side of the house: ONNX models, what they are converted from, and the parts they are cut into."""
