"""A random past for a site: products, generations with all their turns, money, images and reviews.

Rows go through the ORM in the order that the triggers demand, and each step notes what a flow would have
told the rollups. Everything happens before `now`, most of it near the edges of days, weeks and months.
"""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from django.db import connection

from packshot.kernel.ids import uuid7
from packshot.models import (
    Attempt,
    Category,
    Entry,
    Evidence,
    Generation,
    Image,
    Process,
    Product,
    ProviderRecord,
    Rendition,
    RequestRecord,
    Reservation,
    Review,
    Score,
    StopSwitch,
)
from packshot.reports import Delta

MODELS = {"openai": ("gpt-image-1", "gpt-image-1-mini"), "flux": ("flux-2-pro",), "sandbox": ("studio",)}
QUARTER_HOUR = timedelta(minutes=15)


class History:
    """What happened so far; `deltas` is what the rollups were told of it, in order."""

    def __init__(self, random: Random, now: datetime) -> None:
        self.random = random
        self.now = now
        self.deltas: list[Delta] = []

    def happen(self, *, products: int = 10, generations: int = 30) -> "History":
        """Make the whole past, and hold the reports' clock at `now` until the transaction ends."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('packshot.now', %s, true)", [self.now.isoformat()])
        StopSwitch.objects.filter(pk=1).update(stopped=self.chance(0.2))
        self.process = Process.objects.create(kind="pay", host="here", pid=1, slot=1)
        self.request = RequestRecord.objects.create(key=f"history-{uuid7()}", asked_by_name="ada")
        self.providers = self._providers()
        self.products = self._products(products)
        for _ in range(generations):
            self.generation()
        self._judge_images()
        self._finish_products()
        return self

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def past(self) -> datetime:
        """An instant before now: minutes, hours, days, weeks or months ago."""
        ago = self.random.choice([5_400, 93_600, 700_000, 2_900_000, 40_000_000])
        return self.now - timedelta(
            seconds=self.random.randrange(60, ago), milliseconds=self.random.randrange(999)
        )

    def generation(self) -> Generation:
        """One generation with all its turns, from asking to wherever it stands now."""
        record = self.random.choice(self.providers)
        asked_at = self.past()
        generation = Generation.objects.create(
            request=self.request,
            product=self.random.choice(self.products),
            provider=record,
            model=self.random.choice(MODELS[record.name.removeprefix("old-")]),
            simulated=record.simulated if self.chance(0.9) else not record.simulated,
            prompt=f"A packshot, variant {self.random.randrange(1000)}",
            images=self.random.choice([1, 1, 1, 2, 3]),
            asked_by_name="ada",
            lane="ada",
            price_version="1",
            expected_micros=self.random.choice([None, 0, 40_000, 63_333]),
            ceiling_micros=self.random.choice([None, 80_000]),
            created_at=asked_at,
            updated_at=asked_at,
        )
        fates = ["pending", "cancelled", "processing", "uncertain", "failed", "failed", *["completed"] * 6]
        fate = self.random.choice(fates)
        if fate == "failed" and self.chance(0.4):
            self._run(generation, "failed")
            self._retry(generation)
            fate = self.random.choice(fates)
        if fate == "pending":
            self._wait(generation)
        elif fate == "cancelled":
            self._end(generation, "cancelled", self._later(generation.updated_at))
        else:
            self._run(generation, fate)
        return generation

    def review(self, image: Image, decision: str) -> None:
        """A person's decision; the one before it no longer counts."""
        before = Review.objects.filter(image=image, current=True).first()
        if before is not None:
            Review.objects.filter(pk=before.pk).update(current=False)
        Review.objects.create(image=image, decision=decision, decided_by_name="bo")
        if image.attempt_id is not None:
            approved = (decision == "approved") - (before is not None and before.decision == "approved")
            self._tell(image.created_at, image, approved=approved)

    def _providers(self) -> list[ProviderRecord]:
        return [
            ProviderRecord.objects.create(
                name=name,
                label=name.title(),
                simulated=name == "sandbox" or self.chance(0.5),
                available=self.chance(0.8),
                switched_on=self.chance(0.7),
                paused_at=self.now if self.chance(0.2) else None,
                paused_kind="person",
                paused_message="enough for today",
                max_in_flight=3,
                wait_until=self.now + timedelta(seconds=self.random.choice([-60, 60]))
                if self.chance(0.5)
                else None,
                archived_at=self.now if name.startswith("old-") else None,
            )
            for name in ("openai", "flux", "sandbox", "old-flux")
        ]

    def _products(self, count: int) -> list[Product]:
        categories = [Category.objects.create(path=f"Hemp > {name}", name=name) for name in ("Food", "Paper")]
        return [
            Product.objects.create(
                sku=f"SKU-{number}",
                name=f"Product {self.random.choice('ABC')}{number}",
                category=self.random.choice([None, *categories]),
                listed_image_url=self.random.choice(["", f"https://shop.example/{number}.jpg"]),
                placeholder=self.chance(0.4),
                last_generation_status=self.random.choice(
                    ["", "completed", "completed", "failed", "uncertain"]
                ),
                last_generation_at=self.random.choice([None, self.past()]),
                failures_in_row=self.random.randrange(4),
                archived_at=self.past() if self.chance(0.15) else None,
            )
            for number in range(count)
        ]

    def _wait(self, generation: Generation) -> None:
        if self.chance(0.5):
            Generation.objects.filter(pk=generation.pk).update(
                wait_reason=self.random.choice(["budget", "rate", "retry"]),
                wait_detail="the budget is used up",
                not_before=self.now + timedelta(seconds=30),
            )

    def _run(self, generation: Generation, fate: str) -> None:
        """Attempts, all but the last of them failed, until `fate`."""
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            self._move(generation, "processing")
            self._attempt(generation, self.random.choice(["released", "failed_free", "failed_charged"]))
            self._move(generation, "pending")
        self._move(generation, "processing")
        match fate:
            case "processing":
                self._attempt(generation, self.random.choice(["intent", "sending", "accepted"]))
            case "uncertain":
                self._attempt(generation, "uncertain")
                self._move(generation, "uncertain")
            case "failed":
                end = self.random.choice(["failed_free", "failed_charged", "charged_no_image"])
                self._end(generation, "failed", self._attempt(generation, end))
            case "completed":
                closed_at = self._attempt(generation, "succeeded")
                self._end(generation, "completed", closed_at)

    def _attempt(self, generation: Generation, end: str) -> datetime:
        """One paid call up to `end`; returns when it was closed, or how far it got."""
        opened_at = self._later(generation.updated_at)
        generation.attempts += 1
        attempt = Attempt.objects.create(
            generation=generation,
            number=generation.attempts,
            process=self.process,
            provider=generation.provider_id,
            model=generation.model,
            simulated=generation.simulated,
            reserved_micros=80_000,
            price_version="1",
            deadline_s=300,
            created_at=opened_at,
        )
        reservation = Reservation.objects.create(
            attempt=attempt, amount_micros=80_000, simulated=attempt.simulated, opened_at=opened_at
        )
        sent_at = self._later(opened_at)
        closed_at = min(self.now, sent_at + timedelta(seconds=10 ** self.random.uniform(-2, 3.2)))
        self._note(generation, attempts=generation.attempts, updated_at=closed_at)
        if end == "intent":
            return opened_at
        if end == "released":
            self._state(attempt, "released", closed_at=sent_at)
            self._close(reservation, sent_at)
            return sent_at
        self._state(attempt, "sending", sending_at=sent_at)
        if generation.started_at is None:
            self._note(generation, started_at=sent_at)
        if end in ("sending", "accepted", "uncertain"):
            if end != "sending":
                self._state(attempt, end)
            return sent_at
        if self.chance(0.3):
            self._state(attempt, "accepted", accepted_at=sent_at)
        elif self.chance(0.1):
            self._state(attempt, "uncertain")
            Evidence.objects.create(attempt=attempt, kind="person", verdict=end, by_name="bo")
        if end == "failed_free":
            cost: int | None = 0
        elif self.chance(0.1):
            cost = None
        else:
            cost = self.random.choice([0, 33_333, 40_000, 75_001])
        self._state(attempt, end, cost_micros=cost, closed_at=closed_at)
        self._pay(generation, attempt, reservation, cost, closed_at, free=end == "failed_free")
        if end == "succeeded":
            self._keep_images(generation, attempt, closed_at)
        return closed_at

    def _pay(
        self,
        generation: Generation,
        attempt: Attempt,
        reservation: Reservation,
        cost: int | None,
        closed_at: datetime,
        *,
        free: bool,
    ) -> None:
        if cost is None:  # it cost something and nobody said how much: the hold stays
            self._note(generation, cost_unknown=True)
            return
        self._close(reservation, closed_at)
        self._note(generation, actual_micros=(generation.actual_micros or 0) + cost)
        if not free:
            self._book(attempt, "charge", cost, reservation.opened_at)
            if self.chance(0.15):
                self._book(attempt, "adjustment", self.random.choice([-cost, 1_001]), reservation.opened_at)

    def _book(self, attempt: Attempt, kind: str, amount: int, charged_at: datetime) -> None:
        Entry.objects.create(
            attempt=attempt,
            kind=kind,
            amount_micros=amount,
            simulated=attempt.simulated,
            provider=attempt.provider,
            model=attempt.model,
            charged_at=charged_at,
        )
        self._tell(charged_at, attempt, amount_micros=amount)

    def _keep_images(self, generation: Generation, attempt: Attempt, at: datetime) -> None:
        for position in range(generation.images):
            self._image(
                generation.product,
                generation=generation,
                attempt=attempt,
                position=position,
                provider=attempt.provider,
                model=attempt.model,
                simulated=attempt.simulated,
                created_at=at,
            )
            self._tell(at, attempt, images=1)

    def _image(self, product: Product, *, created_at: datetime, **facts: object) -> Image:
        return Image.objects.create(
            id=id_made_at(created_at),
            product=product,
            created_at=created_at,
            blob=f"{self.random.getrandbits(256):064x}",
            media_type="image/png",
            width_px=1024,
            height_px=1024,
            size_bytes=20_000,
            digital_source_type="trainedAlgorithmicMedia",
            state=self.random.choice(["stored", "ready", "ready", "broken"]),
            **facts,
        )

    def _retry(self, generation: Generation) -> None:
        """A person's retry: the same row, which no longer has an end."""
        self._tell(generation.completed_at, generation, failed=-1)
        self._note(generation, status="pending", completed_at=None)

    def _end(self, generation: Generation, status: str, at: datetime) -> None:
        self._note(generation, status=status, completed_at=at, updated_at=at)
        completed = status == "completed"
        self._tell(
            at,
            generation,
            **{status: 1},
            duration_s=(at - generation.started_at).total_seconds() if completed else None,
        )

    def _judge_images(self) -> None:
        for product in self.products:
            if self.chance(0.3):  # a photo of the shop's own, which nobody generated
                self._image(product, provider="photo", model="", simulated=False, created_at=self.past())
        for image in Image.objects.select_related("product"):
            for _ in range(self.random.choice([0, 0, 1, 2])):
                self.review(image, self.random.choice(["approved", "rejected"]))
            for scorer in self.random.sample(["sharpness", "background"], self.random.randrange(3)):
                Score.objects.create(image=image, scorer=scorer, value=self.random.choice([12.5, 29, 30, 80]))
            for spec in self.random.sample(["webp-320", "webp-1200"], self.random.randrange(3)):
                Rendition.objects.create(
                    image=image,
                    spec=spec,
                    blob=f"{self.random.getrandbits(256):064x}",
                    media_type="image/webp",
                    width_px=320,
                    height_px=320,
                    size_bytes=9_000,
                )

    def _finish_products(self) -> None:
        for product in self.products:
            images = list(Image.objects.filter(product=product).exclude(state="broken"))
            if images and self.chance(0.7):
                product.active_image = self.random.choice(images)
                product.save()

    def _later(self, at: datetime) -> datetime:
        return min(self.now, at + timedelta(seconds=self.random.choice([0.25, 3, 40, 1_200])))

    def _move(self, generation: Generation, status: str) -> None:
        self._note(generation, status=status)

    def _note(self, generation: Generation, **facts: object) -> None:
        for name, value in facts.items():
            setattr(generation, name, value)
        Generation.objects.filter(pk=generation.pk).update(**facts)

    def _state(self, attempt: Attempt, state: str, **facts: object) -> None:
        Attempt.objects.filter(pk=attempt.pk).update(state=state, **facts)

    def _close(self, reservation: Reservation, at: datetime) -> None:
        Reservation.objects.filter(pk=reservation.pk).update(closed_at=at)

    def _tell(self, at: datetime | None, of: Generation | Attempt | Image, **figures: object) -> None:
        assert at is not None
        provider = of.provider_id if isinstance(of, Generation) else of.provider
        self.deltas.append(
            Delta(bucket_at=at, provider=provider, model=of.model, simulated=of.simulated, **figures)
        )


def quarter_hour(at: datetime) -> datetime:
    """The start of the UTC quarter-hour that `at` lies in, counted from the epoch."""
    seconds = int(at.timestamp() // 900 * 900)
    return datetime.fromtimestamp(seconds, UTC)


def id_made_at(at: datetime) -> UUID:
    """An id as it would have been made at `at`."""
    millis = int(at.timestamp() * 1000)
    return UUID(int=millis << 80 | uuid7().int & ((1 << 80) - 1))
