import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'

const NOT_SIGNED_IN = { detail: 'Authentication credentials were not provided.' }
const FORBIDDEN = { detail: 'You do not have permission to perform this action.' }

describe.each(BACKENDS)('every route, on %s', (backend) => {
  let app: TestApp
  let clients: Record<'anonymous' | 'viewer' | 'superuser', Client>
  beforeAll(async () => {
    app = await startApp({ backend })
    clients = await signIn()
  })
  afterAll(() => app.stop())

  /** Whoever is let in has no session any more. */
  const SIGNS_OUT = 'DELETE /users/me/sessions/'
  const signIn = async () => ({
    anonymous: app.client(),
    viewer: await app.viewer(),
    superuser: await app.superuser(),
  })

  type Verdict = 'not signed in' | 'forbidden' | 'let in' | 'broken'

  /** An endless reply is not waited for; a reply that never begins is broken. */
  async function ask(client: Client, method: string, path: string): Promise<Verdict> {
    const signal = AbortSignal.timeout(5000)
    const reply = await client.request(path, { method, signal }).catch(() => null)
    if (!reply || reply.status >= 500) return 'broken'
    const isRefused = reply.status === 401 || reply.status === 403
    const body: unknown = isRefused && method !== 'HEAD' ? await reply.json() : null
    if (!isRefused) await reply.body?.cancel()
    if (reply.status === 401 && isWordedAs(NOT_SIGNED_IN, body)) return 'not signed in'
    if (reply.status === 403 && isWordedAs(FORBIDDEN, body)) return 'forbidden'
    return 'let in'
  }
  const isWordedAs = (words: object, body: unknown): boolean =>
    body === null || JSON.stringify(body) === JSON.stringify(words)

  const VERDICTS = {
    viewer: { anonymous: 'not signed in', viewer: 'let in', superuser: 'let in' },
    superuser: { anonymous: 'not signed in', viewer: 'forbidden', superuser: 'let in' },
    // On this machine; `test/monitoring/metrics-access.test.ts` comes from elsewhere.
    monitor: { anonymous: 'let in', viewer: 'let in', superuser: 'let in' },
  } as const

  test('lets in whom it says, and nobody else', async () => {
    const { entries } = app.server.routeTable
    const expected: string[] = []
    const found: string[] = []
    for (const { method, path: pattern, access } of entries) {
      if (access === 'public') continue
      const path = pattern.replace(/:\w+/g, '999999').replace('*', 'nothing')
      for (const who of ['anonymous', 'viewer', 'superuser'] as const) {
        expected.push(`${method} ${path} as ${who}: ${VERDICTS[access][who]}`)
        found.push(`${method} ${path} as ${who}: ${await ask(clients[who], method, path)}`)
        if (`${method} ${path}` === SIGNS_OUT) clients = await signIn()
      }
    }
    expect(expected.length).toBeGreaterThan(60)
    expect(found).toEqual(expected)
  })

  test('that is public asks nobody who they are', async () => {
    const open = app.server.routeTable.entries.filter(({ access }) => access === 'public')
    expect(open.length).toBeGreaterThan(20)
    for (const { method, path: pattern } of open) {
      const path = pattern.replace('*', 'nothing')
      const verdict = await ask(clients.anonymous, method, path)
      expect([method, path, verdict]).not.toEqual([method, path, 'not signed in'])
      expect([method, path, verdict]).not.toEqual([method, path, 'broken'])
    }
  })

  test('that refuses somebody does nothing', async () => {
    const now = new Date()
    const { id } = await app.app.db
      .insertInto('videos')
      .values({
        title: 'untouched',
        description: '',
        category: 'Other',
        created_at: now,
        updated_at: now,
        published_source_id: null,
        source_id: null,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    const path = `/admin/api/videos/${id}/`
    for (const client of [clients.anonymous, clients.viewer]) {
      expect((await client.patch(path, { title: 'touched' })).status).toBeGreaterThan(400)
      expect((await client.delete(path)).status).toBeGreaterThan(400)
    }
    const titles = app.app.db.selectFrom('videos').select('title').where('id', '=', id)
    expect(await titles.execute()).toEqual([{ title: 'untouched' }])
    expect((await clients.superuser.patch(path, { title: 'touched' })).status).toBe(200)
    expect(await titles.execute()).toEqual([{ title: 'touched' }])
  })

  test('that changes something is open to strangers only where it has to be', () => {
    const open = app.server.routeTable.entries
      .filter(({ method, access }) => access === 'public' && !['GET', 'HEAD'].includes(method))
      .map(({ path }) => path)
    expect(open).toEqual(
      expect.arrayContaining([
        '/users/register/',
        '/users/login/',
        '/users/refresh/',
        '/users/logout/',
        '/users/forgot-password/',
        '/users/reset-password/',
      ]),
    )
    expect(open.filter((path) => !path.startsWith('/users/'))).toEqual([])
  })
})
