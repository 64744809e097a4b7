import { z } from 'zod'
import { DATABASE_ENV } from './database-settings.ts'
import {
  address,
  cookieName,
  flag,
  heights,
  hosts,
  httpUrl,
  ignored,
  integer,
  list,
  networks,
  origin,
  origins,
  rate,
  seconds,
  text,
  urlPath,
} from './env-values.ts'
import { MONITORING_ENV } from './monitoring-settings.ts'
import { OPENID_ENV } from './openid-settings.ts'
import { REDIS_ENV } from './redis-settings.ts'
import { S3_ENV } from './s3-settings.ts'
import { WEBHOOK_ENV } from './webhook-settings.ts'

/**
 * Every environment variable that Videoflix reads: its name, how its text is read, and what it is for. What a value
 * means together with others is decided in `settings.ts`. An empty value counts as not set.
 */
export const ENV_GROUPS = {
  'The server': {
    HOST: text.describe('Address to listen on. Default `127.0.0.1`.'),
    PORT: integer(0, 65_535).describe('Port to listen on; 0 takes a free one. Default `8000`.'),
    DATA_DIR: text.describe(
      'Folder for the database, uploads, media and work files. Default `data` in the project.',
    ),
    DEBUG: flag.describe(
      'True on a developer’s machine: shows sent mails at `/dev/mail/` to loopback clients. Default: True only while nothing is configured (no `SECRET_KEY`, listening on loopback).',
    ),
    SECRET_KEY: text.describe(
      'At least 32 random characters; every other key is derived from it. With DEBUG one is made and kept in `DATA_DIR`.',
    ),
    SECRET_KEY_FALLBACKS: list.describe('Earlier secret keys that still verify, comma-separated.'),
    LOG_LEVEL: z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
        error: 'write one of fatal, error, warn, info, debug, trace, silent',
      })
      .describe('How much to log. Default `info`.'),
  },
  'Origins and links': {
    BACKEND_ORIGIN: origin.describe(
      'Where clients reach this server; links in mails and media URLs start with it. Default `http://HOST:PORT`.',
    ),
    ALLOWED_HOSTS: hosts.describe(
      'Host names to answer to, comma-separated; `.example.com` takes subdomains, `*` any. Default: the host of BACKEND_ORIGIN and loopback.',
    ),
    CORS_ALLOWED_ORIGINS: origins.describe(
      'Origins whose pages may call the API, comma-separated. Default `http://localhost:4200` with DEBUG, else none.',
    ),
    CORS_ALLOW_CREDENTIALS: flag.describe(
      'Whether those pages may send cookies; the web client needs it. Default True.',
    ),
    CSRF_TRUSTED_ORIGINS: origins.describe(
      'Further origins that may send unsafe requests. Default none.',
    ),
    TRUSTED_PROXIES: networks.describe(
      'Addresses or networks (CIDR) of proxies whose X-Forwarded-For is believed. Default none.',
    ),
    FRONTEND_URL: httpUrl.describe(
      'Where a confirmed user is sent: the login page. Default: the home page.',
    ),
    RESET_PASSWORD_URL: httpUrl.describe(
      'Page that the link in a reset mail opens. Default: a page of this server.',
    ),
  },
  Cookies: {
    JWT_ACCESS_COOKIE_NAME: cookieName.describe('Default `vf_access`.'),
    JWT_REFRESH_COOKIE_NAME: cookieName.describe('Default `vf_refresh`.'),
    JWT_COOKIE_SECURE: flag.describe('Cookies over HTTPS only. Default: True without DEBUG.'),
    JWT_COOKIE_SAMESITE: z
      .string()
      .transform((value) => value.toLowerCase())
      .pipe(z.enum(['lax', 'strict', 'none'], { error: 'write Lax, Strict or None' }))
      .describe('`Lax`, `Strict` or `None`; a client on another site needs `None`. Default `Lax`.'),
  },
  Mail: {
    EMAIL_BACKEND: text
      .refine((value) => /(^|\.)(console|smtp|filebased)\.EmailBackend$/.test(value), {
        error:
          'write one that ends in console.EmailBackend, smtp.EmailBackend or filebased.EmailBackend',
      })
      .describe(
        'How mail is sent: ends in `smtp.EmailBackend`, `console.EmailBackend` or `filebased.EmailBackend`. Default: smtp when EMAIL_HOST is set, else console.',
      ),
    EMAIL_HOST: text.describe('SMTP server.'),
    EMAIL_PORT: integer(1, 65_535).describe('Default 587 with EMAIL_USE_TLS, else 25.'),
    EMAIL_USE_TLS: flag.describe('STARTTLS (port 587), or TLS at once on port 465. Default False.'),
    EMAIL_HOST_USER: text.describe('SMTP user name.'),
    EMAIL_HOST_PASSWORD: text.describe('SMTP password.'),
    EMAIL_FILE_PATH: text.describe('Folder of filebased mails. Default `mails` in DATA_DIR.'),
    DEFAULT_FROM_EMAIL: text.describe('Sender of mails. Default `Videoflix <noreply@HOST>`.'),
  },
  Database: DATABASE_ENV,
  Redis: REDIS_ENV,
  Media: {
    MEDIA_URL: urlPath.describe('Path under which local media is served. Default `/media/`.'),
    MEDIA_URL_TTL: seconds(1).describe(
      'Least life of a signed media URL; long films get more. Default 3600.',
    ),
    MEDIA_ROOT: text.describe('Folder of published media. Default `media` in DATA_DIR.'),
    MEDIA_ACCEL_PATH: urlPath.describe(
      'Path of an internal location of nginx that shows MEDIA_ROOT, such as `/accelerated-media/`: nginx then sends local media (X-Accel-Redirect). Default: the server sends it.',
    ),
  },
  'Media in S3': S3_ENV,
  'Sessions, links and passwords': {
    ACCESS_TOKEN_TTL: seconds(1, 300).describe(
      'Life of an access token, at most 300. Default 300.',
    ),
    REFRESH_TOKEN_TTL: seconds(1).describe('Life of a session. Default 3600.'),
    REFRESH_TOKEN_REMEMBER_TTL: seconds(1).describe(
      'Life of a session with “remember me”. Default 604800.',
    ),
    // It is also how long a stolen token goes unnoticed.
    REFRESH_GRACE: seconds(0, 300).describe(
      'How long the token before the current one is still accepted, at most 300. Default 30.',
    ),
    CONFIRM_LINK_TTL: seconds(1).describe('Life of a confirmation link. Default 259200 (72 h).'),
    RESET_LINK_TTL: seconds(1).describe('Life of a reset link. Default 3600.'),
    PASSWORD_MIN_LENGTH: integer(1, 128).describe('Default 8.'),
    ARGON2_MEMORY_KIB: integer(19_456, 4_194_304).describe(
      'Memory of a password hash, at least 19456 (19 MiB). Default 19456.',
    ),
  },
  'Sign-in with OpenID Connect': OPENID_ENV,
  Uploads: {
    UPLOAD_TTL: seconds(1).describe('When an abandoned upload is removed. Default 86400.'),
    MAX_UPLOAD_BYTES: integer(1).describe('Largest upload. Default 10000000000 (10 GB).'),
    MIN_FREE_DISK_BYTES: integer(0).describe(
      'Free space that uploads leave on the disk. Default 1000000000 (1 GB).',
    ),
  },
  Processing: {
    JOB_LEASE: seconds(1).describe('How long a worker owns a task without renewing. Default 30.'),
    JOB_SWEEP_INTERVAL: seconds(0.1).describe('How often due tasks are looked for. Default 10.'),
    JOB_TIMEOUT: seconds(1).describe('Longest run of one task. Default 21600 (6 h).'),
    JOB_ATTEMPTS: integer(1, 100).describe('How often a task is tried. Default 3.'),
    JOB_CONCURRENCY: integer(1, 64).describe(
      'Films, or parts of them, that one worker encodes at once. Default: one for every four cores, if there is 1 GiB of memory for each; the worker says in its log how many that are.',
    ),
    WORKER_ONLY: list.describe(
      'What a worker takes, comma-separated: of the lanes `media`, `files`, `quick` and `webhooks`, or of the kinds of tasks that [workers.md](workers.md) lists. Default: everything.',
    ),
    ORPHAN_SWEEP: flag.describe(
      'Whether workers look once a day for files that belong to nothing, and remove those that are older than a day. Default True.',
    ),
    LADDER: heights.describe(
      'Qualities to make, by the shorter side in pixels, comma-separated: of 120, 360, 720, 1080, 1440 and 2160. Default `120,360,720,1080`.',
    ),
    CHUNK_MIN_DURATION: seconds(1).describe(
      'Films at least this long are encoded in chunks, which workers may share. Default 600.',
    ),
    EARLY_READY: flag.describe(
      'Show a video to viewers as soon as its first quality plays, while others are still being made. Default False.',
    ),
    KEEP_ORIGINAL: flag.describe(
      'Keep uploaded files once their videos are ready; without them no video can be processed again. Default True.',
    ),
    TRANSCODE_LOCALLY: flag.describe(
      'Run a worker inside the server process. Default True; set False where `videoflix worker` runs.',
    ),
    FFMPEG_STALL_TIMEOUT: seconds(1).describe(
      'How long ffmpeg may make no progress before it is ended. Default 120.',
    ),
    FFMPEG_BIN: text.describe('The ffmpeg program. Default `ffmpeg`.'),
    FFPROBE_BIN: text.describe('The ffprobe program. Default: beside FFMPEG_BIN, else `ffprobe`.'),
  },
  Webhooks: WEBHOOK_ENV,
  Monitoring: MONITORING_ENV,
  'Rate limits': {
    AUDIT_RETENTION_DAYS: integer(1, 36_500).describe(
      'How many days audit entries are kept. Default 365.',
    ),
    RATE_LIMIT_LOGIN: rate.describe('Logins per client. Default `20/min`.'),
    RATE_LIMIT_LOGIN_ACCOUNT: rate.describe(
      'Wrong passwords for one account that cost nothing; after them every next one waits twice as long, up to a minute. Default `10/hour`.',
    ),
    RATE_LIMIT_REGISTER: rate.describe('Registrations per client. Default `20/min`.'),
    RATE_LIMIT_FORGOT: rate.describe('Reset mails per client. Default `10/min`.'),
    RATE_LIMIT_EMAIL_EXISTS: rate.describe('Address checks per client. Default `30/min`.'),
  },
  'First superuser': {
    DJANGO_SUPERUSER_USERNAME: text.describe('Kept with the first superuser; login is by email.'),
    DJANGO_SUPERUSER_EMAIL: address.describe('Email of the first superuser.'),
    DJANGO_SUPERUSER_PASSWORD: text.describe('Password of the first superuser.'),
  },
  'Accepted and ignored': {
    FRONTEND_CONFIRM_URL: ignored('confirmation links always lead to this server'),
    CSRF_COOKIE_SECURE: ignored('there is no CSRF cookie: origins are checked instead'),
    SESSION_COOKIE_SECURE: ignored('there is no session cookie beside the two JWT cookies'),
  },
} as const

export const ENV = {
  ...ENV_GROUPS['The server'],
  ...ENV_GROUPS['Origins and links'],
  ...ENV_GROUPS['Cookies'],
  ...ENV_GROUPS['Mail'],
  ...ENV_GROUPS['Database'],
  ...ENV_GROUPS['Redis'],
  ...ENV_GROUPS['Media'],
  ...ENV_GROUPS['Media in S3'],
  ...ENV_GROUPS['Sessions, links and passwords'],
  ...ENV_GROUPS['Sign-in with OpenID Connect'],
  ...ENV_GROUPS['Uploads'],
  ...ENV_GROUPS['Processing'],
  ...ENV_GROUPS['Webhooks'],
  ...ENV_GROUPS['Monitoring'],
  ...ENV_GROUPS['Rate limits'],
  ...ENV_GROUPS['First superuser'],
  ...ENV_GROUPS['Accepted and ignored'],
}

type EnvTable = typeof ENV
/** The variables that are set, read; those that are not are absent. */
export type Env = { [Name in keyof EnvTable]?: z.output<EnvTable[Name]> }

/** None of them has a use for these, and one in a header or a path would have. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\x1f\x7f]/

/** Reads the variables of the table. Problems are sentences that name the variable and say what to write. */
export function readEnv(variables: Record<string, string | undefined>): {
  env: Env
  problems: string[]
  warnings: string[]
} {
  const env: Record<string, unknown> = {}
  const problems: string[] = []
  const warnings: string[] = []
  for (const [name, schema] of Object.entries(ENV)) {
    const value = variables[name]?.trim()
    if (value === undefined || value === '') continue
    if (CONTROL.test(value)) {
      problems.push(`${name}: its value is not understood; write it without line breaks.`)
      continue
    }
    const parsed = schema.safeParse(value)
    if (!parsed.success) {
      const shown = /SECRET|PASSWORD|KEY|DATABASE_URL|REDIS_URL|REDIS_LOCATION|WEBHOOK_URLS/.test(
        name,
      )
        ? 'its value'
        : `"${value}"`
      problems.push(`${name}: ${shown} is not understood; ${parsed.error.issues[0]?.message}.`)
      continue
    }
    const meta = schema.meta() as { ignoredBecause?: string } | undefined
    if (meta?.ignoredBecause) {
      warnings.push(`${name} no longer means anything: ${meta.ignoredBecause}. Remove it.`)
    }
    env[name] = parsed.data
  }
  return { env, problems, warnings }
}
