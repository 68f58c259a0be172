import os
import sys
from datetime import timedelta
from typing import Any

import environ
import structlog
from django.core.exceptions import ImproperlyConfigured

from autotrading_project.environment_files import LOOPBACK_HOSTS, data_dir, fill_environment
from autotrading_project.settings.validation import broker_url, flag, sealing_keys, secret_key, web_url

env = environ.Env()
flag("READ_DOT_ENV", os.environ, default=True)
fill_environment(os.environ)
DATA_DIR = data_dir(os.environ)


def _required(name: str, hint: str) -> str:
    value = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value


def _bounded(name: str, default: float, low: float, high: float) -> float:
    try:
        value = env.float(name, default=default)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number, got {os.environ[name]!r}.") from error
    if not low <= value <= high:
        raise ImproperlyConfigured(f"{name} must be between {low} and {high}, got {value}.")
    return value


def _whole(name: str, default: int, low: int, high: int) -> int:
    value = _bounded(name, default, low, high)
    if value != int(value):
        raise ImproperlyConfigured(f"{name} must be a whole number, got {os.environ[name]!r}.")
    return int(value)


# --- process -----------------------------------------------------------------------------------
DEBUG = flag("DEBUG", os.environ)
SECRET_KEY = secret_key(_required("SECRET_KEY", "`make run` makes one; elsewhere give 50 random characters."))
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=list(LOOPBACK_HOSTS))
# Plain HTTP is for loopback only (`make run`, tests); a deployment stands behind TLS.
ALLOW_HTTP = flag("ALLOW_HTTP", os.environ)
DEMO = flag("DEMO", os.environ)
# `make run` knows by it that /health was answered by a process of its own; no secret.
RUN_ID = env.str("AUTOTRADING_RUN", default="")
ROOT_URLCONF = "autotrading_project.urls"
ASGI_APPLICATION = "autotrading_project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin.apps.SimpleAdminConfig",  # its pages are loaded with the URLs: workers have none
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "channels",
    "rest_framework",
    "knox",
    "axes",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_structlog",
    "django_prometheus",
    "foundation",
    "journal",
    "market",
    "portfolios",
    "rules",
    "sessions",
    "trading",
    "console",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database ----------------------------------------------------------------------------------
# DATABASE_URL is the application's role; DATABASE_OWNER_URL the owner's, who migrates.
_DATABASE_HINT = "Give postgres://user:password@host:port/name, or start everything with `make run`."
_as_owner = flag("DATABASE_AS_OWNER", os.environ)
_database_url = _required("DATABASE_URL", _DATABASE_HINT)
if _as_owner:
    _database_url = env.str("DATABASE_OWNER_URL", default=_database_url)
_database: dict[str, Any] = dict(env.db_url_config(_database_url))
_database["CONN_MAX_AGE"] = 0
_database["CONN_HEALTH_CHECKS"] = True
_database.setdefault("OPTIONS", {})
_database["OPTIONS"]["connect_timeout"] = 5
# Statements of ours are prepared from their third time on (`foundation.loading.selected`); Django's never are.
_database["OPTIONS"]["prepare_threshold"] = 2
# A connection is kept for long: a server that has gone without a word is noticed within seconds.
_database["OPTIONS"] |= {
    "tcp_user_timeout": 5000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
if not _as_owner:
    # A worker stopped in the middle of a transaction blocks nobody for long (design, section 5).
    _database["OPTIONS"]["options"] = (
        "-c lock_timeout=2s -c idle_in_transaction_session_timeout=5s -c statement_timeout=10s"
    )
if flag("DATABASE_POOL", os.environ):  # the web process only: Celery closes it after each task
    _database["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 16, "timeout": 5}
elif not flag("DATABASE_SHORT_CONNECTIONS", os.environ):
    _database["CONN_MAX_AGE"] = None
DATABASES = {"default": _database}

# --- Valkey, Celery, Channels ------------------------------------------------------------------
REDIS_URL = _required("REDIS_URL", "Give redis://host:port/0, or start everything with `make run`.")
REDIS_SOCKET_TIMEOUT_SECONDS = 0.2
REDIS_PREFIX = env.str("REDIS_PREFIX", default="autotrading")

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_ALWAYS_EAGER = flag("CELERY_TASK_ALWAYS_EAGER", os.environ)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 25
CELERY_TASK_TIME_LIMIT = 30
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 10.0  # on a busy machine; who is not up by then is killed
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "market"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ROUTES = {
    # beat's sign of life goes through the queue that matters most: who executes must be there, too.
    "foundation.tasks.*": {"queue": "execution"},
    "market.tasks.train_recommender": {"queue": "training"},
    "market.tasks.*": {"queue": "market"},
    "portfolios.tasks.*": {"queue": "market"},
    "sessions.tasks.*": {"queue": "execution"},
    "trading.tasks.evaluate_due": {"queue": "evaluation"},
    "trading.tasks.send_due": {"queue": "broker"},
    "trading.tasks.recover_due": {"queue": "broker"},
    "trading.tasks.reconcile_due": {"queue": "broker"},
    "trading.tasks.*": {"queue": "execution"},
    "journal.tasks.*": {"queue": "notification"},
}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{REDIS_PREFIX}:",
    "visibility_timeout": 60,
    "health_check_interval": 10,
}
CELERY_BEAT_SCHEDULER = "autotrading_project.patient_beat:PatientScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
DJANGO_CELERY_BEAT_TZ_AWARE = True

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": REDIS_URL,
                    "socket_connect_timeout": REDIS_SOCKET_TIMEOUT_SECONDS,
                }
            ],
            "prefix": f"{REDIS_PREFIX}:stream",
        },
    }
}
# The journal's consumer and alerts learn from here who may see which stream (nothing is imported upwards).
JOURNAL_VISIBLE_STREAMS = "portfolios.selectors.visible_streams_of"
JOURNAL_ACTIONABLE_STREAMS = "portfolios.selectors.actionable_streams"
# The admin's common base asks there whether the table of roles lets somebody do something.
ADMIN_ASKS = "portfolios.selectors.require_where"
# Whose transfers they are only trading knows.
LEDGER_OWNERS = "trading.selectors.trade_ids"
# A WebSocket that had nothing to send for so long sends a heartbeat; a user has at most so many sockets a process.
STREAM_HEARTBEAT_SECONDS = _bounded("STREAM_HEARTBEAT_SECONDS", 15, 0.2, 60)
STREAM_SOCKETS_PER_USER = _whole("STREAM_SOCKETS_PER_USER", 50, 1, 10_000)
# For tests: a function that is given each event and its payload's text, and raises where they are not as declared.
JOURNAL_CHECK_PAYLOADS = env.str("JOURNAL_CHECK_PAYLOADS", default="")
# Nor does the rules' room know what is carried out: it asks this before it puts a rule in force.
RULE_SUPPORT = "trading.core.support.unsupported"

# --- API ---------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "foundation.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["portfolios.api.door.AsDeclared"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["foundation.api.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "foundation.api.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_THROTTLE_CLASSES": ["foundation.api.throttling.Budgets"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "foundation.api.negotiation.AlwaysAnswers",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS describes nothing: /api/schema does
    "DEFAULT_SCHEMA_CLASS": "foundation.api.schema.ApiSchema",
    "EXCEPTION_HANDLER": "foundation.api.problems.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
}
# A token from a login is good for hours, a named one for as many days as was asked for, at most so many.
TOKEN_LOGIN_HOURS = _bounded("TOKEN_LOGIN_HOURS", 12, 0.01, 8_784)
TOKEN_DAYS_MAX = _whole("TOKEN_DAYS_MAX", 366, 1, 3_660)
REST_KNOX = {
    "AUTO_REFRESH": False,
    "TOKEN_TTL": timedelta(hours=TOKEN_LOGIN_HOURS),
    "AUTH_HEADER_PREFIX": "Token",
}
# Requests a minute; 0: any number. The emergency stop is never refused.
RATE_USER_PER_MINUTE = _whole("RATE_USER_PER_MINUTE", 1200, 0, 10**6)
RATE_TOKEN_PER_MINUTE = _whole("RATE_TOKEN_PER_MINUTE", 600, 0, 10**6)
# Proxies of ours before this server, which write X-Forwarded-For; 0: it is reached directly, and the header ignored.
PROXY_COUNT = _whole("PROXY_COUNT", 0, 0, 5)
# So many failures of one name from one address, or of one address with any names, close it for a while.
LOGIN_FAILURES_PER_NAME = _whole("LOGIN_FAILURES_PER_NAME", 10, 1, 1000)
LOGIN_FAILURES_PER_ADDRESS = _whole("LOGIN_FAILURES_PER_ADDRESS", 50, 1, 10_000)
LOGIN_LOCKOUT_MINUTES = _whole("LOGIN_LOCKOUT_MINUTES", 15, 1, 1440)
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "foundation.api.logins.AddressGuard",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = LOGIN_FAILURES_PER_NAME
AXES_COOLOFF_TIME = timedelta(minutes=LOGIN_LOCKOUT_MINUTES)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "foundation.addresses.client_address"
AXES_LOCKOUT_CALLABLE = "foundation.api.logins.locked_out"
SPECTACULAR_SETTINGS = {
    "TITLE": "autotrading",
    "VERSION": "0.1.0",
    "DESCRIPTION": "Rules as data, decisions explained, orders exactly once.",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": "/"}],
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {"TradeTypeEnum": "trading.models.Side"},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "journal.api.event_schemas.add_events",
        "console.problem_codes.add_codes",
        "foundation.api.examples.add_examples",
    ],
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "persistAuthorization": True,
        "displayOperationId": True,
        "filter": True,
        "validatorUrl": None,  # the page speaks to nobody but us
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# --- pages -------------------------------------------------------------------------------------
LOGIN_URL = "admin:login"
STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(DATA_DIR / "static"))
WHITENOISE_USE_FINDERS = True
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMS_URLFIELD_ASSUME_HTTPS = True

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "foundation.passwords.TokensEnd"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = not ALLOW_HTTP
CSRF_COOKIE_SECURE = not ALLOW_HTTP
SECURE_SSL_REDIRECT = not ALLOW_HTTP
SECURE_HSTS_SECONDS = 0 if ALLOW_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not ALLOW_HTTP
SECURE_HSTS_PRELOAD = not ALLOW_HTTP
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- market feed -------------------------------------------------------------------------------
MARKET_FEED = env.str("MARKET_FEED", default="replay")
if MARKET_FEED not in {"replay", "simulated", "alpaca", "none"}:
    raise ImproperlyConfigured(f"MARKET_FEED must be replay, simulated, alpaca or none, got {MARKET_FEED!r}.")
REPLAY_BARS_PER_SECOND = _bounded("REPLAY_BARS_PER_SECOND", 1.0, 0.01, 1000)
REPLAY_START = env.str("REPLAY_START", default="2004-01-02")
# Another file than the shipped sample: .csv, .csv.gz or .parquet, with columns that are found by their usual names or
# named here.
REPLAY_FILE = env.str("REPLAY_FILE", default="")
if REPLAY_FILE and not REPLAY_FILE.endswith((".csv", ".csv.gz", ".parquet")):
    raise ImproperlyConfigured(f"REPLAY_FILE must end in .csv, .csv.gz or .parquet, got {REPLAY_FILE!r}.")
REPLAY_COLUMNS = env.dict("REPLAY_COLUMNS", default={})
# simulated: by what seed, from which day on, how many symbols SIM000, SIM001, … beside the others, how much market time
# lies between two ticks, how many of them a second.
SIM_SEED = _whole("SIM_SEED", 1, 0, 2**53)
SIM_START = env.str("SIM_START", default="2004-01-02")
SIM_SYMBOLS = _whole("SIM_SYMBOLS", 20, 0, 1000)
SIM_STEP_SECONDS = _bounded("SIM_STEP_SECONDS", 60, 1, 3600)
SIM_TICKS_PER_SECOND = _bounded("SIM_TICKS_PER_SECOND", 4, 0.01, 1000)
# alpaca: market data of api keys that stand in the environment only; of which of Alpaca's feeds.
ALPACA_DATA_URL = broker_url(
    "ALPACA_DATA_URL", env.str("ALPACA_DATA_URL", default="https://data.alpaca.markets")
)
ALPACA_DATA_STREAM_URL = broker_url(
    "ALPACA_DATA_STREAM_URL",
    env.str("ALPACA_DATA_STREAM_URL", default="wss://stream.data.alpaca.markets"),
    secure="wss",
    plain="ws",
)
ALPACA_DATA_FEED = env.str("ALPACA_DATA_FEED", default="iex")
if ALPACA_DATA_FEED not in {"iex", "sip", "delayed_sip"}:
    raise ImproperlyConfigured(f"ALPACA_DATA_FEED must be iex, sip or delayed_sip, got {ALPACA_DATA_FEED!r}.")
ALPACA_DATA_KEY_ID = env.str("ALPACA_DATA_KEY_ID", default="")
ALPACA_DATA_SECRET = env.str("ALPACA_DATA_SECRET", default="")
if MARKET_FEED == "alpaca" and not (ALPACA_DATA_KEY_ID and ALPACA_DATA_SECRET):
    raise ImproperlyConfigured("MARKET_FEED=alpaca needs ALPACA_DATA_KEY_ID and ALPACA_DATA_SECRET.")
# Quotes of a live stream are published together at most so often.
FEED_COALESCE_MS = _bounded("FEED_COALESCE_MS", 250, 10, 10_000)
# While no exchange is open a live stream that is connected says so often that time went on.
FEED_IDLE_TICK_SECONDS = _bounded("FEED_IDLE_TICK_SECONDS", 30, 1, 3600)
# A move by more than so many percent is not believed until so many further quotes agree with it.
FEED_JUMP_PERCENTAGE = _bounded("FEED_JUMP_PERCENTAGE", 30.0, 1, 1000)
FEED_JUMP_CONFIRMATIONS = _whole("FEED_JUMP_CONFIRMATIONS", 2, 0, 100)
# All snapshots are kept for so long, then one a minute, then none.
SNAPSHOT_FULL_MINUTES = _bounded("SNAPSHOT_FULL_MINUTES", 60, 1, 10**6)
SNAPSHOT_RETENTION_MINUTES = _bounded("SNAPSHOT_RETENTION_MINUTES", 24 * 60, 1, 10**6)

# --- equity curves -----------------------------------------------------------------------------
# One point of each portfolio in so many minutes of market time; of days older than so many only a few are kept.
EQUITY_POINT_MINUTES = _whole("EQUITY_POINT_MINUTES", 15, 1, 24 * 60)
if 24 * 60 % EQUITY_POINT_MINUTES:
    raise ImproperlyConfigured(f"EQUITY_POINT_MINUTES must divide a day, got {EQUITY_POINT_MINUTES}.")
EQUITY_FULL_DAYS = _whole("EQUITY_FULL_DAYS", 30, 1, 36_500)

# --- recommendation services elsewhere ----------------------------------------------------------
# They are asked over https at public addresses only; hosts named here are trusted: private ones, any port, http.
PULL_ALLOWED_HOSTS = frozenset(
    host.strip().lower() for host in env.list("PULL_ALLOWED_HOSTS", default=[]) if host.strip()
)

# --- evaluation --------------------------------------------------------------------------------
# Of so many rules a process that evaluates keeps the programs; what is beyond is compiled at each evaluation.
PROGRAM_CACHE_RULES_MAX = _whole("PROGRAM_CACHE_RULES_MAX", 600_000, 1_000, 100_000_000)

# --- brokers -----------------------------------------------------------------------------------
# Sealing keys for brokers' credentials, the newest first: `name:base64 of 32 bytes`, separated by commas.
# Kept parsed, by name; without any, no account can be connected.
CREDENTIAL_KEYS = sealing_keys(env.list("CREDENTIAL_KEYS", default=[]))
# Real money needs this, an account that is marked live, and prices of now: orders must not follow old or invented ones.
ALLOW_LIVE_TRADING = flag("ALLOW_LIVE_TRADING", os.environ)
if ALLOW_LIVE_TRADING and MARKET_FEED not in {"alpaca", "none"}:
    raise ImproperlyConfigured(
        f"ALLOW_LIVE_TRADING=1 needs MARKET_FEED=alpaca (or none): real orders would follow the prices of "
        f"MARKET_FEED={MARKET_FEED}, which are not those of now."
    )
if ALLOW_LIVE_TRADING and MARKET_FEED == "alpaca" and ALPACA_DATA_FEED == "delayed_sip":
    raise ImproperlyConfigured(
        "ALLOW_LIVE_TRADING=1 needs ALPACA_DATA_FEED=iex or sip: the prices of delayed_sip are 15 minutes old when "
        "they come, and would pass for those of now. It is for paper only."
    )
ALPACA_PAPER_URL = broker_url(
    "ALPACA_PAPER_URL", env.str("ALPACA_PAPER_URL", default="https://paper-api.alpaca.markets")
)
ALPACA_LIVE_URL = broker_url(
    "ALPACA_LIVE_URL", env.str("ALPACA_LIVE_URL", default="https://api.alpaca.markets")
)
if ALPACA_LIVE_URL == ALPACA_PAPER_URL and ALPACA_LIVE_URL.startswith(
    "https://"
):  # http: a simulator on loopback
    raise ImproperlyConfigured(
        "ALPACA_PAPER_URL must be another than ALPACA_LIVE_URL: play money would be real."
    )
# A whole exchange with a broker, connecting included, ends within the deadline; a claim lives longer than that, so
# that nobody takes over what is still being sent.
BROKER_DEADLINE_SECONDS = _bounded("BROKER_DEADLINE_SECONDS", 3.0, 0.2, 30)
BROKER_LEASE_SECONDS = _bounded("BROKER_LEASE_SECONDS", 4.0, 0.4, 60)
if BROKER_LEASE_SECONDS <= BROKER_DEADLINE_SECONDS:
    raise ImproperlyConfigured(
        f"BROKER_LEASE_SECONDS must be longer than BROKER_DEADLINE_SECONDS, got {BROKER_LEASE_SECONDS} and "
        f"{BROKER_DEADLINE_SECONDS}."
    )
# So long after lease and deadline "no such order" is not believed: it may be on its way through the broker.
BROKER_SETTLE_SECONDS = _bounded("BROKER_SETTLE_SECONDS", 60.0, 0, 3600)
# A broker that cannot say for so long what became of an order: the order is quarantined, and a person must look.
BROKER_QUARANTINE_SECONDS = _bounded("BROKER_QUARANTINE_SECONDS", 600.0, 1, 86_400)
RECONCILE_SECONDS = _bounded("RECONCILE_SECONDS", 60.0, 1, 86_400)
# An account whose books could not be compared with its broker for so long makes no entry any more.
UNRECONCILED_SECONDS = _bounded("UNRECONCILED_SECONDS", 300.0, 1, 172_800)
if UNRECONCILED_SECONDS <= RECONCILE_SECONDS:
    raise ImproperlyConfigured(
        f"UNRECONCILED_SECONDS must be longer than RECONCILE_SECONDS, got {UNRECONCILED_SECONDS} and "
        f"{RECONCILE_SECONDS}."
    )

# --- alerts ------------------------------------------------------------------------------------
ALERT_WEBHOOK_URL = web_url("ALERT_WEBHOOK_URL", env.str("ALERT_WEBHOOK_URL", default=""))
ALERT_WEBHOOK_SECRET = env.str("ALERT_WEBHOOK_SECRET", default="")
if ALERT_WEBHOOK_URL and not ALERT_WEBHOOK_SECRET:
    raise ImproperlyConfigured("ALERT_WEBHOOK_SECRET is not set: webhooks are always signed.")

# --- logs --------------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise ImproperlyConfigured(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, got {LOG_LEVEL!r}.")
_shared_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": _shared_processors,
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": sys.stderr}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "celery": {"level": "WARNING"},
        "axes": {"level": "WARNING"},  # each login, and each row that it forgets
        "uvicorn.access": {"level": "WARNING"},
        "django_structlog.middlewares.request": {"level": "WARNING"},  # two lines for each request are noise
        "httpx": {"level": "WARNING"},  # it logs whole URLs, and a webhook's may hold a secret
        "httpcore": {"level": "WARNING"},  # its DEBUG tells what goes over the wire
        "websockets": {
            "level": "WARNING"
        },  # its DEBUG shows whole frames, and the first holds a broker's keys
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared_processors,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
UNFOLD = {
    "SITE_TITLE": "autotrading",
    "SITE_HEADER": "autotrading",
    "SITE_SUBHEADER": "rules, sessions, books",
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "console.navigation.icon"}],
    "SHOW_HISTORY": True,
    "STYLES": ["foundation.admin.presentation.stylesheet"],
    "SIDEBAR": {"show_search": True, "navigation": "console.navigation.sidebar"},
}
