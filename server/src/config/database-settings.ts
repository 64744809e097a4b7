import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { flag, integer, seconds, text } from './env-values.ts'

export type DatabaseSettings = { kind: 'sqlite'; file: string } | PostgresSettings

export interface PostgresSettings {
  kind: 'postgres'
  /** With its password, if it has one: not to be shown. Says nothing of TLS. */
  url: string
  /** Null: the connection is not encrypted. */
  tls: TlsSettings | null
  /** The most connections of this process. */
  poolSize: number
  /** Longest time of a statement; null: as long as it takes. */
  statementTimeoutMs: number | null
  /** As the server lists us. */
  applicationName: string
}

/** Without `isVerified` the connection is encrypted, but to whom it leads is not looked at. */
export interface TlsSettings {
  isVerified: boolean
  /** Null: the authorities that Node.js knows. */
  rootCertificateFile: string | null
}

const databaseUrl = text
  .refine((value) => /^(postgres(ql)?|sqlite):/.test(value), {
    error: 'write a URL such as postgresql://user:password@host:5432/name',
  })
  // Without a host the folder of the socket follows as a parameter, which no other URL with a user can do.
  .refine((value) => value.startsWith('sqlite:') || URL.canParse(value.replace('@/', '@host/')), {
    error: 'write `:`, `/`, `?`, `#` and `@` in user and password as %3A, %2F, %3F, %23 and %40',
  })

export const DATABASE_ENV = {
  DATABASE_URL: databaseUrl.describe('PostgreSQL as one URL, instead of DB_*.'),
  DB_NAME: text.describe('Name of the PostgreSQL database. Without it: SQLite in DATA_DIR.'),
  DB_USER: text.describe('PostgreSQL user.'),
  DB_PASSWORD: text.describe('PostgreSQL password.'),
  DB_HOST: text.describe('PostgreSQL host, or the folder of its socket. Default `127.0.0.1`.'),
  DB_PORT: integer(1, 65_535).describe('Default 5432.'),
  DB_SSL_REQUIRE: flag.describe(
    'Require TLS to PostgreSQL; without DB_SSL_ROOTCERT its certificate is not looked at. Default False.',
  ),
  DB_SSL_ROOTCERT: text.describe(
    'File of the certificate authority (PEM) that PostgreSQL must show a certificate of, for its host name.',
  ),
  DB_POOL_SIZE: integer(2, 1000).describe(
    'The most connections to PostgreSQL that one server or worker opens. Default 10.',
  ),
  DB_STATEMENT_TIMEOUT: seconds(1).describe(
    'Longest time of one statement of a server or worker on PostgreSQL; other commands may take as long as they need. Default 10.',
  ),
  USE_SQLITE_LOCAL: flag.describe('Use SQLite even when DB_NAME is set. Default False.'),
} as const

type DatabaseEnv = { [Name in keyof typeof DATABASE_ENV]?: z.output<(typeof DATABASE_ENV)[Name]> }

export function databaseSettings(env: DatabaseEnv, dataDir: string): DatabaseSettings {
  const url = postgresUrl(env)
  if (url !== undefined) {
    return {
      kind: 'postgres',
      url: withoutTls(url),
      tls: tlsSettings(env, url),
      poolSize: env.DB_POOL_SIZE ?? 10,
      statementTimeoutMs: env.DB_STATEMENT_TIMEOUT ?? 10_000,
      applicationName: 'videoflix',
    }
  }
  const isNamed = !env.USE_SQLITE_LOCAL && env.DATABASE_URL !== undefined
  return {
    kind: 'sqlite',
    file: isNamed
      ? resolve((env.DATABASE_URL ?? '').replace(/^sqlite:(\/\/)?/, ''))
      : join(dataDir, 'videoflix.sqlite3'),
  }
}

/** A sentence about settings that contradict each other or mean nothing, or null. */
export function whatIsWrongWithDatabase(env: DatabaseEnv): string | null {
  const isMeant = env.DB_HOST ?? env.DB_USER ?? env.DB_PASSWORD
  const isUrl = env.DATABASE_URL !== undefined || env.USE_SQLITE_LOCAL === true
  if (!isUrl && env.DB_NAME === undefined && isMeant !== undefined) {
    return 'DB_HOST, DB_USER or DB_PASSWORD is set, but DB_NAME is missing: set it, or remove them to use SQLite.'
  }
  const url = postgresUrl(env)
  return url === undefined ? null : whatIsWrongWithTls(env, url)
}

function postgresUrl(env: DatabaseEnv): string | undefined {
  if (env.USE_SQLITE_LOCAL || env.DATABASE_URL?.startsWith('sqlite:')) return undefined
  return env.DATABASE_URL ?? urlOfParts(env)
}

function urlOfParts(env: DatabaseEnv): string | undefined {
  if (env.DB_NAME === undefined) return undefined
  const part = encodeURIComponent
  const login = `${part(env.DB_USER ?? 'postgres')}:${part(env.DB_PASSWORD ?? '')}`
  const where = `${hostOfUrl(env.DB_HOST ?? '127.0.0.1')}:${env.DB_PORT ?? 5432}`
  return `postgresql://${login}@${where}/${part(env.DB_NAME)}`
}

function hostOfUrl(host: string): string {
  if (host.startsWith('/')) return encodeURIComponent(host)
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

/**
 * What `sslmode` in a URL means to libpq, which wrote it first. `verify-ca` is taken as `verify-full`. The library that
 * connects has meanings of its own, which are to change, and lets the URL win over everything else: it never sees these.
 */
const SSL_MODES: Record<string, 'none' | 'encrypted' | 'verified'> = {
  disable: 'none',
  require: 'encrypted',
  'no-verify': 'encrypted',
  'verify-ca': 'verified',
  'verify-full': 'verified',
}

const TLS_PARAMETERS = ['sslmode', 'sslrootcert', 'uselibpqcompat']

function tlsSettings(env: DatabaseEnv, url: string): TlsSettings | null {
  const parameters = parametersOf(url)
  const mode = SSL_MODES[parameters.get('sslmode') ?? ''] ?? 'none'
  const file = env.DB_SSL_ROOTCERT ?? parameters.get('sslrootcert')
  if (mode === 'none' && !env.DB_SSL_REQUIRE && file === null) return null
  return {
    isVerified: mode === 'verified' || file !== null,
    rootCertificateFile: file === 'system' ? null : file,
  }
}

function whatIsWrongWithTls(env: DatabaseEnv, url: string): string | null {
  const parameters = parametersOf(url)
  const unknown = [...parameters.keys()].find(
    (name) => name.startsWith('ssl') && !TLS_PARAMETERS.includes(name),
  )
  if (unknown !== undefined) {
    return `DATABASE_URL: ${unknown} is not understood; write sslmode, or set DB_SSL_REQUIRE and DB_SSL_ROOTCERT.`
  }
  const mode = parameters.get('sslmode')
  if (mode !== null && !Object.hasOwn(SSL_MODES, mode)) {
    return 'DATABASE_URL: write sslmode=disable, require or verify-full; others leave open whether the connection is encrypted.'
  }
  const isWanted = env.DB_SSL_REQUIRE === true || env.DB_SSL_ROOTCERT !== undefined
  return mode === 'disable' && isWanted
    ? 'DATABASE_URL has sslmode=disable, but DB_SSL_REQUIRE or DB_SSL_ROOTCERT asks for TLS: remove one of them.'
    : null
}

function parametersOf(url: string): URLSearchParams {
  return new URLSearchParams(url.split('?')[1])
}

function withoutTls(url: string): string {
  const parameters = parametersOf(url)
  const given = TLS_PARAMETERS.filter((name) => parameters.has(name))
  // As it was written, where nothing is to be removed.
  if (given.length === 0) return url
  for (const name of given) parameters.delete(name)
  return [url.split('?')[0], parameters.toString()].filter((part) => part !== '').join('?')
}
