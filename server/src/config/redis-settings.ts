import type { z } from 'zod'
import { integer, text } from './env-values.ts'

/** The Redis that servers and workers share. */
export interface RedisSettings {
  /** With its password, if it has one: not to be shown. */
  url: string
  /** Begins every key and channel. */
  keyPrefix: string
}

const redisUrl = text.refine((value) => parse(value) !== null, {
  error: 'write a URL such as redis://:password@host:6379/0, or rediss:// for TLS',
})

export const REDIS_ENV = {
  REDIS_URL: redisUrl.describe(
    'Redis 5 or newer, such as `redis://:password@host:6379/0`; `rediss://` for TLS. Servers and workers that share it hear of each other’s changes at once and count rate limits together. Without any of these settings each looks for itself.',
  ),
  REDIS_HOST: text.describe('Redis as host name, instead of REDIS_URL.'),
  REDIS_PORT: integer(1, 65_535).describe('Default 6379.'),
  REDIS_DB: integer(0, 1_000_000).describe('Number of the database. Default 0.'),
  REDIS_PASSWORD: text.describe('Password of Redis. Default none.'),
  REDIS_LOCATION: redisUrl.describe(
    'As REDIS_URL, for which it stands in where neither that nor REDIS_HOST is set.',
  ),
  REDIS_KEY_PREFIX: text
    .regex(/^[\w:.-]{1,64}$/, { error: 'write letters, digits, `_`, `-`, `.` and `:`' })
    .describe('What names in Redis begin with. Default `videoflix:`.'),
} as const

type RedisEnv = { [Name in keyof typeof REDIS_ENV]?: z.output<(typeof REDIS_ENV)[Name]> }

/** Null: there is none. */
export function redisSettings(env: RedisEnv): RedisSettings | null {
  const url = env.REDIS_URL ?? urlOfParts(env) ?? env.REDIS_LOCATION
  return url === undefined ? null : { url, keyPrefix: env.REDIS_KEY_PREFIX ?? 'videoflix:' }
}

/** Settings that mean nothing alone. It is no reason not to start: the files of the original have such. */
export function redisWarning(env: RedisEnv): string | null {
  if (redisSettings(env) !== null) return null
  const alone = (['REDIS_PORT', 'REDIS_DB', 'REDIS_PASSWORD', 'REDIS_KEY_PREFIX'] as const).find(
    (name) => env[name] !== undefined,
  )
  return alone === undefined
    ? null
    : `${alone} means nothing without REDIS_URL or REDIS_HOST: Redis is not used.`
}

function urlOfParts(env: RedisEnv): string | undefined {
  if (env.REDIS_HOST === undefined) return undefined
  const host = env.REDIS_HOST.includes(':') ? `[${env.REDIS_HOST}]` : env.REDIS_HOST
  const login =
    env.REDIS_PASSWORD === undefined ? '' : `:${encodeURIComponent(env.REDIS_PASSWORD)}@`
  return `redis://${login}${host}:${env.REDIS_PORT ?? 6379}/${env.REDIS_DB ?? 0}`
}

function parse(value: string): URL | null {
  const url = URL.parse(value)
  const isRedis = url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== ''
  return isRedis && /^(\/\d*)?$/.test(url.pathname) ? url : null
}
