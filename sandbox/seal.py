"""Tells our own synthetic completions from everything else, so that only they may run as plain processes."""

import hmac
from collections.abc import Sequence
from hashlib import sha256

_PREFIX = "synthetic-"


def fingerprint_of(key: bytes, texts: Sequence[str]) -> str:
    """Returns the fingerprint that the rehearsal endpoint gives a response with these texts."""
    text = "\x00".join(texts).encode("utf-8", "surrogatepass")
    return _PREFIX + hmac.new(key, text, sha256).hexdigest()


def is_synthetic(key: bytes, texts: Sequence[str], fingerprint: str) -> bool:
    """Tells whether a response came, unchanged, from our rehearsal endpoint's synthetic model.

    Args:
        key: the secret shared with the endpoint for this rehearsal; an empty one seals nothing.
        texts: the texts of all the response's choices, in order.
        fingerprint: the response's `system_fingerprint`.

    Returns:
        True only if the fingerprint is the one that the holder of the key gives these texts.
    """
    if not key:
        return False
    expected = fingerprint_of(key, texts).encode()
    return hmac.compare_digest(expected, fingerprint.encode("utf-8", "surrogatepass"))
