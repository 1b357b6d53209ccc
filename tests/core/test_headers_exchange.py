"""What Exchange Online stamps, and the way in that it shows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.headers.attribution import Attribution, WayIn, attribution
from checks.core.headers.exchange import ConnectingIp, Exchange, Filtering, exchange, filtering, parse_report
from checks.core.headers.fields import Headers, parse_headers

CROSS = "X-MS-Exchange-CrossTenant-"
ORGANIZATION = "X-MS-Exchange-Organization-"


def _headers(**fields):
    return Headers(tuple((name.replace("_", "-"), value) for name, value in fields.items()))


def test_only_the_first_colon_separates_so_that_cip_may_be_ipv6():
    report = parse_report("CIP:2603:10a6:208::22;CTRY:;SFV:NSPM;DIR:INB;")
    assert report == {"CIP": "2603:10a6:208::22", "CTRY": "", "SFV": "NSPM", "DIR": "INB"}


def test_null_is_an_empty_value_even_in_place_of_a_separator():
    assert parse_report("UIP:(null);(null);(null)SFV:SKI") == {"UIP": "", "SFV": "SKI"}


def test_of_a_repeated_item_the_first_counts():
    assert parse_report("SCL:1;SCL:9") == {"SCL": "1"}


def test_the_filters_verdict_is_gathered_from_its_headers():
    found = filtering(
        _headers(
            X_Forefront_Antispam_Report=(
                "CIP:203.0.113.7;CTRY:NL;SCL:5;SFV:SPM;H:relay.example;PTR:p.example;CAT:SPM;DIR:INB;"
            ),
            X_Microsoft_Antispam="BCL:7;ARA:13230040;",
            X_Microsoft_Antispam_Mailbox_Delivery="ucf:0;jmr:0;auth:0;dest:J;ENG:(910001)(944506478);",
        )
    )
    assert (found.scl, found.bcl, found.sfv, found.cat, found.direction) == (5, 7, "SPM", "SPM", "INB")
    assert (found.client_ip, found.helo, found.ptr, found.country) == (
        "203.0.113.7",
        "relay.example",
        "p.example",
        "NL",
    )
    assert (found.destination, found.placement) == ("J", "junk")


def test_the_organizations_scl_stands_before_the_reports():
    found = filtering(_headers(X_MS_Exchange_Organization_SCL="-1", X_Forefront_Antispam_Report="SCL:5;"))
    assert found.scl == -1


def test_what_the_sending_side_had_stamped_is_never_looked_at():
    headers = _headers(X_Forefront_Antispam_Report_Untrusted="SCL:-1;SFV:SKI;", X_Microsoft_Antispam_Untrusted="BCL:0;")
    assert filtering(headers) == Filtering()


@pytest.mark.parametrize(("letter", "placement"), [("I", "inbox"), ("j", "junk"), ("C", None), ("", None)])
def test_the_mailbox_server_says_where_it_delivered(letter, placement):
    found = filtering(_headers(X_Microsoft_Antispam_Mailbox_Delivery=f"ucf:0;dest:{letter};"))
    assert (found.destination, found.placement) == (letter.upper() or None, placement)


@pytest.mark.parametrize(
    ("value", "latency"),
    [
        ("00:00:02.6560518", timedelta(seconds=2, microseconds=656051)),
        ("01:02:03", timedelta(hours=1, minutes=2, seconds=3)),
        ("1.00:00:00.5", timedelta(days=1, milliseconds=500)),
        ("2:00:00:00.0", timedelta(days=2)),
        ("fast", None),
        ("-00:00:01", None),
        ("", None),
    ],
)
def test_the_transit_time_is_a_duration_of_dotnet(value, latency):
    assert exchange(_headers(X_MS_Exchange_Transport_EndToEndLatency=value)).end_to_end_latency == latency


def test_the_transport_facts_are_gathered():
    headers = parse_headers(
        b"X-MS-Exchange-CrossTenant-OriginalArrivalTime: 23 Apr 2025 09:10:25.4494 (UTC)\r\n"
        b"X-MS-Exchange-CrossTenant-OriginalAttributedTenantConnectingIp: TenantId=0a1b;Ip=[203.0.113.7];\r\n"
        b" Helo=[relay.example]\r\n"
        b"X-MS-Exchange-CrossTenant-AuthAs: Anonymous\r\n"
        b"X-MS-Exchange-CrossTenant-AuthSource: AM1EPF0001.eurprd05.prod.outlook.com\r\n"
        b"X-MS-Exchange-CrossTenant-FromEntityHeader: HybridOnPrem\r\n"
        b"X-MS-Exchange-CrossTenant-Id: 0a1b\r\n"
        b"X-MS-Exchange-CrossTenant-Network-Message-Id: 11-22\r\n"
    )
    assert exchange(headers) == Exchange(
        original_arrival=datetime(2025, 4, 23, 9, 10, 25, 449400, tzinfo=UTC),
        auth_as="Anonymous",
        auth_source="AM1EPF0001.eurprd05.prod.outlook.com",
        from_entity="HybridOnPrem",
        connecting_ip=ConnectingIp("0a1b", "203.0.113.7", "relay.example"),
        tenant_id="0a1b",
        network_message_id="11-22",
    )


def test_the_correlation_id_stands_in_for_the_network_message_id():
    assert exchange(_headers(X_MS_Office365_Filtering_Correlation_Id="33-44")).network_message_id == "33-44"


def test_a_mail_that_never_saw_exchange_has_no_facts():
    assert exchange(Headers()) == Exchange()
    assert filtering(Headers()) == Filtering()
    assert attribution(Exchange()) == Attribution(WayIn.UNKNOWN)


@pytest.mark.parametrize(
    ("facts", "way"),
    [
        (Exchange(connecting_ip=ConnectingIp("t", "203.0.113.7"), auth_as="Anonymous"), WayIn.CONNECTOR),
        (Exchange(from_entity="HybridOnPrem", auth_as="Internal"), WayIn.CONNECTOR),
        (Exchange(from_entity="Hosted", proxied_by="A (2603::1) To B"), WayIn.HOSTED_MAILBOX),
        (Exchange(anonymous_direct_send=True, from_entity="Internet"), WayIn.DIRECT_SEND),
        (Exchange(internal_sender=True, directionality="Incoming", auth_as="Anonymous"), WayIn.DIRECT_SEND),
        (Exchange(internal_sender=True, directionality="Originating", auth_as="Internal"), WayIn.UNKNOWN),
        (Exchange(from_entity="Internet", auth_as="Anonymous", directionality="Incoming"), WayIn.INTERNET),
        (Exchange(from_entity="Internet"), WayIn.UNKNOWN),
        (Exchange(connecting_ip=ConnectingIp(None, "203.0.113.7")), WayIn.UNKNOWN),
        (Exchange(from_entity="Hosted", connecting_ip=ConnectingIp("t", "203.0.113.7")), WayIn.UNKNOWN),
    ],
)
def test_the_way_in_is_what_the_stamps_show_and_unknown_where_they_do_not(facts, way):
    assert attribution(facts).way is way


def test_an_attribution_names_its_evidence():
    facts = Exchange(from_entity="HybridOnPrem", connecting_ip=ConnectingIp("t", "203.0.113.7"))
    assert attribution(facts).evidence == (
        "OriginalAttributedTenantConnectingIp=203.0.113.7",
        "FromEntityHeader=HybridOnPrem",
    )


@given(st.text(max_size=300))
def test_any_value_of_any_header_is_read(value):
    names = (
        "X-Forefront-Antispam-Report",
        "X-Microsoft-Antispam",
        "X-Microsoft-Antispam-Mailbox-Delivery",
        "X-MS-Exchange-Transport-EndToEndLatency",
        CROSS + "OriginalArrivalTime",
        CROSS + "OriginalAttributedTenantConnectingIp",
        ORGANIZATION + "SCL",
        ORGANIZATION + "InternalOrgSender",
    )
    headers = Headers(tuple((name, value) for name in names))
    assert isinstance(filtering(headers), Filtering)
    assert attribution(exchange(headers)).way in WayIn
