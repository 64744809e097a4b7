import { describe, expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { ENV } from './env.ts'
import { readSettings } from './settings.ts'

const SECRET_KEY = 'zT8mQ2vX0wPq7Lr5Kd9Hs3Jf6Gn1Bc4V'
const read = (variables: Record<string, string>) => readSettings(variables, '/videoflix')
const settingsOf = (variables: Record<string, string>) => read(variables).settings

function refusalOf(variables: Record<string, string>): string {
  try {
    read(variables)
  } catch (error) {
    if (error instanceof AppError && error.code === 'misconfigured') return error.message
    throw error
  }
  return 'accepted'
}

/** Of the operator's `.env`, and the knobs. */
const NAMES = `DEBUG SECRET_KEY BACKEND_ORIGIN ALLOWED_HOSTS CORS_ALLOWED_ORIGINS CORS_ALLOW_CREDENTIALS
  CSRF_TRUSTED_ORIGINS FRONTEND_URL FRONTEND_CONFIRM_URL RESET_PASSWORD_URL JWT_ACCESS_COOKIE_NAME
  JWT_REFRESH_COOKIE_NAME JWT_COOKIE_SECURE JWT_COOKIE_SAMESITE CSRF_COOKIE_SECURE SESSION_COOKIE_SECURE
  EMAIL_BACKEND EMAIL_HOST EMAIL_PORT EMAIL_USE_TLS EMAIL_HOST_USER EMAIL_HOST_PASSWORD DEFAULT_FROM_EMAIL
  DB_NAME DB_USER DB_PASSWORD DB_HOST DB_PORT DB_SSL_REQUIRE DB_SSL_ROOTCERT USE_SQLITE_LOCAL REDIS_URL
  REDIS_HOST REDIS_PORT REDIS_DB REDIS_LOCATION USE_S3_MEDIA AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
  AWS_STORAGE_BUCKET_NAME AWS_S3_REGION_NAME AWS_S3_QUERYSTRING_AUTH MEDIA_URL MEDIA_ROOT FFMPEG_BIN
  TRANSCODE_LOCALLY DJANGO_SUPERUSER_USERNAME DJANGO_SUPERUSER_PASSWORD DJANGO_SUPERUSER_EMAIL
  ACCESS_TOKEN_TTL REFRESH_TOKEN_TTL REFRESH_TOKEN_REMEMBER_TTL REFRESH_GRACE CONFIRM_LINK_TTL
  RESET_LINK_TTL MEDIA_URL_TTL UPLOAD_TTL JOB_LEASE JOB_SWEEP_INTERVAL JOB_TIMEOUT JOB_ATTEMPTS
  ARGON2_MEMORY_KIB RATE_LIMIT_LOGIN RATE_LIMIT_REGISTER RATE_LIMIT_FORGOT RATE_LIMIT_EMAIL_EXISTS
  MAX_UPLOAD_BYTES TRUSTED_PROXIES FFPROBE_BIN HOST PORT DATA_DIR`

test.each(NAMES.split(/\s+/))('knows %s, and says what it is for', (name) => {
  const schema = (ENV as Record<string, { description?: string | undefined }>)[name]
  expect(schema?.description).toMatch(/\.$/)
})

test('runs with nothing set: on this machine, in DEBUG', () => {
  expect(settingsOf({})).toMatchObject({
    debug: true,
    listen: { host: '127.0.0.1', port: 8000 },
    backendOrigin: 'http://127.0.0.1:8000',
    allowedHosts: ['127.0.0.1', 'localhost', '[::1]'],
    corsOrigins: ['http://localhost:4200'],
    cookies: { accessName: 'vf_access', refreshName: 'vf_refresh', secure: false, sameSite: 'lax' },
    sessions: { accessTtlMs: 300_000, refreshTtlMs: 3_600_000, rememberTtlMs: 604_800_000 },
    links: { confirmTtlMs: 72 * 3_600_000, resetTtlMs: 3_600_000 },
    mail: { kind: 'log' },
    database: { kind: 'sqlite', file: '/videoflix/data/videoflix.sqlite3' },
    media: { urlPath: '/media/' },
  })
})

test('is careful as soon as it is configured', () => {
  expect(settingsOf({ SECRET_KEY })).toMatchObject({
    debug: false,
    corsOrigins: [],
    cookies: { secure: true },
  })
  expect(refusalOf({ HOST: '0.0.0.0' })).toMatch(/^SECRET_KEY is missing: make one with/)
})

test('reads the operator’s file of the original', () => {
  const { settings, warnings } = read({
    DEBUG: 'False',
    SECRET_KEY,
    BACKEND_ORIGIN: 'https://api.films.example.com/',
    ALLOWED_HOSTS: 'api.films.example.com, .example.org',
    CORS_ALLOWED_ORIGINS: 'https://films.example.com,http://localhost:4200/',
    CSRF_TRUSTED_ORIGINS: 'https://films.example.com',
    FRONTEND_URL: 'https://films.example.com/login',
    FRONTEND_CONFIRM_URL: 'https://films.example.com/confirm',
    JWT_COOKIE_SECURE: 'true',
    JWT_COOKIE_SAMESITE: 'None',
    CSRF_COOKIE_SECURE: 'True',
    EMAIL_BACKEND: 'django.core.mail.backends.smtp.EmailBackend',
    EMAIL_HOST: 'mail.example.com',
    EMAIL_PORT: '587',
    EMAIL_USE_TLS: '1',
    EMAIL_HOST_USER: 'films',
    EMAIL_HOST_PASSWORD: 'secret',
    DB_NAME: 'films',
    DB_USER: 'films',
    DB_PASSWORD: 'p@ss:word/',
    DB_HOST: 'db',
    REDIS_LOCATION: 'redis://redis:6379/1',
    USE_S3_MEDIA: 'False',
    AWS_ACCESS_KEY_ID: '',
    MEDIA_URL: 'https://api.films.example.com/media/',
  })
  expect(settings).toMatchObject({
    debug: false,
    backendOrigin: 'https://api.films.example.com',
    allowedHosts: ['api.films.example.com', '.example.org'],
    corsOrigins: ['https://films.example.com', 'http://localhost:4200'],
    frontendUrl: 'https://films.example.com/login',
    cookies: { secure: true, sameSite: 'none' },
    mail: { kind: 'smtp', host: 'mail.example.com', port: 587, useTls: true, user: 'films' },
    database: { kind: 'postgres', url: 'postgresql://films:p%40ss%3Aword%2F@db:5432/films' },
    redis: { url: 'redis://redis:6379/1', keyPrefix: 'videoflix:' },
    media: { urlPath: '/media/' },
  })
  for (const warning of warnings) {
    expect(warning).toMatch(/^\w+ no longer means anything: .+ Remove it\.$/)
  }
  expect(warnings.map((warning) => warning.split(' ')[0])).toEqual([
    'FRONTEND_CONFIRM_URL',
    'CSRF_COOKIE_SECURE',
  ])
})

test.each([
  ['True', true],
  ['true', true],
  ['TRUE', true],
  ['1', true],
  ['False', false],
  ['0', false],
])('reads %s as a boolean', (text, value) => {
  expect(settingsOf({ SECRET_KEY, JWT_COOKIE_SECURE: text }).cookies.secure).toBe(value)
})

describe('refuses', () => {
  const DEPLOYED = { SECRET_KEY, DEBUG: 'False' }

  test.each<[string, Record<string, string>, RegExp]>([
    ['no secret', { DEBUG: 'False' }, /^SECRET_KEY is missing/],
    ['a short secret', { SECRET_KEY: SECRET_KEY.slice(1) }, /^SECRET_KEY is too short \(31/],
    [
      'Django’s secret',
      { SECRET_KEY: `django-insecure-${SECRET_KEY}` },
      /^SECRET_KEY looks like an example/,
    ],
    ['a placeholder', { SECRET_KEY: 'change-me-'.repeat(4) }, /^SECRET_KEY looks like an example/],
    ['one letter', { SECRET_KEY: 'a'.repeat(64) }, /^SECRET_KEY looks like an example/],
    ['few letters', { SECRET_KEY: 'abcabcd'.repeat(8) }, /^SECRET_KEY looks like an example/],
    [
      'a short earlier secret',
      { SECRET_KEY, SECRET_KEY_FALLBACKS: 'short' },
      /^A key of SECRET_KEY_FALLBACKS is too short/,
    ],
    [
      'SameSite=None without Secure',
      { ...DEPLOYED, JWT_COOKIE_SAMESITE: 'None', JWT_COOKIE_SECURE: 'False' },
      /^JWT_COOKIE_SAMESITE=None needs JWT_COOKIE_SECURE=True/,
    ],
    [
      'SameSite=None in DEBUG',
      { DEBUG: 'True', JWT_COOKIE_SAMESITE: 'none' },
      /^JWT_COOKIE_SAMESITE=None needs/,
    ],
    ['every origin', { ...DEPLOYED, CORS_ALLOWED_ORIGINS: '*' }, /name the origins/],
    [
      'every origin among others',
      { ...DEPLOYED, CSRF_TRUSTED_ORIGINS: 'https://a.example.com,*' },
      /name the origins/,
    ],
    [
      'one name for both cookies',
      { JWT_ACCESS_COOKIE_NAME: 'a', JWT_REFRESH_COOKIE_NAME: 'a' },
      /are the same/,
    ],
    ['a cookie that no browser takes', { JWT_ACCESS_COOKIE_NAME: '__Host-a' }, /need JWT_COOKIE_/],
    ['a database without a name', { DB_HOST: 'db' }, /DB_NAME is missing/],
    ['a password without a database', { DB_PASSWORD: 'x' }, /DB_NAME is missing/],
    ['SMTP without a host', { EMAIL_BACKEND: 'smtp.EmailBackend' }, /EMAIL_HOST is missing/],
    ['a mail user without a host', { EMAIL_HOST_USER: 'x' }, /EMAIL_HOST is missing/],
    ['a user without a password', { EMAIL_HOST: 'm', EMAIL_HOST_USER: 'x' }, /only one is set/],
    ['a password without a user', { EMAIL_HOST: 'm', EMAIL_HOST_PASSWORD: 'x' }, /only one is/],
    ['S3 without a bucket', { USE_S3_MEDIA: 'True' }, /AWS_STORAGE_BUCKET_NAME is missing/],
  ])('%s', (_what, variables, sentence) => {
    const refusal = refusalOf(variables)
    expect(refusal).toMatch(sentence)
    expect(refusal).not.toContain('\n')
    expect(refusal).not.toContain(variables['SECRET_KEY'] ?? 'no secret')
  })

  test.each([
    ['DEBUG', 'yes'],
    ['JWT_COOKIE_SECURE', 'on'],
    ['JWT_COOKIE_SAMESITE', 'Maybe'],
    ['JWT_ACCESS_COOKIE_NAME', 'vf access'],
    ['JWT_REFRESH_COOKIE_NAME', 'vf;refresh'],
    ['PORT', '99999'],
    ['PORT', '0x50'],
    ['PORT', '-1'],
    ['EMAIL_PORT', '0'],
    ['EMAIL_BACKEND', 'django.core.mail.backends.dummy.EmailBackend'],
    ['BACKEND_ORIGIN', 'films.example.com'],
    ['BACKEND_ORIGIN', 'https://films.example.com/api'],
    ['BACKEND_ORIGIN', 'ftp://films.example.com'],
    ['FRONTEND_URL', 'javascript:alert(1)'],
    ['CORS_ALLOWED_ORIGINS', 'films.example.com'],
    ['CORS_ALLOWED_ORIGINS', 'null'],
    ['CORS_ALLOWED_ORIGINS', 'https://a.example.com/page'],
    ['ALLOWED_HOSTS', 'https://films.example.com'],
    ['ALLOWED_HOSTS', 'films.example.com:8000'],
    ['TRUSTED_PROXIES', 'proxy.example.com'],
    ['TRUSTED_PROXIES', '10.0.0.0/33'],
    ['TRUSTED_PROXIES', '1'],
    ['MEDIA_URL', '/'],
    ['MEDIA_URL', '/admin/'],
    ['MEDIA_URL', '/../'],
    ['DATABASE_URL', 'mysql://localhost/films'],
    ['ACCESS_TOKEN_TTL', '301'],
    ['ACCESS_TOKEN_TTL', '5m'],
    ['ARGON2_MEMORY_KIB', '1024'],
    ['RATE_LIMIT_LOGIN', '20'],
    ['RATE_LIMIT_LOGIN', '0/min'],
    ['RATE_LIMIT_LOGIN', '20/fortnight'],
    ['JOB_ATTEMPTS', '0'],
    ['MAX_UPLOAD_BYTES', '10GB'],
    ['LOG_LEVEL', 'loud'],
    ['DJANGO_SUPERUSER_EMAIL', 'admin'],
  ])('%s=%s, and says what to write', (name, value) => {
    expect(refusalOf({ [name]: value })).toMatch(
      new RegExp(`^${name}: "?[^\\n]+ is not understood; [^\\n]{10,}\\.$`),
    )
  })

  test('without repeating what may be a secret', () => {
    expect(refusalOf({ DATABASE_URL: 'mysql://me:hunter2@db/films' })).not.toContain('hunter2')
  })

  test('all that is wrong at once', () => {
    const refusal = refusalOf({ PORT: 'x', DEBUG: 'x' })
    expect(refusal).toContain('PORT:')
    expect(refusal).toContain('DEBUG:')
  })
})
