"""Taking one product out of the catalogue from its page, and back in."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from packshot.flows import retire
from packshot.kernel.errors import BadInput
from packshot.reports import products as reads
from packshot.web.answers import Toast, Undo, anew, refuse
from packshot.web.pages import products
from packshot.web.security import actor_of, needs
from packshot.web.words import many


@needs("edit_catalogue")
def archive(request: HttpRequest, product_id: UUID) -> HttpResponse:
    """Shoppers see it no more, and nothing is made for it. What is on its way is paid for, and kept."""
    if request.method != "POST":
        return redirect("products")
    then = _then(product_id)
    try:
        done = retire.archive([product_id], actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=then)
    if not done.products:
        return anew(request, Toast("This product is archived already", tone="warn"), then=then)
    words = "Product archived"
    if done.cancelled:
        words += f", {many(done.cancelled, 'waiting image')} cancelled"
    undo = Undo(reverse("product_unarchive", args=[product_id]), {})
    return anew(request, Toast(words, undo=undo), then=then)


@needs("edit_catalogue")
def unarchive(request: HttpRequest, product_id: UUID) -> HttpResponse:
    """Back into the catalogue as it was; what was cancelled meanwhile is not asked for again."""
    if request.method != "POST":
        return redirect("products")
    then = _then(product_id)
    try:
        back = retire.unarchive([product_id], actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=then)
    toast = (
        Toast("Product is back in the catalogue") if back else Toast("It is in the catalogue", tone="warn")
    )
    return anew(request, toast, then=then)


def _then(product_id: UUID) -> str:
    found = reads.product_by_id(product_id)
    if found is None:
        return reverse("products")
    shown = reads.product_by_sku(found.sku)
    # Another product may have its SKU by now: then it goes by its id.
    is_its_own = shown is not None and shown.id == product_id
    return (
        products.product_url(found.sku, product_id) if is_its_own else reverse("product", args=[product_id])
    )
