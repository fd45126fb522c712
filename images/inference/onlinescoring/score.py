"""The scoring script: init() once, run() for each request, as Azure ML's servers call them."""
import json
import os
from pathlib import Path

import joblib
import numpy

model = None


def init():
    global model
    # The folder that was registered is in there, under a name that its registration gave it.
    found = sorted(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.joblib"))
    if not found:
        raise RuntimeError("no model.joblib in AZUREML_MODEL_DIR")
    model = joblib.load(found[0])


def run(raw_data):
    """{"data": [[64 pixels], ...]} -> [digit, ...]"""
    return model.predict(numpy.array(json.loads(raw_data)["data"])).tolist()
