"""What a delivered message's headers tell: hops, authentication, filtering, and the way in. Evidence, never proof."""
