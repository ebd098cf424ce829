"""The built-in provider: free, offline, at once. It draws a packshot by rule, so everything can be tried."""

import asyncio
import zlib

from packshot.imaging.studio import STYLES, describe, render
from packshot.kernel.errors import BadAnswer, BadInput, Refused
from packshot.kernel.money import Micros
from packshot.providers.answers import read_image
from packshot.providers.cards import accept
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    Limits,
    ModelCard,
    Option,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import GuardedClient
