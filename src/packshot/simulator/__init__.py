"""The providers' HTTP APIs on loopback: real requests, real answers, invented images, and a bill to check.

The real adapters run against it, in tests and on machines without a key. It keeps a bill book that it
writes before it answers, enforces the published limits, and goes wrong as a fault script tells it to.
"""

from packshot.simulator import faults
from packshot.simulator.app import create_app
from packshot.simulator.book import BillLine, RequestLine, read_bill, read_requests
from packshot.simulator.config import SimulatorConfig
from packshot.simulator.control import Control, Spawned, spawn
from packshot.simulator.faults import Rule
from packshot.simulator.server import running, serve

__all__ = [
    "BillLine",
    "Control",
    "RequestLine",
    "Rule",
    "SimulatorConfig",
    "Spawned",
    "create_app",
    "faults",
    "read_bill",
    "read_requests",
    "running",
    "serve",
    "spawn",
]
