import { join, resolve } from 'node:path'
import { AppError } from '../errors.ts'
import {
  databaseSettings,
  whatIsWrongWithDatabase,
  type DatabaseSettings,
} from './database-settings.ts'
import { readEnv, type Env } from './env.ts'
import type { Rate } from './env-values.ts'
import { monitoringSettings, type MonitoringSettings } from './monitoring-settings.ts'
import { openIdSettings, whatIsHalfOpenId, type OpenIdSettings } from './openid-settings.ts'
import { s3Settings, unusedS3Settings, whatIsHalfS3, type S3Settings } from './s3-settings.ts'
import { redisSettings, redisWarning, type RedisSettings } from './redis-settings.ts'
import { whatIsUnsafe } from './unsafe.ts'
import { webhookSettings, whatIsHalfWebhooks, type WebhookSettings } from './webhook-settings.ts'

export type { DatabaseSettings }

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export type MailSettings = { from: string } & (
  | { kind: 'log' }
  | { kind: 'file'; folder: string }
  | {
      kind: 'smtp'
      host: string
      port: number
      useTls: boolean
      user: string | null
      password: string | null
    }
)

/** What the environment means. Durations in milliseconds, sizes in bytes, folders absolute. */
export interface Settings {
  debug: boolean
  logLevel: string
  dataDir: string
  listen: { host: string; port: number }
  /** Null until the port is known (PORT=0): `http://HOST:PORT` then. */
  backendOrigin: string | null
  allowedHosts: string[]
  corsOrigins: string[]
  corsCredentials: boolean
  trustedOrigins: string[]
  trustedProxies: string[]
  frontendUrl: string | null
  resetPasswordUrl: string | null
  /** Null: one is made and kept in `dataDir` (only with DEBUG). */
  secretKey: string | null
  secretKeyFallbacks: string[]
  cookies: {
    accessName: string
    refreshName: string
    secure: boolean
    sameSite: 'lax' | 'strict' | 'none'
  }
  sessions: {
    accessTtlMs: number
    refreshTtlMs: number
    rememberTtlMs: number
    graceMs: number
  }
  links: { confirmTtlMs: number; resetTtlMs: number }
  passwords: { minLength: number; argon2MemoryKib: number }
  openId: OpenIdSettings | null
  mail: MailSettings
  database: DatabaseSettings
  redis: RedisSettings | null
  media: {
    root: string
    urlPath: string
    urlTtlMs: number
    /** Where nginx has the same files; null where the server sends them itself. */
    accelPath: string | null
  }
  /** Null: media, originals and intermediates are in folders. */
  s3: S3Settings | null
  /** Named, though not in use: uploads that began there may end there. Null: none. */
  unusedS3: S3Settings | null
  /** Where workers keep what they fetched from S3. */
  cacheDir: string
  originalsDir: string
  /** What the steps of processing leave for each other. */
  intermediatesDir: string
  uploads: { dir: string; ttlMs: number; maxBytes: number; minFreeDiskBytes: number }
  tasks: {
    leaseMs: number
    sweepIntervalMs: number
    timeoutMs: number
    attempts: number
    /** Encodings at once; null: as many as the machine is good for. */
    concurrency: number | null
    /** Kinds of tasks and lanes that a worker takes; null: all. */
    only: string[] | null
    workInServer: boolean
    sweepsOrphans: boolean
    workDir: string
  }
  ffmpeg: { ffmpegBin: string; ffprobeBin: string }
  processing: {
    /** Shorter sides. */
    ladder: number[]
    chunkMinDurationMs: number
    earlyReady: boolean
    keepOriginal: boolean
    /** Longest time without progress of ffmpeg. */
    stallMs: number
  }
  rateLimits: { login: Rate; loginAccount: Rate; register: Rate; forgot: Rate; emailExists: Rate }
  webhooks: WebhookSettings
  monitoring: MonitoringSettings
  /** How long audit entries are kept. */
  auditKeptMs: number
  firstSuperuser: { email: string | null; password: string | null; username: string | null }
}

/** Throws `misconfigured` with one line that says what to change. */
export function readSettings(
  variables: Record<string, string | undefined>,
  projectDir: string,
): { settings: Settings; warnings: string[] } {
  const { env, problems, warnings } = readEnv(variables)
  if (problems.length > 0) throw new AppError('misconfigured', problems.join(' '))
  const half = whatIsHalfConfigured(env)
  if (half) throw new AppError('misconfigured', half)
  const settings = settingsFrom(env, projectDir)
  const uselessRedis = redisWarning(env)
  if (uselessRedis) warnings.push(uselessRedis)
  const unsafe = whatIsUnsafe(settings)
  if (unsafe) throw new AppError('misconfigured', unsafe)
  if (settings.backendOrigin?.startsWith('https:') && !settings.cookies.secure) {
    warnings.push(
      'JWT_COOKIE_SECURE is False although BACKEND_ORIGIN is https: cookies would also go over http. Set it to True.',
    )
  }
  return { settings, warnings }
}

/** A sentence about settings of which one is nothing without another, or null. */
function whatIsHalfConfigured(env: Env): string | null {
  if (env.EMAIL_BACKEND?.endsWith('smtp.EmailBackend') && env.EMAIL_HOST === undefined) {
    return 'EMAIL_BACKEND is smtp, but EMAIL_HOST is missing: set it.'
  }
  if (env.EMAIL_BACKEND === undefined && env.EMAIL_HOST === undefined && env.EMAIL_HOST_USER) {
    return 'EMAIL_HOST_USER is set, but EMAIL_HOST is missing: set it, or remove EMAIL_HOST_USER.'
  }
  const isSmtp = env.EMAIL_BACKEND?.endsWith('smtp.EmailBackend') ?? env.EMAIL_HOST !== undefined
  if (isSmtp && !!env.EMAIL_HOST_USER !== !!env.EMAIL_HOST_PASSWORD) {
    return 'Of EMAIL_HOST_USER and EMAIL_HOST_PASSWORD only one is set: set both, or none.'
  }
  return (
    whatIsWrongWithDatabase(env) ??
    whatIsHalfOpenId(env) ??
    whatIsHalfWebhooks(env) ??
    whatIsHalfS3(env)
  )
}

function settingsFrom(env: Env, projectDir: string): Settings {
  const host = env.HOST ?? '127.0.0.1'
  const port = env.PORT ?? 8000
  const debug = env.DEBUG ?? (env.SECRET_KEY === undefined && isLoopbackName(host))
  const dataDir = resolve(projectDir, env.DATA_DIR ?? 'data')
  const backendOrigin = env.BACKEND_ORIGIN ?? (port === 0 ? null : originOf(host, port))
  return {
    debug,
    logLevel: env.LOG_LEVEL ?? 'info',
    dataDir,
    listen: { host, port },
    backendOrigin,
    allowedHosts: env.ALLOWED_HOSTS ?? defaultHosts(backendOrigin),
    corsOrigins: env.CORS_ALLOWED_ORIGINS ?? (debug ? ['http://localhost:4200'] : []),
    corsCredentials: env.CORS_ALLOW_CREDENTIALS ?? true,
    trustedOrigins: env.CSRF_TRUSTED_ORIGINS ?? [],
    trustedProxies: env.TRUSTED_PROXIES ?? [],
    frontendUrl: env.FRONTEND_URL ?? null,
    resetPasswordUrl: env.RESET_PASSWORD_URL ?? null,
    secretKey: env.SECRET_KEY ?? null,
    secretKeyFallbacks: env.SECRET_KEY_FALLBACKS ?? [],
    cookies: {
      accessName: env.JWT_ACCESS_COOKIE_NAME ?? 'vf_access',
      refreshName: env.JWT_REFRESH_COOKIE_NAME ?? 'vf_refresh',
      secure: env.JWT_COOKIE_SECURE ?? !debug,
      sameSite: env.JWT_COOKIE_SAMESITE ?? 'lax',
    },
    sessions: {
      accessTtlMs: env.ACCESS_TOKEN_TTL ?? 5 * MINUTE,
      refreshTtlMs: env.REFRESH_TOKEN_TTL ?? HOUR,
      rememberTtlMs: env.REFRESH_TOKEN_REMEMBER_TTL ?? 7 * DAY,
      graceMs: env.REFRESH_GRACE ?? 30_000,
    },
    links: {
      confirmTtlMs: env.CONFIRM_LINK_TTL ?? 72 * HOUR,
      resetTtlMs: env.RESET_LINK_TTL ?? HOUR,
    },
    passwords: {
      minLength: env.PASSWORD_MIN_LENGTH ?? 8,
      argon2MemoryKib: env.ARGON2_MEMORY_KIB ?? 19_456,
    },
    openId: openIdSettings(env),
    mail: mailSettings(env, dataDir, backendOrigin),
    database: databaseSettings(env, dataDir),
    redis: redisSettings(env),
    media: {
      root: resolve(projectDir, env.MEDIA_ROOT ?? join(dataDir, 'media')),
      urlPath: env.MEDIA_URL ?? '/media/',
      urlTtlMs: env.MEDIA_URL_TTL ?? HOUR,
      accelPath: env.MEDIA_ACCEL_PATH ?? null,
    },
    s3: s3Settings(env),
    unusedS3: unusedS3Settings(env),
    cacheDir: join(dataDir, 'cache'),
    originalsDir: join(dataDir, 'originals'),
    intermediatesDir: join(dataDir, 'intermediates'),
    uploads: {
      dir: join(dataDir, 'uploads'),
      ttlMs: env.UPLOAD_TTL ?? DAY,
      maxBytes: env.MAX_UPLOAD_BYTES ?? 10_000_000_000,
      minFreeDiskBytes: env.MIN_FREE_DISK_BYTES ?? 1_000_000_000,
    },
    tasks: {
      leaseMs: env.JOB_LEASE ?? 30_000,
      sweepIntervalMs: env.JOB_SWEEP_INTERVAL ?? 10_000,
      timeoutMs: env.JOB_TIMEOUT ?? 6 * HOUR,
      attempts: env.JOB_ATTEMPTS ?? 3,
      concurrency: env.JOB_CONCURRENCY ?? null,
      only: env.WORKER_ONLY ?? null,
      workInServer: env.TRANSCODE_LOCALLY ?? true,
      sweepsOrphans: env.ORPHAN_SWEEP ?? true,
      workDir: join(dataDir, 'work'),
    },
    ffmpeg: {
      ffmpegBin: env.FFMPEG_BIN ?? 'ffmpeg',
      ffprobeBin: env.FFPROBE_BIN ?? besideFfmpeg(env.FFMPEG_BIN),
    },
    processing: {
      ladder: env.LADDER ?? [120, 360, 720, 1080],
      chunkMinDurationMs: env.CHUNK_MIN_DURATION ?? 10 * MINUTE,
      earlyReady: env.EARLY_READY ?? false,
      keepOriginal: env.KEEP_ORIGINAL ?? true,
      stallMs: env.FFMPEG_STALL_TIMEOUT ?? 2 * MINUTE,
    },
    rateLimits: {
      login: env.RATE_LIMIT_LOGIN ?? { count: 20, windowMs: MINUTE },
      loginAccount: env.RATE_LIMIT_LOGIN_ACCOUNT ?? { count: 10, windowMs: 60 * MINUTE },
      register: env.RATE_LIMIT_REGISTER ?? { count: 20, windowMs: MINUTE },
      forgot: env.RATE_LIMIT_FORGOT ?? { count: 10, windowMs: MINUTE },
      emailExists: env.RATE_LIMIT_EMAIL_EXISTS ?? { count: 30, windowMs: MINUTE },
    },
    webhooks: webhookSettings(env),
    monitoring: monitoringSettings(env),
    auditKeptMs: (env.AUDIT_RETENTION_DAYS ?? 365) * DAY,
    firstSuperuser: {
      email: env.DJANGO_SUPERUSER_EMAIL ?? null,
      password: env.DJANGO_SUPERUSER_PASSWORD ?? null,
      username: env.DJANGO_SUPERUSER_USERNAME ?? null,
    },
  }
}

function mailSettings(env: Env, dataDir: string, backendOrigin: string | null): MailSettings {
  const host = backendOrigin === null ? 'localhost' : new URL(backendOrigin).hostname
  const domain = /^[\d.]+$|^\[/.test(host) ? 'localhost' : host
  const from = env.DEFAULT_FROM_EMAIL ?? `Videoflix <noreply@${domain}>`
  const backend =
    env.EMAIL_BACKEND ?? (env.EMAIL_HOST ? 'smtp.EmailBackend' : 'console.EmailBackend')
  if (backend.endsWith('console.EmailBackend')) return { kind: 'log', from }
  if (backend.endsWith('filebased.EmailBackend')) {
    return { kind: 'file', from, folder: resolve(env.EMAIL_FILE_PATH ?? join(dataDir, 'mails')) }
  }
  const useTls = env.EMAIL_USE_TLS ?? false
  return {
    kind: 'smtp',
    from,
    host: env.EMAIL_HOST ?? 'localhost',
    port: env.EMAIL_PORT ?? (useTls ? 587 : 25),
    useTls,
    user: env.EMAIL_HOST_USER ?? null,
    password: env.EMAIL_HOST_PASSWORD ?? null,
  }
}

function besideFfmpeg(ffmpegBin: string | undefined): string {
  return ffmpegBin?.includes('/') ? join(ffmpegBin, '..', 'ffprobe') : 'ffprobe'
}

/** The origin of a listening address; a wildcard address is reached through loopback. */
export function originOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}

function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function defaultHosts(backendOrigin: string | null): string[] {
  const own = backendOrigin === null ? [] : [new URL(backendOrigin).hostname]
  return [...new Set([...own, 'localhost', '127.0.0.1', '[::1]'])]
}
