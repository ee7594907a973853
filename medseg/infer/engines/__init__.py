"""What runs a network: torch, OpenVINO, ONNX Runtime."""
