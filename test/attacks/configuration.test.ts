import { describe, expect, test } from 'vitest'
import { startCli } from '../harness/process.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { readSettings } from '../../server/src/config/settings.ts'
import { AppError } from '../../server/src/errors.ts'

const SECRET_KEY = 'Zk3vQ8mW1xT6yB9nC4jH7gD2fS5aP0rL'

function refusalOf(variables: Record<string, string>): string {
  try {
    readSettings({ SECRET_KEY, DEBUG: 'False', ...variables }, '/videoflix')
  } catch (error) {
    if (error instanceof AppError && error.code === 'misconfigured') return error.message
    throw error
  }
  return 'accepted'
}

describe('a configuration that would let strangers in is refused', () => {
  test.each<[string, Record<string, string>, RegExp]>([
    ['every address a proxy', { TRUSTED_PROXIES: '0.0.0.0/0' }, /TRUSTED_PROXIES/],
    ['every address of IPv6 a proxy', { TRUSTED_PROXIES: '10.0.0.1,::/0' }, /TRUSTED_PROXIES/],
    ['half of all addresses', { TRUSTED_PROXIES: '0.0.0.0/1,128.0.0.0/1' }, /TRUSTED_PROXIES/],
    ['a counting secret', { SECRET_KEY: '0123456789abcdef0123456789abcdef' }, /SECRET_KEY/],
    ['the alphabet', { SECRET_KEY: 'abcdefghijklmnopqrstuvwxyz012345' }, /SECRET_KEY/],
    ['a text repeated', { SECRET_KEY: 'x8Kq2LpZ'.repeat(4) }, /SECRET_KEY/],
    ['a row of a keyboard', { SECRET_KEY: 'qwertyuiopasdfghjklzxcvbnm123456' }, /SECRET_KEY/],
    [
      'a placeholder in capitals',
      { SECRET_KEY: 'YOUR_SECRET_KEY_GOES_HERE_1234567890' },
      /SECRET_KEY/,
    ],
    [
      'a placeholder in brackets',
      { SECRET_KEY: '<put-a-long-random-string-here-123456>' },
      /SECRET_KEY/,
    ],
    [
      'an earlier secret that is known',
      { SECRET_KEY_FALLBACKS: 'x8Kq2LpZ'.repeat(4) },
      /SECRET_KEY_FALLBACKS/,
    ],
    ['a grace as long as a session', { REFRESH_GRACE: '3600' }, /REFRESH_GRACE/],
    [
      'a line break in the sender',
      { DEFAULT_FROM_EMAIL: 'a@example.com\r\nBcc: b@example.com' },
      /DEFAULT_FROM_EMAIL/,
    ],
  ])('%s', (_what, variables, sentence) => {
    const refusal = refusalOf(variables)
    expect(refusal).toMatch(sentence)
    expect(refusal).not.toContain('\n')
    expect(refusal).not.toContain(variables['SECRET_KEY'] ?? SECRET_KEY)
  })

  test.each<[string, Record<string, string>]>([
    ['nothing but a secret', {}],
    ['a proxy and its network', { TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8,fd00::/8,172.16.0.0/12' }],
    ['a secret of openssl', { SECRET_KEY: 'q3mJ0yN0m8pV5oY0b3r7uYI2gq5pXU0V4mC1s9kq7W2c=' }],
    [
      'a secret in hexadecimal',
      { SECRET_KEY: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' },
    ],
    ['a secret of Django', { SECRET_KEY: 'k#9v!zq2^w8x@m4p$7t&1r(5y)0u_3i-6o+lj=hgfdsabnvc' }],
    ['a grace of a minute', { REFRESH_GRACE: '60' }],
    ['DEBUG with TLS in front', { DEBUG: 'True', BACKEND_ORIGIN: 'https://films.example.com' }],
  ])('and %s is not', (_what, variables) => {
    expect(refusalOf(variables)).toBe('accepted')
  })
})

test.each<[string, Record<string, string>]>([
  ['serve', { TRUSTED_PROXIES: '0.0.0.0/0' }],
  ['serve', { DEBUG: 'False', SECRET_KEY: '0123456789abcdef0123456789abcdef' }],
  ['worker', { SECRET_KEY: 'x8Kq2LpZ'.repeat(4) }],
])('`videoflix %s` with %j says so in one line, and ends', async (command, env) => {
  await using folder = await temporaryFolder()
  const child = startCli({
    args: [command],
    env: { SECRET_KEY, PORT: '0', DATA_DIR: folder.path, ...env },
  })
  const { code } = await child.exited
  expect(code).not.toBe(0)
  expect(code).not.toBeNull()
  const lines = child.output().trim().split('\n')
  expect(lines).toHaveLength(1)
  expect(lines[0]).not.toContain(env['SECRET_KEY'] ?? SECRET_KEY)
})
