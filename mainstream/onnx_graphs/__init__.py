"""ONNX Runtime's side: ONNX models, what they are converted from, and the parts they are cut into."""
