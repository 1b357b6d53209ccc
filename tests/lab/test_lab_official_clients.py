"""Microsoft's own SDK as a client of the lab: lists, pages, delta, $value, move, delete, sendMail, and a 429."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from azure.identity import ClientSecretCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from lab.microsoft import authority, context, examine
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.internet_message_header import InternetMessageHeader
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.users.item.mail_folders.item.messages.messages_request_builder import MessagesRequestBuilder
from msgraph.generated.users.item.messages.item.move.move_post_request_body import MovePostRequestBody
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import SendMailPostRequestBody
from msgraph_core import GraphClientFactory

from checks.lab.tenant import CLIENT_ID, TENANT_ID

pytestmark = pytest.mark.anyio
NOREPLY = "noreply@contoso.example"
CANARY = "canary@contoso.example"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Wire(httpx.AsyncBaseTransport):
    """Below the SDK's own retries: sees each request, and heals the lab at the first answer that is a 429."""

    def __init__(self, lab) -> None:
        self._lab = lab
        self._under = httpx.AsyncHTTPTransport(verify=context(lab))
        self.statuses: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._under.handle_async_request(request)
        self.statuses.append(response.status_code)
        if response.status_code == 429:
            await asyncio.to_thread(self._lab.heal)
        return response

    async def aclose(self) -> None:
        await self._under.aclose()


@pytest.fixture
async def wire(lab) -> AsyncIterator[Wire]:
    below = Wire(lab)
    yield below
    await below.aclose()  # the SDK leaves it open


@pytest.fixture
async def sdk(lab, wire) -> AsyncIterator[GraphServiceClient]:
    credential = ClientSecretCredential(
        TENANT_ID,
        CLIENT_ID,
        (lab.directory / "client-secret").read_text().strip(),
        authority=authority(lab).rpartition("/")[0],
        disable_instance_discovery=True,
        connection_verify=str(lab.info.ca_file),
    )
    # With a port in allowed_hosts, the SDK sends no token and says nothing about it.
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=["https://graph.microsoft.com/.default"], allowed_hosts=["127.0.0.1"]
    )

    async def look(response: httpx.Response) -> None:
        await response.aread()
        examine(response)

    bare = httpx.AsyncClient(transport=wire, event_hooks={"response": [look]})
    async with GraphClientFactory.create_with_default_middleware(client=bare) as client:
        adapter = GraphRequestAdapter(provider, client)
        adapter.base_url = f"https://127.0.0.1:{lab.port('graph')}/v1.0"
        yield GraphServiceClient(request_adapter=adapter)


@pytest.fixture
def arrive(sender, reader):
    async def send(count: int) -> list[str]:
        same = f"s{uuid.uuid4().hex}"
        subjects = [f"{same}-{number}" for number in range(count)]

        def work() -> None:
            for subject in subjects:
                assert sender("direct", recipient=NOREPLY).send(subject).accepted
                reader("noreply").wait(subject)

        await asyncio.to_thread(work)
        return subjects

    return send


def inbox(sdk):
    return sdk.users.by_user_id(NOREPLY).mail_folders.by_mail_folder_id("inbox").messages


def query(**how):
    return RequestConfiguration(query_parameters=MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(**how))


async def find(sdk, subject: str) -> Message:
    found = await inbox(sdk).get(query(filter=f"internetMessageId eq '<{subject}@client.example>'"))
    (message,) = found.value
    return message


async def test_it_lists_folders(sdk):
    folders = await sdk.users.by_user_id(NOREPLY).mail_folders.get()
    assert [one.display_name for one in folders.value] == ["Inbox", "Junk Email", "Sent Items", "Deleted Items"]
    junk = await sdk.users.by_user_id(NOREPLY).mail_folders.by_mail_folder_id("junkemail").get()
    assert junk.id == folders.value[1].id


async def test_it_pages_through_messages(sdk, arrive):
    subjects = await arrive(3)
    mine = f"receivedDateTime ge 2020-01-01T00:00:00Z and startswith(subject,'{subjects[0][:-2]}')"
    select = ["id", "subject", "internetMessageHeaders"]
    how = query(select=select, top=2, filter=mine, orderby=["receivedDateTime desc"])
    page, seen = await inbox(sdk).get(how), []
    while True:
        seen += page.value
        if not page.odata_next_link:
            break
        page = await inbox(sdk).with_url(page.odata_next_link).get()
    assert [one.subject for one in seen] == subjects[::-1]
    assert all(len(one.internet_message_headers) > 10 for one in seen)


async def test_it_follows_changes_by_delta(sdk, arrive):
    page = await inbox(sdk).delta.get()
    while page.odata_next_link:
        page = await inbox(sdk).delta.with_url(page.odata_next_link).get()
    (subject,) = await arrive(1)
    page = await inbox(sdk).delta.with_url(page.odata_delta_link).get()
    (new,) = page.value
    assert (new.subject, new.received_date_time.tzinfo is not None) == (subject, True)
    await inbox(sdk).by_message_id(new.id).delete()
    page = await inbox(sdk).delta.with_url(page.odata_delta_link).get()
    (gone,) = page.value
    assert (gone.id, gone.additional_data["@removed"]["reason"]) == (new.id, "deleted")


async def test_it_reads_the_mime_of_a_message(sdk, arrive, reader):
    (subject,) = await arrive(1)
    message = await find(sdk, subject)
    raw = await sdk.users.by_user_id(NOREPLY).messages.by_message_id(message.id).content.get()
    (stored,) = await asyncio.to_thread(reader("noreply").wait, subject)
    assert raw == stored


async def test_it_moves_and_deletes_messages(sdk, arrive, reader):
    (subject,) = await arrive(1)
    messages = sdk.users.by_user_id(NOREPLY).messages
    message = await find(sdk, subject)
    moved = await messages.by_message_id(message.id).move.post(MovePostRequestBody(destination_id="junkemail"))
    assert moved.id != message.id
    await messages.by_message_id(moved.id).permanent_delete.post()
    with pytest.raises(ODataError) as missing:
        await messages.by_message_id(moved.id).get()
    assert (missing.value.response_status_code, missing.value.error.code) == (404, "ErrorItemNotFound")
    assert await asyncio.to_thread(reader("noreply").uids, subject, "Junk Email") == []


async def test_it_sends_mail(sdk, reader):
    subject = f"s{uuid.uuid4().hex}"
    message = Message(
        subject=subject,
        body=ItemBody(content_type=BodyType.Html, content="<p>hello</p>"),
        to_recipients=[Recipient(email_address=EmailAddress(address=NOREPLY))],
        internet_message_headers=[InternetMessageHeader(name="x-canary", value="one")],
    )
    body = SendMailPostRequestBody(message=message, save_to_sent_items=False)
    await sdk.users.by_user_id(CANARY).send_mail.post(body)
    (arrived,) = await asyncio.to_thread(reader("noreply").wait, subject)
    assert b"x-canary: one" in arrived
    assert b"<p>hello</p>" in arrived


async def test_it_waits_and_tries_again_when_throttled(sdk, lab, wire):
    lab.break_("noreply", "throttled=1")
    page = await inbox(sdk).get()
    assert page.value is not None
    assert wire.statuses == [429, 200]


async def test_it_hears_what_is_denied(sdk, lab):
    lab.break_("noreply", "mailbox_not_permitted")
    with pytest.raises(ODataError) as denied:
        await inbox(sdk).get()
    assert (denied.value.response_status_code, denied.value.error.code) == (403, "ErrorAccessDenied")
