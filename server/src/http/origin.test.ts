import type { FastifyRequest } from 'fastify'
import { expect, test } from 'vitest'
import { createOriginRules } from './origin.ts'

const rules = createOriginRules(
  {
    corsOrigins: ['https://app.example.com'],
    trustedOrigins: ['https://forms.example.com'],
    allowedHosts: ['films.example.com', '.example.org', '[::1]'],
  },
  'https://films.example.com',
)

const mayChange = (headers: Record<string, string>, method = 'POST') =>
  rules.mayChange({
    method,
    headers: { host: 'films.example.com', ...headers },
  } as unknown as FastifyRequest)

test('pages on the list may read replies, by exact match', () => {
  expect(rules.mayRead('https://app.example.com')).toBe(true)
  for (const origin of [
    'https://forms.example.com',
    'http://app.example.com',
    'https://app.example.com/',
    'https://APP.example.com',
    'null',
    '',
  ]) {
    expect([origin, rules.mayRead(origin)]).toEqual([origin, false])
  }
})

test.each([
  ['no page', {}, true],
  ['our own page', { origin: 'https://films.example.com' }, true],
  ['a page under the name that was asked', { host: 'me:80', origin: 'http://me:80' }, true],
  ['the web client', { origin: 'https://app.example.com' }, true],
  ['a trusted page', { origin: 'https://forms.example.com' }, true],
  ['our own page without TLS', { origin: 'http://films.example.com' }, false],
  ['a stranger', { origin: 'https://evil.example' }, false],
  ['a sandboxed page', { origin: 'null' }, false],
  ['an empty origin', { origin: '' }, false],
  ['another scheme', { origin: 'gopher://films.example.com' }, false],
  ['an origin with our name before an @', { origin: 'https://films.example.com@evil' }, false],
  ['a browser’s word that it is foreign', { 'sec-fetch-site': 'cross-site' }, false],
  ['a sibling’s page', { 'sec-fetch-site': 'same-site' }, false],
  ['a typed address', { 'sec-fetch-site': 'none' }, true],
] as [string, Record<string, string>, boolean][])(
  '%s may change something: %j → %s',
  (_what, headers, is) => {
    expect(mayChange(headers)).toBe(is)
  },
)

test('looking is free', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    expect(mayChange({ origin: 'https://evil.example' }, method)).toBe(true)
  }
})

test.each([
  ['films.example.com', true],
  ['FILMS.example.com:443', true],
  ['example.org', true],
  ['a.b.example.org', true],
  ['[::1]:8000', true],
  ['a.films.example.com', false],
  ['badexample.org', false],
  ['films.example.com.', false],
  ['user@films.example.com', false],
  ['films.example.com/', false],
  ['films.example.com:', false],
  ['', false],
  [undefined, false],
])('host %s is ours: %s', (host, is) => {
  expect(rules.isOurHost(host)).toBe(is)
})
