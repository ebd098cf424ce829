"""Every setting is read once, here, from the environment. docs/settings.md describes each of them."""

import os
import secrets
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from packshot.kernel.errors import BadInput


def _flag(name: str, default: bool) -> bool:
    text = os.environ.get(name, "").strip().lower()
    if text in ("", "auto"):
        return default
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise BadInput(f"{name}={text!r} is neither on nor off", field=name)


def _default_data() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/packshot")
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "packshot"


def _kept_secret(path: Path) -> str:
    """A random secret made at first start and kept beside the data, readable by its owner only."""
    if not path.exists():
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            if os.geteuid() == 0:
                # Root's umask may close the folder, and the database runs as a user of its own in it.
                path.parent.chmod(0o755)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)  # two processes starting at once keep the first one's
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()


DATA = Path(os.environ.get("PACKSHOT_DATA") or _default_data()).resolve()
DATABASE_URL = os.environ.get("DATABASE_URL", "")
BLOB_URL = os.environ.get("BLOB_URL") or f"file://{DATA / 'blobs'}"
HOST = os.environ.get("PACKSHOT_HOST") or "127.0.0.1"
PORT = int(os.environ.get("PACKSHOT_PORT") or 8000)
SITE_URL = (os.environ.get("PACKSHOT_URL") or f"http://{HOST}:{PORT}").rstrip("/")
# Where providers may report by themselves: only an address that they can reach. `off`: nowhere.
CALLBACK_URL = (
    os.environ.get("PACKSHOT_CALLBACK_URL") or (SITE_URL if SITE_URL.startswith("https://") else "off")
).rstrip("/")
# auto: on when no provider key is set. on: all providers run on it. off: never.
SIMULATOR = (os.environ.get("PACKSHOT_SIMULATOR") or "auto").lower()
SIMULATOR_PORT = int(os.environ.get("PACKSHOT_SIMULATOR_PORT") or 0)
SIMULATOR_URL = os.environ.get("PACKSHOT_SIMULATOR_URL") or ""
# Where a provider is reached instead of its own address: PACKSHOT_OPENAI_URL and so on.
PROVIDER_URLS = {
    name: os.environ[f"PACKSHOT_{name.upper()}_URL"]
    for name in ("openai", "flux", "stability")
    if os.environ.get(f"PACKSHOT_{name.upper()}_URL")
}
PROVIDER_KEYS = {
    name: os.environ[variable]
    for name, variable in {
        "openai": "OPENAI_API_KEY",
        "midjourney": "MIDJOURNEY_PROXY_SECRET"
        if os.environ.get("MIDJOURNEY_PROXY_SECRET")
        else "MIDJOURNEY_API_KEY",
        "stability": "STABILITY_API_KEY",
        "flux": "FLUX_API_KEY",
    }.items()
    if os.environ.get(variable)
}
# Adapters name the variables that they want to know (`Configured` in providers/contract.py), so they cannot
# be listed here. A function: no page that shows settings shows the whole environment with them.
PROVIDER_VALUE = os.environ.copy().get
# Whose name stands under the marks in public images: files in PEM. Without them one is made in DATA.
SIGNING_CERT = os.environ.get("PACKSHOT_SIGNING_CERT") or ""
SIGNING_KEY = os.environ.get("PACKSHOT_SIGNING_KEY") or ""
# The largest catalogue file that a browser may send. On the command line the importer's own limit holds.
UPLOAD_BYTES = int(os.environ.get("PACKSHOT_UPLOAD_BYTES") or 64 * 1024 * 1024)
# Divides every timer of the worker; tests run with 20. Production leaves it at 1.
TIMER_SCALE = float(os.environ.get("PACKSHOT_TIMER_SCALE") or 1)


# A server that is gone without a farewell is noticed after 25 s, not after the hours of the system's own
# settings. Each can be set in DATABASE_URL; none matters on a Unix socket.
_KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}


def _database() -> dict[str, object]:
    common = {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
    # Everything lives in our own schema: a hosted Postgres with an open REST layer exposes nothing of it.
    path = "-c search_path=packshot"
    if not DATABASE_URL:
        from packshot.embedded import Cluster

        place = Cluster(DATA).connection()
        return common | {
            "NAME": place.dbname,
            "USER": place.user,
            "PASSWORD": place.password,
            "HOST": place.host,
            "PORT": str(place.port),
            "OPTIONS": {"options": path, "connect_timeout": 10},
        }
    parts = urlsplit(DATABASE_URL)
    if parts.scheme not in ("postgres", "postgresql"):
        raise BadInput(
            "DATABASE_URL must look like postgresql://user:password@host:5432/name", field="DATABASE_URL"
        )
    options: dict[str, object] = {"options": path, "connect_timeout": 10, **_KEEPALIVE}
    query = dict(parse_qsl(parts.query))
    host = query.pop("host", None) or unquote(parts.hostname or "")
    if "options" in query:
        options["options"] = f"{query.pop('options')} {path}"
    options |= query
    return common | {
        "NAME": unquote(parts.path.lstrip("/")) or "packshot",
        "USER": unquote(parts.username or query.get("user", "")),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DEBUG = _flag("PACKSHOT_DEBUG", False)
SECRET_KEY = os.environ.get("PACKSHOT_SECRET_KEY") or _kept_secret(DATA / "secret-key")
ALLOWED_HOSTS = [
    host.strip() for host in os.environ.get("PACKSHOT_ALLOWED_HOSTS", "").split(",") if host.strip()
] or ["127.0.0.1", "localhost", "[::1]", urlsplit(SITE_URL).hostname or HOST]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

INSTALLED_APPS = [
    "packshot",
    "allauth",
    "allauth.account",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "procrastinate.contrib.django",
]
MIDDLEWARE = [
    "packshot.web.security.SecurityHeaders",
    "packshot.web.security.Zip",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "packshot.web.security.DenyByDefault",
]
ROOT_URLCONF = "packshot.urls"
ASGI_APPLICATION = "packshot.asgi.application"

_WEB = Path(__file__).parent / "web"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [_WEB / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "environment": "packshot.web.jinja.environment",
            "context_processors": [
                "django.template.context_processors.request",
                "packshot.web.jinja.page_context",
            ],
        },
    },
]

FILE_UPLOAD_HANDLERS = [
    "packshot.web.uploads.UpToLimit",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

AUTH_USER_MODEL = "packshot.User"
AUTHENTICATION_BACKENDS = ["packshot.accounts.sessions.People"]
SESSION_ENGINE = "packshot.accounts.sessions"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/admin"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "packshot.accounts.signin.ClosedSite"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_RATE_LIMITS = {"login_failed": "10/5m/key,30/5m/ip", "login": "60/m/ip"}

_HTTPS = SITE_URL.startswith("https://")
SESSION_COOKIE_NAME = "__Host-packshot" if _HTTPS else "packshot"
SESSION_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 7 * 24 * 3600
CSRF_COOKIE_NAME = "__Host-packshot-csrf" if _HTTPS else "packshot-csrf"
CSRF_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "packshot.web.pages.errors.stale_form"
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if _flag("PACKSHOT_BEHIND_PROXY", False) else None
)
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# One process's cache: sign-in throttling and nothing that two processes must agree on.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "packshot_cache"}}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact": {"()": "packshot.kernel.redaction.Redact"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redact"]},
    },
    "root": {"handlers": ["stderr"], "level": os.environ.get("PACKSHOT_LOG_LEVEL") or "INFO"},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "procrastinate": {"level": "WARNING"},
        "pyvips": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING"},
    },
}
PROCRASTINATE_ON_APP_READY = "packshot.events.chores.on_app_ready"
PROCRASTINATE_IMPORT_PATHS: list[str] = []
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "no_such_module"
# W001: sign-up is shut. W002: web.security sets X-Frame-Options with its other headers.
SILENCED_SYSTEM_CHECKS = ["account.W001", "security.W002"]
