"""V2 over gRPC, through KServe's own client."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc

from tests.serving.model.conftest import ENDLESS, MODEL_ID, NAME, Server, free_port, running

T = TypeVar("T")
KEY = "sk-1"
HEADERS = (("authorization", f"Bearer {KEY}"),)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module", autouse=True)
def both(model_folder: Path, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYNAH_API_KEY", KEY)
        with running(model_folder, tmp_path_factory.mktemp("grpc"), "--grpc-port", str(port)) as server:
            server.wait_until(server.is_ready)
            yield server


def ask(port: int, question: Callable[[InferenceGRPCClient], Coroutine[Any, Any, T]]) -> T:
    async def main() -> T:
        async with InferenceGRPCClient(f"127.0.0.1:{port}", retries=0) as client:
            return await question(client)

    return asyncio.run(main())


def call(port: int, name: str, request: Any, metadata: Any = HEADERS) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(channel)
        return getattr(stub, name)(request, metadata=metadata)


def request(*prompts: str, **parameters: Any) -> InferRequest:
    tensor = InferInput("prompt", [len(prompts)], "BYTES", [prompt.encode() for prompt in prompts])
    return InferRequest(NAME, [tensor], parameters={"temperature": 0, **parameters})


def raw(**fields: Any) -> Any:
    return pb.ModelInferRequest(**{"model_name": NAME, **fields})


def test_kserves_client_works_unchanged(port: int) -> None:
    async def question(client: InferenceGRPCClient) -> None:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready(NAME, headers=HEADERS)
        answer = await client.infer(request("haste", "the early bird"), headers=HEADERS)
        assert (answer.model_name, answer.model_version) == (NAME, MODEL_ID)
        text, finish = answer.outputs
        assert [one.decode() for one in text.as_numpy()] == [" makes waste", " catches the worm 🐛"]
        assert [one.decode() for one in finish.as_numpy()] == ["stop", "stop"]

    ask(port, question)


def test_numbers_with_a_fraction_are_strings(port: int) -> None:
    async def question(client: InferenceGRPCClient) -> list[str]:
        asked = request("", temperature="1.7", top_p="0.9", seed=3, n=4, max_tokens=8)
        return [str(one) for one in (await client.infer(asked, headers=HEADERS)).outputs[0].as_numpy()]

    texts = ask(port, question)
    assert len(set(texts)) > 1
    assert texts == ask(port, question)


def test_about_the_server_and_the_model(port: int) -> None:
    assert call(port, "ServerMetadata", pb.ServerMetadataRequest()).name == "kserve"
    about = call(port, "ModelMetadata", pb.ModelMetadataRequest(name=NAME, version=MODEL_ID))
    assert (about.name, list(about.versions), about.platform) == (NAME, [MODEL_ID], "openvino")
    assert [(one.name, one.datatype, list(one.shape)) for one in about.inputs] == [("prompt", "BYTES", [-1])]
    assert [one.name for one in about.outputs] == ["text", "finish_reason"]
    assert call(port, "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name=NAME)).isLoaded


@pytest.mark.parametrize(
    ("name", "asked", "code", "said"),
    [
        ("ModelReady", pb.ModelReadyRequest(name="crow"), "NOT_FOUND", "no model crow here"),
        ("ModelReady", pb.ModelReadyRequest(name=NAME, version="1"), "NOT_FOUND", "no version 1"),
        ("ModelInfer", raw(), "INVALID_ARGUMENT", "one tensor named prompt is needed"),
        ("ModelInfer", raw(model_name="crow"), "NOT_FOUND", "no model crow"),
        (
            "ModelInfer",
            raw(inputs=[{"name": "prompt", "datatype": "BYTES", "shape": [2]}], raw_input_contents=[b"x"]),
            "INVALID_ARGUMENT",
            "inputs: ",
        ),
        (
            "ModelInfer",
            raw(
                inputs=[{"name": "prompt", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"a"]}}],
                parameters={"temperature": {"string_param": "hot"}},
            ),
            "INVALID_ARGUMENT",
            "temperature: a number is needed, not hot",
        ),
        (
            "ModelInfer",
            raw(
                inputs=[{"name": "prompt", "datatype": "FP64", "shape": [1], "contents": {"fp64_contents": [1.0]}}],
            ),
            "INVALID_ARGUMENT",
            "must have datatype BYTES, not FP64",
        ),
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name=NAME), "UNIMPLEMENTED", "stays"),
    ],
)
def test_each_fault_has_its_status_and_one_line(port: int, name: str, asked: Any, code: str, said: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(port, name, asked)
    assert error.value.code().name == code
    assert said in error.value.details()
    assert "\n" not in error.value.details()


def test_a_key_is_wanted(port: int) -> None:
    for metadata in ((), (("authorization", "Bearer sk-2"),)):
        with pytest.raises(grpc.RpcError) as error:
            call(port, "ModelMetadata", pb.ModelMetadataRequest(name=NAME), metadata)
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert call(port, "ServerReady", pb.ServerReadyRequest(), metadata).ready


def test_a_client_that_goes_ends_its_request(port: int, both: Server) -> None:
    async def question(client: InferenceGRPCClient) -> None:
        asked = asyncio.ensure_future(client.infer(request(ENDLESS, max_tokens=1900, n=8), headers=HEADERS))
        while not both.running():
            assert not asked.done(), await asked
            await asyncio.sleep(0.02)
        asked.cancel()

    ask(port, question)
    both.wait_until(lambda: both.running() == 0)
    assert "cancelled" in both.log.read_text()


@pytest.mark.slow
def test_what_runs_is_finished_when_the_server_ends(model_folder: Path, tmp_path: Path) -> None:
    port = free_port()
    with running(model_folder, tmp_path, "--grpc-port", str(port)) as server:
        server.wait_until(server.is_ready)

        async def question(client: InferenceGRPCClient) -> str:
            asked = asyncio.ensure_future(client.infer(request(ENDLESS, max_tokens=1900, n=8), headers=HEADERS))
            while not server.running():
                assert not asked.done(), await asked
                await asyncio.sleep(0.02)
            server.process.terminate()
            return str((await asked).outputs[1].as_numpy()[0].decode())

        assert ask(port, question) == "length"
        assert server.process.wait(30) == 0
