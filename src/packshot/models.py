"""Gathers the modules' tables, so that Django finds them in one place."""

from packshot.accounts.models import AuditEntry, Role, User
from packshot.catalogue.models import (
    Category,
    Image,
    ImportRecord,
    Product,
    PromptMove,
    PromptTemplate,
    PromptTemplateVersion,
    Rendition,
    Triage,
)
from packshot.catalogue.photo_models import Photo
from packshot.events.models import Event
from packshot.generations.bulk_models import BulkAction, BulkItem
from packshot.generations.models import (
    Attempt,
    Batch,
    Callback,
    Evidence,
    Generation,
    InspectionRecord,
    Process,
    ProviderRecord,
    RequestRecord,
    Run,
)
from packshot.ledger.models import Budget, BudgetWindow, Entry, PriceEdit, Reservation, StopSwitch
from packshot.preferences.models import Preference, SavedView
from packshot.quality.models import Review, Score, Vote
from packshot.reports.models import Rollup

__all__ = [
    "Attempt",
    "AuditEntry",
    "Batch",
    "Budget",
    "BudgetWindow",
    "BulkAction",
    "BulkItem",
    "Callback",
    "Category",
    "Entry",
    "Event",
    "Evidence",
    "Generation",
    "Image",
    "ImportRecord",
    "InspectionRecord",
    "Photo",
    "Preference",
    "PriceEdit",
    "Process",
    "Product",
    "PromptMove",
    "PromptTemplate",
    "PromptTemplateVersion",
    "ProviderRecord",
    "Rendition",
    "RequestRecord",
    "Reservation",
    "Review",
    "Role",
    "Rollup",
    "Run",
    "SavedView",
    "Score",
    "StopSwitch",
    "Triage",
    "User",
    "Vote",
]
