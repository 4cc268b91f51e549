"""Small files as data items of one transaction (ANS-104)."""

MAX_BUNDLED_BYTES = 1


def bundle_size(p):
    raise NotImplementedError


def make_bundle(p):
    raise NotImplementedError


def sign_item(p, w):
    raise NotImplementedError
