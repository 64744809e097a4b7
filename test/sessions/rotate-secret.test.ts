import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { startServices, type Services } from '../harness/services.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'

const OLD = 'bGV0IHVzIHNheSB0aGlzIGlzIHRoZSBvbGQga2V5IG9mIGEgc2VydmVy'
const NEW = 'YW5kIHRoaXMgaXMgdGhlIG9uZSB0aGF0IGNvbWVzIGFmdGVyIGl0Li4u'

describe.each(BACKENDS)('after a restart with other keys, on %s', (backend) => {
  let services: Services
  beforeAll(async () => {
    services = await startServices(backend)
  })
  afterAll(() => services.stop())

  /** Signs in under the old key, then talks to a server that has other keys on the same data. */
  async function afterRestart<T>(
    keys: Record<string, string>,
    work: (client: Client, app: TestApp) => Promise<T>,
  ): Promise<T> {
    await using folder = await temporaryFolder()
    const env = { DATA_DIR: folder.path, ...services.env }
    const before = await startApp({ env: { ...env, SECRET_KEY: OLD } })
    const { cookies } = await before.superuser()
    await before.stop()

    await using after = await startApp({ env: { ...env, ...keys } })
    const client = new Client(after.origin)
    for (const [name, value] of cookies) client.cookies.set(name, value)
    return await work(client, after)
  }

  test('a new secret key with the old one as fallback signs nobody out', async () => {
    await afterRestart({ SECRET_KEY: NEW, SECRET_KEY_FALLBACKS: OLD }, async (client) => {
      expect((await client.get('/content/')).status).toBe(200)
      const before = client.cookies.get('vf_refresh')
      expect((await client.post('/users/refresh/')).status).toBe(200)
      expect(client.cookies.get('vf_refresh')).not.toBe(before)
      expect((await client.get('/content/')).status).toBe(200)
    })
  })

  test('what was signed anew no longer needs the fallback', async () => {
    await using folder = await temporaryFolder()
    const env = { DATA_DIR: folder.path, ...services.env }
    const first = await startApp({ env: { ...env, SECRET_KEY: OLD } })
    const client = await first.superuser()
    await first.stop()
    const second = await startApp({ env: { ...env, SECRET_KEY: NEW, SECRET_KEY_FALLBACKS: OLD } })
    const moved = new Client(second.origin)
    for (const [name, value] of client.cookies) moved.cookies.set(name, value)
    expect((await moved.post('/users/refresh/')).status).toBe(200)
    await second.stop()

    await using third = await startApp({ env: { ...env, SECRET_KEY: NEW } })
    const last = new Client(third.origin)
    for (const [name, value] of moved.cookies) last.cookies.set(name, value)
    expect((await last.get('/content/')).status).toBe(200)
  })

  test('a new secret key alone signs everybody out', async () => {
    await afterRestart({ SECRET_KEY: NEW }, async (client) => {
      expect((await client.get('/content/')).status).toBe(401)
      expect((await client.post('/users/refresh/')).status).toBe(401)
    })
  })
})
