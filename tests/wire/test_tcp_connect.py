"""Connecting: the first address that answers wins, and what is our own fault is told apart."""

from __future__ import annotations

import socket

import pytest
from support.deaf import a_deaf_address

from checks.errors import LocalFault
from checks.wire.tcp import Address, ConnectFailed, connect, interleave

pytestmark = pytest.mark.anyio


def at(ip: str, port: int = 25) -> Address:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return Address(family, (ip, port, 0, 0) if ":" in ip else (ip, port))


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def deaf():
    with a_deaf_address() as address:
        yield at(*address)


async def test_an_address_that_does_not_answer_does_not_hold_up_the_next(deaf, listener):
    connection = await connect([deaf, at(*listener.getsockname())], None)

    with connection:
        assert connection.getpeername() == listener.getsockname()


async def test_a_refused_address_is_followed_by_the_next(listener, dead_port):
    connection = await connect([at("::1", dead_port), at(*listener.getsockname())], None)

    with connection:
        assert connection.getpeername() == listener.getsockname()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_the_connection_comes_from_the_source_address(listener):
    with await connect([at(*listener.getsockname())], "127.0.0.1") as connection:
        assert connection.getsockname()[0] == "127.0.0.1"


async def test_when_all_refuse_each_is_named(dead_port):
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1: Connection refused"):
        await connect([at("127.0.0.1", dead_port)], None)


async def test_a_source_address_that_is_not_ours_is_our_fault(listener):
    with pytest.raises(LocalFault, match=r"source_address 192\.0\.2\.99"):
        await connect([at(*listener.getsockname())], "192.0.2.99")


async def test_a_source_address_of_the_wrong_family_is_our_fault():
    with pytest.raises(LocalFault, match="another address family"):
        await connect([at("::1")], "127.0.0.1")


async def test_addresses_of_the_other_family_than_the_source_are_left_out(listener, dead_port):
    with await connect([at("::1", dead_port), at(*listener.getsockname())], "127.0.0.1") as connection:
        assert connection.getpeername() == listener.getsockname()


def test_the_families_take_turns():
    six, four = [at("2001:db8::1"), at("2001:db8::2")], [at("192.0.2.1"), at("192.0.2.2"), at("192.0.2.3")]

    assert interleave([*six, *four]) == [six[0], four[0], six[1], four[1], four[2]]
    assert interleave(four) == four
