"""Money: what is held, what was charged, what may still be spent. All amounts are micro-dollars."""

from packshot.ledger.balances import (
    Booked,
    Held,
    Room,
    Settlement,
    Wish,
    adjust,
    held,
    release,
    reserve,
    room_for,
    settle,
)
from packshot.ledger.budgets import BudgetState, budgets, set_limit, spending_limit
from packshot.ledger.switch import StopState, may_send, resume_spending, stop_spending, stop_state

__all__ = [
    "Booked",
    "BudgetState",
    "Held",
    "Room",
    "Settlement",
    "StopState",
    "Wish",
    "adjust",
    "budgets",
    "held",
    "may_send",
    "release",
    "reserve",
    "resume_spending",
    "room_for",
    "set_limit",
    "settle",
    "spending_limit",
    "stop_spending",
    "stop_state",
]
