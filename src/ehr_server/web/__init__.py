"""The only room that knows HTTP: FastAPI, Starlette, uvicorn."""
