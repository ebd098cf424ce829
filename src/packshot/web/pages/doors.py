"""The addresses without a page of their own: the front door, and the one that a load balancer knocks at."""

import logging

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot.web.security import actor_of, needs

log = logging.getLogger(__name__)


@needs("public")
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the Overview, or to the sign-in page."""
    return HttpResponseRedirect(reverse("overview" if actor_of(request).may("read") else "account_login"))


@needs("public")
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 when this process can ask the database something, 503 when not. It says nothing else."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as trouble:
        log.warning("not healthy: %s", trouble)
        return HttpResponse("no database\n", status=503, content_type="text/plain; charset=utf-8")
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")
