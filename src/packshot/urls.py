"""Every address. A view without a declared right is never served (`web.security.DenyByDefault`)."""

from allauth.account import views as account
from django.urls import URLPattern, path, re_path

from packshot.web import assets, live
from packshot.web.pages import (
    attention,
    budgets,
    callbacks,
    choosing,
    desk,
    doors,
    generate,
    imports,
    media,
    overview,
    pictures,
    product,
    products,
    providers,
    queue,
    settings,
    simulator,
    style,
    templates,
)
from packshot.web.security import needs

# Views of others carry no right of ours: here is one for each that is mounted. What allauth has beside these
# (sign-up, e-mail, password reset by mail) is not: people are made by an administrator.
_OF_OTHERS = (
    ("accounts/login/", account.login, "account_login", "sign_in"),
    ("accounts/logout/", account.logout, "account_logout", "sign_in"),
    ("accounts/inactive/", account.account_inactive, "account_inactive", "sign_in"),
    ("accounts/password/change/", account.password_change, "account_change_password", "own_account"),
    ("accounts/reauthenticate/", account.reauthenticate, "account_reauthenticate", "own_account"),
    ("static/<slug:version>/<path:path>", assets.serve, "static", "public"),
)

urlpatterns: list[URLPattern] = [
    path("", doors.home, name="home"),
    path("healthz", doors.healthz, name="healthz"),
    path("callbacks/<uuid:attempt_id>/<str:token>", callbacks.receive, name="callback"),
    path("admin", overview.overview, name="overview"),
    path("admin/charts", overview.charts_again, name="overview_charts"),
    path("admin/charts/<slug:chart>.csv", overview.chart_sheet, name="overview_sheet"),
    path("admin/queue", queue.queue, name="queue"),
    path("admin/queue/retry", queue.retry, name="queue_retry"),
    path("admin/queue/cancel", queue.cancel, name="queue_cancel"),
    path("admin/queue/follow", queue.follow, name="queue_follow"),
    path("admin/queue/bring", queue.bring, name="queue_bring"),
    path("admin/queue/resolve", queue.resolve, name="queue_resolve"),
    path("admin/queue/<uuid:generation_id>", queue.generation, name="generation"),
    path("admin/budgets", budgets.budgets, name="budgets"),
    path("admin/budgets/statement.csv", budgets.statement, name="statement"),
    path("admin/budgets/new", budgets.new, name="budget_new"),
    path("admin/budgets/<uuid:budget_id>", budgets.budget, name="budget"),
    path("admin/budgets/<uuid:budget_id>/archive", budgets.archive, name="budget_archive"),
    path("admin/providers", providers.providers, name="providers"),
    path("admin/providers.csv", providers.export, name="providers_export"),
    path("admin/providers/<slug:name>", providers.provider, name="provider"),
    path("admin/providers/<slug:name>/change", providers.change, name="provider_change"),
    path("admin/providers/<slug:name>/price", providers.price, name="provider_price"),
    path("admin/attention", attention.needing, name="attention"),
    path("admin/attention/snooze", attention.snooze, name="attention_snooze"),
    path("admin/attention/assign", attention.assign, name="attention_assign"),
    path("search", desk.search, name="search"),
    path("imports", imports.history, name="imports"),
    path("imports/plan", imports.plan, name="import_plan"),
    path("imports/apply", imports.apply, name="import_apply"),
    path("imports/<uuid:record_id>", imports.record, name="import_record"),
    path("templates", templates.listing, name="templates"),
    path("templates/new", templates.new, name="template_new"),
    path("templates/preview", templates.preview, name="template_preview"),
    path("templates/<uuid:template_id>", templates.template, name="template"),
    path("templates/<uuid:template_id>/save", templates.save, name="template_save"),
    path("templates/<uuid:template_id>/again", templates.again, name="template_again"),
    path("templates/<uuid:template_id>/archive", templates.archive, name="template_archive"),
    path("templates/<uuid:template_id>/fit", templates.fit, name="template_fit"),
    path("admin/settings", settings.own_desk, name="settings"),
    path("admin/settings/people", settings.people, name="people"),
    path("admin/settings/people/<uuid:person_id>", settings.person, name="person"),
    path("admin/settings/providers", settings.providers, name="settings_providers"),
    path("admin/settings/spending", settings.stop_switch, name="settings_spending"),
    path("admin/settings/simulator", simulator.simulator, name="settings_simulator"),
    path("admin/settings/site", settings.site, name="settings_site"),
    path("admin/settings/about", settings.about, name="settings_about"),
    path("style", style.style, name="style"),
    path("events", live.stream, name="events"),
    re_path(r"^media/(?P<blob>[0-9a-f]{64})\.(?P<extension>[a-z]{3,4})$", media.rendition, name="media"),
    path("products", products.products, name="products"),
    path("products/<path:sku>", product.product, name="product"),
    path("images/<uuid:image_id>/activate", choosing.activate, name="activate"),
    path("images/activate-newest", choosing.activate_newest, name="activate_newest"),
    path("images/restore", choosing.restore, name="restore"),
    path("images/<uuid:image_id>/<str:spec>", pictures.picture, name="picture"),
    path("generate/new", generate.form, name="ask"),
    path("generate/quote", generate.quote, name="quote"),
    path("generate/pictures", generate.pictures, name="ask_pictures"),
    path("generate/picture/<str:value>", generate.picture, name="ask_picture"),
    path("generate", generate.ask, name="generate"),
    *(path(route, needs(right)(view), name=name) for route, view, name, right in _OF_OTHERS),
]

handler400 = "packshot.web.pages.errors.bad_request"
handler403 = "packshot.web.pages.errors.forbidden"
handler404 = "packshot.web.pages.errors.not_found"
handler429 = "packshot.web.pages.errors.too_many"  # allauth's throttle looks for it here
handler500 = "packshot.web.pages.errors.broken"
