import { describe, expect, test } from 'vitest'
import { readSettings } from './settings.ts'

const read = (variables: Record<string, string>) =>
  readSettings(
    { SECRET_KEY: 'Y2xlYXJseSBub3QgYSB3ZWxsIGtub3duIGtleSwgb3IgaXMgaXQ/', ...variables },
    '/x',
  )
const urlOf = (variables: Record<string, string>) => read(variables).settings.redis?.url

test('there is no Redis unless somebody names one', () => {
  expect(read({}).settings.redis).toBeNull()
  expect(read({ REDIS_URL: '' }).settings.redis).toBeNull()
})

test.each<[string, Record<string, string>, string]>([
  ['a URL', { REDIS_URL: 'redis://cache:6380/2' }, 'redis://cache:6380/2'],
  ['a URL with TLS', { REDIS_URL: 'rediss://:p%40ss@cache' }, 'rediss://:p%40ss@cache'],
  ['a host', { REDIS_HOST: 'redis' }, 'redis://redis:6379/0'],
  [
    'parts',
    { REDIS_HOST: 'redis', REDIS_PORT: '6380', REDIS_DB: '3', REDIS_PASSWORD: 'p@ss/word' },
    'redis://:p%40ss%2Fword@redis:6380/3',
  ],
  ['an IPv6 address', { REDIS_HOST: '::1' }, 'redis://[::1]:6379/0'],
  ['Django’s location', { REDIS_LOCATION: 'redis://redis:6379/1' }, 'redis://redis:6379/1'],
  [
    'the original’s file, where the location is the cache’s',
    {
      REDIS_HOST: 'redis',
      REDIS_PORT: '6379',
      REDIS_DB: '0',
      REDIS_LOCATION: 'redis://redis:6379/1',
    },
    'redis://redis:6379/0',
  ],
  [
    'a URL before anything else',
    { REDIS_URL: 'redis://one', REDIS_HOST: 'two', REDIS_LOCATION: 'redis://three' },
    'redis://one',
  ],
])('reads %s', (_name, variables, url) => {
  expect(urlOf(variables)).toBe(url)
  expect(read(variables).warnings).toEqual([])
})

test('names in Redis may begin with something else', () => {
  expect(read({ REDIS_HOST: 'redis' }).settings.redis?.keyPrefix).toBe('videoflix:')
  const { settings } = read({ REDIS_HOST: 'redis', REDIS_KEY_PREFIX: 'films-' })
  expect(settings.redis?.keyPrefix).toBe('films-')
})

test('what means nothing alone is warned of', () => {
  const { settings, warnings } = read({ REDIS_PORT: '6379', REDIS_DB: '0' })
  expect(settings.redis).toBeNull()
  expect(warnings).toEqual([
    'REDIS_PORT means nothing without REDIS_URL or REDIS_HOST: Redis is not used.',
  ])
})

describe('refuses, and shows no password,', () => {
  test.each<[string, Record<string, string>, RegExp]>([
    ['another scheme', { REDIS_URL: 'http://u:hidden@redis' }, /^REDIS_URL: .*redis:\/\//],
    ['no URL', { REDIS_URL: 'hidden' }, /^REDIS_URL: .*redis:\/\//],
    ['no host', { REDIS_LOCATION: 'redis:///hidden' }, /^REDIS_LOCATION: .*redis:\/\//],
    ['a database that is no number', { REDIS_URL: 'redis://:hidden@redis/one' }, /^REDIS_URL/],
    ['a port that is none', { REDIS_PORT: '70000' }, /^REDIS_PORT/],
    ['a prefix with spaces', { REDIS_KEY_PREFIX: 'a b' }, /^REDIS_KEY_PREFIX/],
  ])('%s', (_name, variables, problem) => {
    expect(() => read(variables)).toThrow(problem)
    expect(() => read(variables)).not.toThrow(/hidden/)
  })
})
