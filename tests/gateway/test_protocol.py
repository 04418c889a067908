"""The Open Inference Protocol as strangers speak it, and plain requests."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tests.gateway.conftest import NAME, Constant, Desk, answering, ready, wait
from tritonclient.utils import InferenceServerException

from shelflife import plan
from shelflife.gateway import tensors
from shelflife.testing import plans

ROWS: list[dict[str, Any]] = [
    {"channel": "mail", "age": 20.0, "weight": 60.0}, {"channel": "phone", "age": 60.0, "weight": None},
]  # fmt: skip


def inputs(*, binary: bool) -> list[triton.InferInput]:
    made = []
    for name, datatype, values in (
        ("channel", "BYTES", np.array([row["channel"] for row in ROWS], dtype=object)),
        ("age", "FP32", np.array([row["age"] for row in ROWS], dtype=np.float32)),
        ("weight", "INT64", np.array([60, 70])),
    ):
        one = triton.InferInput(name, [len(ROWS)], datatype)
        one.set_data_from_numpy(values, binary_data=binary)
        made.append(one)
    return made


def test_a_client_of_the_protocol_works_unchanged(gateway: str) -> None:
    with triton.InferenceServerClient(gateway.removeprefix("http://")) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(NAME)
        assert client.is_model_ready(NAME, "1")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        said = client.get_model_metadata(NAME)
        assert said["versions"] == ["1"]
        assert {one["name"]: (one["datatype"], one["shape"]) for one in said["inputs"]} == {
            "channel": ("BYTES", [-1]), "age": ("FP64", [-1]), "weight": ("FP64", [-1]),
        }  # fmt: skip
        assert [one["name"] for one in said["outputs"]] == ["intent", "confidence"]
        with pytest.raises(InferenceServerException, match="There is no model 'other' here; there is: support-desk"):
            client.get_model_metadata("other")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("outputs", [None, "binary", "json"])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_it_is_asked_in_json_and_in_binary(gateway: str, binary: bool, outputs: str | None, packed: str | None) -> None:
    asked = None if outputs is None else [
        triton.InferRequestedOutput(name, binary_data=outputs == "binary") for name in ("confidence", "intent")
    ]  # fmt: skip
    with triton.InferenceServerClient(gateway.removeprefix("http://")) as client:
        found = client.infer(
            NAME, inputs(binary=binary), model_version="1", outputs=asked, request_id="a", parameters={"key": "k"},
            request_compression_algorithm=packed,
        )  # fmt: skip
    said = [one.decode() if isinstance(one, bytes) else one for one in found.as_numpy("intent")]
    assert said == ["product", "billing"]
    assert found.as_numpy("confidence").dtype == np.float64
    assert (found.as_numpy("confidence") > 0.5).all()
    said = found.get_response()
    assert (said["id"], said["model_name"], said["model_version"]) == ("a", NAME, "1")
    assert said["parameters"] == {"route": "direct", "revision": 1}


def test_members_of_gzip_follow_each_other_and_nothing_else(gateway: str) -> None:
    body = json.dumps(ROWS[0]).encode()
    first, second = gzip.compress(body[:9]), gzip.compress(body[9:])
    for packed, status in ((first + second, 200), (first + second + b"more", 400), (first, 400), (b"", 400)):
        found = httpx.post(f"{gateway}/predict/{NAME}", content=packed, headers={"Content-Encoding": "gzip"})
        assert found.status_code == status


def test_curl_works_unchanged(gateway: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on the PATH")
    said = {"inputs": [
        {"name": "channel", "datatype": "BYTES", "shape": [1, 1], "data": [["mail"]]},
        {"name": "age", "datatype": "FP64", "shape": [1], "data": [20]},
        {"name": "weight", "datatype": "FP64", "shape": [1], "data": [None]},
    ]}  # fmt: skip
    command = [curl, "-sS", "--fail", "-d", json.dumps(said), f"{gateway}/v2/models/{NAME}/infer"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert found["outputs"][0] == {"name": "intent", "datatype": "BYTES", "shape": [1], "data": ["product"]}
    assert found["model_version"] == "1"
    assert found["parameters"]["route"] == "champion"
    plain = [curl, "-sS", "--fail", "--json", json.dumps(ROWS[0]), f"{gateway}/predict/{NAME}"]
    answer = json.loads(subprocess.run(plain, capture_output=True, check=True).stdout)
    assert (answer["prediction"], answer["version"], answer["route"]) == ("product", 1, "champion")
    assert answer["score"] > 0.5
    assert len(answer["id"]) == 24


def test_plain_requests_name_their_rows(gateway: str, desk: Desk) -> None:
    url = f"{gateway}/predict/{NAME}"
    single = httpx.post(url, json={**ROWS[0], "id": "one", "key": "k", "time": "2026-05-01T10:00:00Z"}).json()
    assert (single["id"], single["prediction"]) == ("one", "product")
    wrapped = httpx.post(url, json={"inputs": ROWS[1], "id": "two"}).json()
    assert (wrapped["id"], wrapped["prediction"]) == ("two", "billing")
    many = httpx.post(url, json={"rows": ROWS, "ids": ["a", "b"]}).json()
    assert [one["id"] for one in many["rows"]] == ["a", "b"]
    assert [one["prediction"] for one in many["rows"]] == ["product", "billing"]
    assert [one["id"] for one in httpx.post(url, json={"rows": ROWS, "id": "c"}).json()["rows"]] == ["c/0", "c/1"]


BAD = [
    ({}, "Input 'age' is missing in row 0; null says that it is not known."),
    ({"age": 1}, "Input 'channel' is missing in row 0; null says that it is not known."),
    ({**ROWS[0], "agee": 1}, "There is no input 'agee'. Did you mean 'age'?"),
    ({**ROWS[0], "age": "20"}, "Input 'age' is to be a number in row 0; found '20'."),
    ({**ROWS[0], "age": True}, "Input 'age' is to be a number in row 0; found True."),
    ({**ROWS[0], "channel": [1]}, "Input 'channel' is to be a text in row 0; found [1]."),
    ({**ROWS[0], "id": ""}, "`id` is to be a text of 1 to 200 characters; found ''."),
    ({**ROWS[0], "time": "yesterday"},
     "'time' is to be a time with its zone, as 2026-05-01T13:00:00Z; found 'yesterday'."),
    ({"rows": []}, "There is no row to answer."),
    ({"rows": [ROWS[0], 7]}, "Row 1 is to be an object of inputs and their values; found 7."),
    ({"rows": ROWS, "ids": ["a", "a"]}, "`ids` holds one of them twice; each row has its own."),
    ({"rows": ROWS, "other": 1}, "Beside `rows` there may be id, ids, key, time; found 'other'."),
    ([], "The body is to be an object: inputs by their names, or `rows` with a list of such."),
]  # fmt: skip


@pytest.mark.parametrize(("said", "wanted"), BAD)
def test_what_is_wrong_is_named(gateway: str, said: Any, wanted: str) -> None:
    found = httpx.post(f"{gateway}/predict/{NAME}", json=said)
    assert (found.status_code, found.json()) == (400, {"error": {"code": "bad_input", "says": wanted}})


def tensor(name: str, datatype: str = "FP64", shape: Any = (1,), **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


BAD_TENSORS = [
    ([], "`inputs` is to be a list of tensors, at least one."),
    ([tensor("age", "FP8")], "The datatype of input 'age' is to be one of BOOL, "),
    ([tensor("age", shape=[])], "The shape of input 'age' is to be a list of whole numbers."),
    ([tensor("age", shape=[2], data=[1])], "The data of input 'age' are to be 2 values, by its shape; found 1."),
    ([tensor("age", data=["x"])], "The data of input 'age' are to be numbers."),
    ([tensor("age", "INT8", data=[400])], "The data of input 'age' hold a number that is no INT8."),
    ([tensor("age", "BOOL", data=[True])] * 2, "There are two inputs 'age'."),
    ([tensor("age", data=[1])], "Input 'channel' is missing."),
    ([tensor("age", data=[1]), tensor("weight", data=[1])], "Input 'channel' is missing."),
    ([tensor("x", shape=[1, 3], data=[1, 2, 3])],
     "There is no input 'x'. One tensor for all inputs is to have the shape [rows, 3], where all are numeric;"),
    ([tensor("channel", "BYTES", data=["a"]), tensor("age", shape=[2], data=[1, 2]), tensor("weight", data=[1])],
     "Input 'age' has 2 rows, and 'channel' has 1."),
    ([tensor("channel", "BYTES", data=["a"]), tensor("age", "BYTES", data=["1"]), tensor("weight", data=[1])],
     "Input 'age' is numeric: its datatype is to be FP64, or another of numbers."),
    ([tensor("channel", "BYTES", parameters={"binary_data_size": 9})],
     "The binary data of input 'channel' are to have 9 bytes; 0 follow."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "wanted"), BAD_TENSORS)
def test_what_is_wrong_with_a_tensor_is_named(gateway: str, given: Any, wanted: str) -> None:
    found = httpx.post(f"{gateway}/v2/models/{NAME}/infer", json={"inputs": given})
    assert found.status_code == 400
    assert found.json()["error"].startswith(wanted)


@pytest.mark.parametrize("given", [{}, {"id": ""}, {"id": None}])
def test_ids_that_were_made_up_are_told(gateway: str, desk: Desk, given: dict[str, Any]) -> None:
    def names(rows: int) -> Any:
        texts = tensor("channel", "BYTES", [rows], data=["mail"] * rows)
        numbers = [tensor(name, shape=[rows], data=[1] * rows) for name in ("age", "weight")]
        found = httpx.post(f"{gateway}/v2/models/{NAME}/infer", json={**given, "inputs": [texts, *numbers]})
        return found.json()["parameters"]["ids"]

    told = [names(1), *json.loads(names(2))]
    wait(lambda: set(desk.kept().get("id", [])) == set(told))


def test_an_output_that_there_is_not_is_named(gateway: str) -> None:
    with (
        triton.InferenceServerClient(gateway.removeprefix("http://")) as client,
        pytest.raises(InferenceServerException, match=r"There is no output 'intend'\. Did you mean 'intent'\?"),
    ):
        client.infer(NAME, inputs(binary=True), outputs=[triton.InferRequestedOutput("intend")])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/predict/nothing", 404, "unknown_system"), ("GET", f"/predict/{NAME}", 405, "not_allowed"),
        ("POST", f"/v2/models/{NAME}/versions/9/infer", 404, None), ("GET", f"/v2/models/{NAME}/versions/9", 404, None),
        ("GET", "/nowhere", 404, "not_found"), ("GET", "/", 404, "not_found"), ("GET", "/v2/models", 404, None),
        ("GET", "/v2/ready", 404, None), ("POST", "/v2/health/live", 405, None),
    ],
)  # fmt: skip
def test_where_there_is_nothing_it_says_so(gateway: str, method: str, path: str, status: int, code: str | None) -> None:
    body = {"inputs": [tensor("age", data=[1])]} if "v2" in path else ROWS[0]
    found = httpx.request(method, f"{gateway}{path}", json=body if method == "POST" else None)
    assert found.status_code == status
    error = found.json()["error"]
    assert (error["code"] if code else None) == code


def test_too_large_a_body_is_not_read(gateway: str) -> None:
    found = httpx.post(f"{gateway}/predict/{NAME}", content=(b"x" * 1_000_000 for _ in range(40)))
    assert (found.status_code, found.json()["error"]["code"]) == (413, "too_large")
    bomb = subprocess.run(["gzip", "-c"], input=b"0" * 40_000_000, capture_output=True, check=True).stdout
    found = httpx.post(f"{gateway}/predict/{NAME}", content=bomb, headers={"Content-Encoding": "gzip"})
    assert found.status_code == 413


def test_a_trace_goes_on(gateway: str) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    given = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    for path, body in (("/v2/health/live", None), (f"/predict/{NAME}", ROWS[0])):
        found = httpx.request("POST" if body else "GET", f"{gateway}{path}", json=body, headers=given)
        version, same, part, flags = found.headers["traceparent"].split("-")
        assert (version, same, flags) == ("00", trace, "01")
        assert part != "b7ad6b7169203331"
    assert "traceparent" not in httpx.get(f"{gateway}/v2", headers={"traceparent": "nonsense"}).headers


def test_all_numeric_inputs_come_as_one_tensor(desk: Desk) -> None:
    system = desk.system
    said = {"system": "scale", "model.inputs": {"age": "numeric", "weight": "numeric"}, "model.pickle": [NAME]}
    system.apply(plan.parse(plans.text(**said)), by="lead", because="first")
    scale = Desk(system, desk.folder, "scale")
    scale.version(3, Constant("heavy"))
    scale.route(3)
    with answering(system.settings) as url:
        ready(url, "/v2/models/scale/ready")
        one = triton.InferInput("input", [4, 2], "FP32")
        one.set_data_from_numpy(np.ones((4, 2), dtype=np.float32))
        with triton.InferenceServerClient(url.removeprefix("http://")) as client:
            found = client.infer("scale", [one])
        assert found.as_numpy("intent").tolist() == [b"heavy"] * 4
        # Several systems answer in one process.
        assert httpx.post(f"{url}/predict/{NAME}", json=ROWS[0]).json()["prediction"] == "product"


@pytest.mark.parametrize("datatype", [one for one in tensors.DATATYPES if one != "BYTES"])
def test_numbers_are_what_they_were_in_binary_and_in_json(datatype: str) -> None:
    values = np.array([0, 1], dtype=tensors._TYPES[datatype])
    head = {"name": "x", "datatype": datatype, "shape": [2], "parameters": {"binary_data_size": values.nbytes}}
    text = json.dumps({"inputs": [head]}).encode()
    (found,) = tensors.read(text + values.tobytes(), str(len(text))).tensors
    (same,) = tensors.read(
        json.dumps({"inputs": [tensor("x", datatype, [2], data=values.tolist())]}).encode(), None
    ).tensors
    assert found.values.dtype == same.values.dtype == values.dtype
    assert found.values.tolist() == same.values.tolist() == values.tolist()
