"""The model server: one model, over KServe V1, Open Inference Protocol V2 and OpenAI's completions."""
