"""A mailbox full of canaries that nobody has looked at yet is read quickly: even a short life makes progress."""

from __future__ import annotations

from support.make import a_canary
from support.world import in_a_world

from checks.core import message, token


def test_no_canary_of_our_own_is_fetched_whole_in_search_of_a_bounce(tmp_path):
    """They are marked as sent by a machine, as bounces are; a fetch for each would hold up the writing of the look."""

    async def story(world):
        whole = []
        read = world.reader.content

        async def content(ref, limit):
            whole.append(ref)
            return await read(ref, limit)

        world.reader.content = content
        world.tenant.deliver(b"Auto-Submitted: auto-generated\r\nSubject: Not one of ours\r\n\r\nHello.\r\n")
        for _ in range(5):
            assert await world.send_and_wait() == "delivered"
        assert len(whole) == 1, "the one that is not ours may be a bounce"

    in_a_world(tmp_path, story)


def test_canaries_of_another_site_are_not_fetched_whole_either(tmp_path):
    async def story(world):
        async def content(ref, _limit):
            raise AssertionError(f"{ref} was fetched")

        world.reader.content = content
        for _ in range(50):
            theirs = a_canary(world.check)
            minted = token.mint(
                theirs.id,
                theirs.check.name,
                theirs.check.recipient,
                key="other",
                secret=b"another site's secret, of 32 bytes",
            )
            world.tenant.deliver(message.compose(theirs, minted))
        assert await world.send_and_wait() == "delivered"
        assert await world.total("messages_ignored", reason="foreign") == 50

    in_a_world(tmp_path, story)
