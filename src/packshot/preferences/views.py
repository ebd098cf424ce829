"""Saved views: the state of a page under a name, of one person or of everybody."""

from uuid import UUID

from django.db import transaction

from packshot.kernel.errors import BadInput
from packshot.preferences.models import SavedView

MOST = 50  # of one person, and shared
LONGEST_NAME, LONGEST_QUERY = 60, 2_000


def save_view(
    place: str, name: str, query: str, *, owner_id: UUID | None, by_name: str, opens: bool = False
) -> UUID:
    """Keep `query` under `name`, in place of what had this name. Without an owner it is everybody's."""
    name = " ".join(name.split())
    if not name:
        raise BadInput("give the view a name", field="name")
    if len(name) > LONGEST_NAME:
        raise BadInput(f"the name has {len(name)} characters; {LONGEST_NAME} is the most", field="name")
    if len(query) > LONGEST_QUERY:
        raise BadInput("this view says too much to be kept", field="name")
    with transaction.atomic():
        of_owner = SavedView.objects.select_for_update().filter(place=place, owner_id=owner_id)
        if opens:
            of_owner.update(opens=False)
        known = of_owner.filter(name__iexact=name).first()
        if known is None and of_owner.count() >= MOST:
            raise BadInput(f"there are {MOST} views; delete one first", field="name")
        view = known or SavedView(place=place, owner_id=owner_id)
        view.name, view.query, view.opens, view.saved_by_name = name, query, opens, by_name
        view.save()
    return view.id


def open_first(view_id: UUID, *, owner_id: UUID | None, on: bool) -> bool:
    """Whether this view is what the bare address shows its owner. False: there is no such view of theirs."""
    with transaction.atomic():
        view = SavedView.objects.select_for_update().filter(pk=view_id, owner_id=owner_id).first()
        if view is None:
            return False
        SavedView.objects.filter(place=view.place, owner_id=owner_id).update(opens=False)
        view.opens = on
        view.save(update_fields=["opens"])
    return True


def remove_view(view_id: UUID, *, owner_id: UUID | None) -> str | None:
    """Forget a view of this owner. Returns its name; None: there is no such view of theirs."""
    view = SavedView.objects.filter(pk=view_id, owner_id=owner_id).first()
    if view is None:
        return None
    view.delete()
    return view.name
