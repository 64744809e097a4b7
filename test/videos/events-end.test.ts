import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'

/** An access token dies within 2 s; so does what was opened with it. */
const DEATH_MS = 2500

describe.each(BACKENDS)('an open stream of events, on %s', (backend) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ backend })
  })
  afterAll(() => app.stop())

  async function listen(client: Client): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const headers = { accept: 'text/event-stream' }
    const reply = await client.get('/admin/api/events/', { headers })
    expect(reply.status).toBe(200)
    const reader = reply.body?.getReader()
    if (!reader) throw new Error('no stream')
    const { value } = await reader.read()
    expect(Buffer.from(value ?? []).toString()).toContain('hello')
    return reader
  }

  /** Reads on until the stream ends or is cut off, or for so long. */
  async function endsWithin(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    ms: number,
  ): Promise<boolean> {
    let isOver = false
    const over = (async () => {
      while (!isOver) if ((await reader.read()).done) break
    })().catch(() => undefined)
    const late = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), ms))
    const first = await Promise.race([over, late])
    isOver = true
    if (first === 'late') await reader.cancel()
    return first !== 'late'
  }

  test('lives as long as the session', async () => {
    expect(await endsWithin(await listen(await app.superuser()), DEATH_MS)).toBe(false)
  })

  test('ends with the session', async () => {
    const client = await app.superuser()
    const stream = await listen(client)
    await client.post('/users/logout/')
    expect(await endsWithin(stream, DEATH_MS)).toBe(true)
  })

  test('ends when its listener is no superuser any more', async () => {
    const client = await app.viewer('soon-demoted@example.com')
    const mark = (isSuperuser: boolean) =>
      app.app.db
        .updateTable('users')
        .set({ is_superuser: isSuperuser })
        .where('email', '=', 'soon-demoted@example.com')
        .execute()
    await mark(true)
    const stream = await listen(client)
    await mark(false)
    expect(await endsWithin(stream, DEATH_MS)).toBe(true)
  })
})
