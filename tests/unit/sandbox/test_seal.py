import hashlib
import hmac

import pytest

from sandbox.seal import fingerprint_of, is_synthetic

KEY = b"a secret of this rehearsal"
TEXTS = ["    return 1\n", "    return 2\n"]


def test_a_fingerprint_is_the_hmac_of_all_texts():
    mac = hmac.new(KEY, "\x00".join(TEXTS).encode(), hashlib.sha256).hexdigest()
    assert fingerprint_of(KEY, TEXTS) == f"synthetic-{mac}"
    assert is_synthetic(KEY, TEXTS, f"synthetic-{mac}")


@pytest.mark.parametrize(
    ("key", "texts"),
    [
        (b"another key", TEXTS),
        (b"", TEXTS),
        (KEY, TEXTS[:1]),
        (KEY, TEXTS[::-1]),
        (KEY, [TEXTS[0], TEXTS[1] + " "]),
        (KEY, []),
    ],
)
def test_any_other_key_or_text_is_not_synthetic(key, texts):
    assert not is_synthetic(key, texts, fingerprint_of(KEY, TEXTS))


@pytest.mark.parametrize("fingerprint", ["", "synthetic-", "fp_44709d6fcb", "synthetic-é\ud800"])
def test_a_real_model_s_fingerprint_is_not_synthetic(fingerprint):
    assert not is_synthetic(KEY, TEXTS, fingerprint)


def test_an_empty_key_seals_nothing():
    assert not is_synthetic(b"", TEXTS, fingerprint_of(b"", TEXTS))


def test_texts_with_broken_unicode_can_be_sealed():
    assert is_synthetic(KEY, ["\ud800"], fingerprint_of(KEY, ["\ud800"]))
