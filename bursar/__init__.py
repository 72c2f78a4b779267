"""bursar finds the cheapest way to get good answers from an LLM API, under a dollar budget."""
