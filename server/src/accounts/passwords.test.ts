import { pbkdf2Sync } from 'node:crypto'
import { expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { verifyDjangoHash } from './django-hash.ts'
import { createHashingQueue } from './hashing-queue.ts'
import { createPasswords } from './passwords.ts'

const passwords = createPasswords({ minLength: 8, argon2MemoryKib: 19_456 })

test('a password opens by its very bytes only', async () => {
  const hash = await passwords.hash('caf\u00e9 au lait')
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await passwords.verify(hash, 'caf\u00e9 au lait')).toBe(true)
  for (const other of ['cafe\u0301 au lait', ' caf\u00e9 au lait', 'Caf\u00e9 au lait', '']) {
    expect(await passwords.verify(hash, other)).toBe(false)
  }
  expect(passwords.isOutdated(hash)).toBe(false)
})

test.each([null, '', '!', '!x', 'md5$a$b', 'pbkdf2_sha256$', 'pbkdf2_sha256$x$y$z'])(
  'nobody has the hash %j',
  async (stored) => {
    expect(await passwords.verify(stored, '')).toBe(false)
    expect(await passwords.verify(stored, 'nobody')).toBe(false)
  },
)

test('a weaker hash is outdated', async () => {
  const weaker = (await passwords.hash('x')).replace('m=19456', 'm=4096')
  expect(passwords.isOutdated(weaker)).toBe(true)
  expect(passwords.isOutdated('pbkdf2_sha256$1$a$b')).toBe(true)
})

test('the original’s hashes are read, with a bound on their work', async () => {
  const digest = pbkdf2Sync('films', 'salt', 1000, 32, 'sha256').toString('base64')
  expect(await verifyDjangoHash(`pbkdf2_sha256$1000$salt$${digest}`, 'films')).toBe(true)
  expect(await verifyDjangoHash(`pbkdf2_sha256$1000$salt$${digest}`, 'film')).toBe(false)
  expect(await verifyDjangoHash(`pbkdf2_sha256$999$salt$${digest}`, 'films')).toBe(false)
  expect(await verifyDjangoHash(`pbkdf2_sha256$99999999999$salt$${digest}`, 'films')).toBe(false)
})

test('at most two are hashed at once, in the order of asking, and a flood is sent away', async () => {
  const queue = createHashingQueue()
  const begun: number[] = []
  const ends: (() => void)[] = []
  const work = (at: number) =>
    queue.run(() => {
      begun.push(at)
      return new Promise<void>((resolve) => ends.push(resolve))
    })
  const all = Array.from({ length: 300 }, (_, at) => work(at))
  const settled = Promise.allSettled(all)
  expect(begun.length).toBeLessThanOrEqual(2)
  const running = begun.length
  const waiting = 64 * running
  expect(() => queue.assertRoom()).toThrow(AppError)
  for (let ended = 0; ended < running + waiting; ended++) {
    expect(begun.length - ended).toBeLessThanOrEqual(2)
    ends[ended]?.()
    await new Promise(setImmediate)
  }
  const refused = (await settled).filter((each) => each.status === 'rejected')
  expect(refused).toHaveLength(300 - running - waiting)
  expect(refused[0]?.reason).toBeInstanceOf(AppError)
  expect(refused[0]?.reason).toMatchObject({ code: 'unavailable', retryAfterSeconds: 3 })
  expect(() => queue.assertRoom()).not.toThrow()
  expect(begun).toEqual(begun.toSorted((one, other) => one - other))
})
