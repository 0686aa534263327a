"""A server that wants to see a key."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.judging import JudgedBad, ask
from mynah import endpoint
from mynah.errors import MynahError
from serving.model.keys import is_known
from tests.serving.model.conftest import GREEDY, NAME, Server, running

OLD, NEW = "sk-old-1", "sk-new-2"
BODY = {"model": NAME, "prompt": "haste", **GREEDY}


@pytest.fixture(scope="module")
def guarded(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYNAH_API_KEY", f"{NEW}, {OLD}")
        with running(model_folder, tmp_path_factory.mktemp("guarded")) as server:
            server.wait_until(server.is_ready)
            yield server


@pytest.mark.parametrize(
    "given",
    [None, "", NEW, f"Basic {NEW}", "Bearer", "Bearer sk-new", f"Bearer {NEW}3", f"Bearer {OLD}, {NEW}"],
    ids=str,
)
def test_who_has_no_key_is_sent_away(guarded: Server, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given}
    for path, body in ((f"/v1/models/{NAME}:predict", {"instances": [""]}), ("/openai/v1/completions", BODY)):
        answer = httpx.post(f"{guarded.url}{path}", json=body, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "x-request-id" in answer.headers
        error = answer.json()["error"]
        message = error["message"] if path.startswith("/openai") else error
        assert message.endswith("send Authorization: Bearer KEY")
    assert httpx.get(f"{guarded.url}/v2/models/{NAME}", headers=headers).status_code == 401


@pytest.mark.parametrize("key", [NEW, OLD])
def test_each_key_opens_it(guarded: Server, key: str) -> None:
    client = openai.OpenAI(base_url=f"{guarded.url}/openai/v1", api_key=key, max_retries=0)
    (choice,) = client.completions.create(model=NAME, prompt="haste", temperature=0).choices
    assert choice.text == " makes waste"
    with pytest.raises(openai.AuthenticationError) as error:
        client.with_options(api_key=key[:-1]).models.list()
    assert error.value.code == "invalid_api_key"


def test_probes_and_prometheus_need_none(guarded: Server) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/metrics"):
        assert httpx.get(f"{guarded.url}{path}").is_success, path
    assert httpx.get(f"{guarded.url}/v2/health/live/../../models/{NAME}").status_code == 401
    assert httpx.get(f"{guarded.url}/metrics/../v2/models/{NAME}").status_code == 401


def test_our_own_clients_bring_the_first_key(guarded: Server) -> None:
    with endpoint.client(guarded.url, (NEW, "other")) as client:
        assert endpoint.serving_model(client, NAME)
        assert ask(client, NAME, "haste")[1] == "makes waste"
    with endpoint.client(guarded.url, ("other", NEW)) as client:
        with pytest.raises(MynahError, match="wants another key: set MYNAH_API_KEY"):
            endpoint.serving_model(client, NAME)
        with pytest.raises(MynahError, match="set MYNAH_API_KEY") as error:
            ask(client, NAME, "haste")
        assert not isinstance(error.value, JudgedBad)  # the model is not to blame


@given(st.lists(st.text(min_size=1).map(lambda key: "".join(key.split())).filter(bool), min_size=1), st.text())
def test_a_key_is_known_or_not(keys: list[str], other: str) -> None:
    assert all(is_known(f"bearer {key}", keys) for key in keys)
    assert is_known(f"Bearer {other}", keys) == (other.strip() in keys)
    assert not is_known(other, keys)
