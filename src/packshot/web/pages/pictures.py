"""An image by its id and the size wanted: a signpost to the bytes, which have their own lasting address."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot import catalogue
from packshot.flows import look
from packshot.web.security import needs


@needs("read")
@require_safe
def picture(request: HttpRequest, image_id: UUID, spec: str) -> HttpResponseRedirect:
    """To the rendition `spec` of an image. AVIF is made at the first wish; until then its WebP serves.

    The one GET that leaves something behind: a job that fills a cache, once, whoever asks and however often.
    """
    if spec not in look.SPECS:
        raise Http404
    made = catalogue.renditions_of(image_id)
    if spec in made:
        answer = HttpResponseRedirect(_address(made[spec]))
        answer["Cache-Control"] = "private, max-age=3600"
        return answer
    stand_in = made.get(spec.replace("avif", "webp"))
    if stand_in is None:
        raise Http404
    look.wish_for(image_id, spec)
    answer = HttpResponseRedirect(_address(stand_in))
    answer["Cache-Control"] = "no-store"
    return answer


def _address(rendition: catalogue.RenditionBytes) -> str:
    return reverse("media", args=[rendition.blob, rendition.media_type.removeprefix("image/")])
