import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, SUPERUSER, type TestApp } from '../harness/app.ts'

describe.each(BACKENDS)('guessing a password, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    const env = { RATE_LIMIT_LOGIN_ACCOUNT: '3/hour', TRUSTED_PROXIES: '127.0.0.1' }
    app = await startApp({ backend, env })
  })
  afterAll(() => app.stop())

  const login = (email: string, password: string, address: string) =>
    app
      .client()
      .post('/users/login/', { email, password }, { headers: { 'x-forwarded-for': address } })

  /** Status of so many wrong passwords in a row, each from another address. */
  async function guess(email: string, times: number): Promise<number[]> {
    const replies: number[] = []
    for (let number = 1; number <= times; number += 1) {
      replies.push((await login(email, `wrong ${number}`, `198.51.100.${number}`)).status)
    }
    return replies
  }

  test('costs nothing at first, then waiting, from wherever it comes', async () => {
    await app.viewer('guessed@example.com')
    expect(await guess('guessed@example.com', 6)).toEqual([400, 400, 400, 400, 429, 429])
    const refused = await login('guessed@example.com', 'wrong', '198.51.100.99')
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await refused.json()).toEqual({
      detail: 'Request was throttled. Expected available in 1 second.',
    })
  })

  test('tells nothing about whether there is such an account', async () => {
    expect(await guess('nobody-at-all@example.com', 6)).toEqual([400, 400, 400, 400, 429, 429])
  })

  test('does not keep the owner out who signed in from the same address before', async () => {
    expect((await login(SUPERUSER.email, SUPERUSER.password, '203.0.113.7')).status).toBe(200)
    expect((await guess(SUPERUSER.email, 6)).at(-1)).toBe(429)
    expect((await login(SUPERUSER.email, SUPERUSER.password, '203.0.113.8')).status).toBe(429)
    expect((await login(SUPERUSER.email, SUPERUSER.password, '203.0.113.7')).status).toBe(200)
  })
})
