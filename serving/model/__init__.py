"""The model server: KServe's V1 and V2, OpenAI's completions and the generate extension, on OpenVINO."""
