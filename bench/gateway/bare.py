"""What there would be without us: one model behind uvicorn and Starlette, nothing logged.

`bare.py MODEL PORT FORM`: FORM is `frames`, as the model was trained, or `arrays`, which spares making a frame.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import orjson
import pandas as pd
import skops.io
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

model = skops.io.load(sys.argv[1], trusted=skops.io.get_untrusted_types(file=sys.argv[1]))
NAMES = list(model.feature_names_in_)
ARRAYS = sys.argv[3] == "arrays"
warnings.filterwarnings("ignore", "X does not have valid feature names")


async def predict(request: Request) -> Response:
    said = orjson.loads(await request.body())
    rows = said.get("rows", [said])
    if ARRAYS:
        given = np.array([[row[name] for name in NAMES] for row in rows], dtype=np.float64)
    else:
        given = pd.DataFrame(rows, columns=NAMES)
    shares = model.predict_proba(given)
    found = model.classes_[shares.argmax(axis=1)].tolist()
    scores = shares.max(axis=1).tolist()
    answers = [{"prediction": one, "score": score} for one, score in zip(found, scores, strict=True)]
    return Response(orjson.dumps({"rows": answers}), media_type="application/json")


if __name__ == "__main__":
    app = Starlette(routes=[Route("/predict/bench", predict, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
