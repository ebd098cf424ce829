"""What the pages show, made through the product's own verbs: people, generations that land, their pictures."""

import io
import struct
import zlib
from functools import cache
from uuid import UUID

import pyvips
from django.conf import settings
from django.db import transaction

from packshot import catalogue, events
from packshot.accounts.models import User
from packshot.blobs import BlobStore, open_store
from packshot.catalogue.images import MadeRendition, keep_renditions
from packshot.catalogue.models import Image
from packshot.events import Happening
from packshot.flows import admit
from packshot.flows.close import Completion, Stored
from packshot.generations import Claim
from packshot.kernel.errors import Refused
from packshot.kernel.money import micros
from tests import build
from tests.build import StandIn

PASSWORD = "sunlit meadow under glass"


def person(role: str = "administrator", name: str | None = None, *, password: str | None = None) -> User:
    """Somebody with an account. Without a password they can only be signed in by the test client."""
    user = User(username=name or role, role=role)
    if password:
        user.set_password(password)
    else:
        user.set_unusable_password()
    user.save()
    return user
