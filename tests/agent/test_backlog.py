"""A mailbox full of canaries that nobody has looked at yet is read quickly: even a short life makes progress."""

from __future__ import annotations

from support.world import in_a_world


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
