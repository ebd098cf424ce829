"""Pictures: renditions only, by the hash of their bytes. What a provider sent is never served as it came."""

import logging

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.views.decorators.http import require_safe

from packshot.blobs import MissingBlob, StoreDown
from packshot.catalogue.models import Rendition
from packshot.flows import look
from packshot.web.security import CONTENT_SECURITY_POLICY, needs

log = logging.getLogger(__name__)

MEDIA_TYPES = {"webp": "image/webp", "avif": "image/avif", "png": "image/png", "jpeg": "image/jpeg"}


@needs("read")
@require_safe
def rendition(request: HttpRequest, blob: str, extension: str) -> HttpResponse:
    """The bytes with this hash, if they are a rendition of this kind. They can never change."""
    media_type = MEDIA_TYPES.get(extension)
    if media_type is None or not Rendition.objects.filter(blob=blob, media_type=media_type).exists():
        raise Http404
    etag = f'"{blob}"'
    response: HttpResponse
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponseNotModified()
    else:
        try:
            response = HttpResponse(look.store().get(blob), content_type=media_type)
        except MissingBlob:
            log.error("rendition %s has no bytes in the blob store", blob)
            raise Http404 from None
        except StoreDown as trouble:
            log.error("the blob store does not answer: %s", trouble)
            return HttpResponse(
                "The store does not answer.", status=503, content_type="text/plain; charset=utf-8"
            )
        response["Content-Disposition"] = "inline"
    response["ETag"] = etag
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; sandbox"
    return response
