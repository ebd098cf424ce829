"""What somebody new does with pages only: from the first sign-in to twenty products with a chosen image."""

from playwright.sync_api import Page, expect

WANTED = 20
# As long as a machine that is busy with other things may need for twenty images.
LAND_WITHIN_MS = 180_000


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(url)
    page.get_by_label("User name or email").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin")


def choose_first(page: Page, count: int) -> None:
    """Tick the first `count` products of the page: the first, and with Shift the last of them."""
    boxes = page.locator("#products [data-row] .check[name]")
    expect(boxes.nth(count - 1)).to_be_visible()
    boxes.first.click()
    boxes.nth(count - 1).click(modifiers=["Shift"])
    expect(page.locator(".bulk [data-selected]")).to_have_text(str(count))


def make_images(page: Page, url: str, provider: str = "openai") -> str:
    """Ask one provider for an image of twenty products that have none. Returns the price on the button."""
    page.goto(f"{url}/products?state=no_image")
    page.wait_for_selector(".live[data-state=live]")
    choose_first(page, WANTED)
    page.get_by_role("button", name="Generate images").click()
    dialog = page.locator("#asking")
    expect(dialog).to_be_visible()
    for box in dialog.locator("input[name=provider]").all():
        if box.is_enabled():
            box.set_checked(box.get_attribute("value") == provider)
    button = dialog.locator("[type=submit][data-spends]")
    expect(button).to_contain_text(f"{WANTED} images")
    price = button.inner_text()
    button.click()
    expect(page.locator(".toast").first).to_contain_text(f"{WANTED} images asked for")
    return price


def watch_them_land(page: Page, url: str) -> None:
    """Wait, on a page that is not loaded again, until all of them can be chosen."""
    page.goto(f"{url}/products?state=to_choose")
    page.wait_for_selector(".live[data-state=live]")
    expect(page.locator("#product-tabs a", has_text="To choose").locator(".count")).to_have_text(
        str(WANTED), timeout=LAND_WITHIN_MS
    )


def set_them_active(page: Page, url: str) -> None:
    """Look at what was made and take it all."""
    page.goto(f"{url}/products?state=to_choose")
    page.wait_for_selector(".live[data-state=live]")
    expect(page.locator("#products [data-row] img")).to_have_count(WANTED)
    choose_first(page, WANTED)
    page.get_by_role("button", name="Set newest active").click()
    expect(page.locator(".toast").first).to_contain_text(f"{WANTED} images set active")
    page.goto(f"{url}/products?state=active")
    expect(page.locator("#products [data-row] img")).to_have_count(WANTED)
