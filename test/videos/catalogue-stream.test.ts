import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { gunzipSync } from 'node:zlib'
import type { Video } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, SUPERUSER, type TestApp } from '../harness/app.ts'
import { startChromium } from '../harness/chromium.ts'
import type { Client } from '../harness/client.ts'
import { has } from '../harness/programs.ts'
import { addVideos } from './many-videos.ts'

/** More than are kept as one buffer, with texts that fill the buffers of a connection. */
const COUNT = 6000
const DESCRIPTION = 'What it is about, at length. '.repeat(100)

describe.each(BACKENDS)('a list too long to be made at once, on %s', (backend) => {
  let app: TestApp
  let viewer: Client
  let ids: number[]
  beforeAll(async () => {
    app = await startApp({ backend })
    viewer = await app.viewer()
    const entries = Array.from({ length: COUNT }, (_, at) => ({
      title: `Film ${at}`,
      description: `${at} ${DESCRIPTION}`,
    }))
    ids = (await addVideos(app.app.db, entries)).toReversed()
  })
  afterAll(() => app.stop())

  async function open(encoding: string, more = {}): Promise<IncomingMessage> {
    const cookie = [...viewer.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { cookie, 'accept-encoding': encoding, ...more }
    const request = httpRequest(`${app.origin}/content/`, { headers }).end()
    const [reply] = (await once(request, 'response')) as [IncomingMessage]
    return reply
  }

  async function read(reply: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = []
    for await (const chunk of reply) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  }

  const idsIn = (bytes: Buffer): number[] =>
    (JSON.parse(bytes.toString()) as Video[]).map(({ id }) => id)

  test('is whole JSON without repetition, though videos come and go while it is read', async () => {
    const reply = await open('identity')
    reply.pause()
    const gone = ids.slice(COUNT - 1500)
    await app.app.db.deleteFrom('videos').where('id', 'in', gone).execute()
    await addVideos(app.app.db, [{ title: 'Late', createdAt: new Date() }])
    const seen = idsIn(await read(reply))
    expect(new Set(seen).size).toBe(seen.length)
    // They were not read ahead, and are not told of any more.
    expect(seen.length).toBeLessThan(COUNT)
    expect(seen).toEqual(ids.slice(0, seen.length))
    app.clock.advance(6000)
    const late = await app.app.db
      .selectFrom('videos')
      .select('id')
      .where('title', '=', 'Late')
      .executeTakeFirstOrThrow()
    ids = [late.id, ...ids.slice(0, COUNT - 1500)]
    expect(idsIn(await read(await open('identity')))).toEqual(ids)
  })

  test('has every video once, in order, and the same in both encodings', async () => {
    const plain = await open('identity')
    const packed = await open('gzip')
    const bytes = await read(plain)
    expect(idsIn(bytes)).toEqual(ids)
    expect(gunzipSync(await read(packed)).equals(bytes)).toBe(true)
    expect(packed.headers['content-encoding']).toBe('gzip')
    expect(packed.headers.etag).not.toBe(plain.headers.etag)
    const [first] = JSON.parse(bytes.toString()) as Video[]
    expect(first).toEqual(await (await viewer.get(`/content/${first?.id}/`)).json())
  })

  test('a known list is not sent again, until something in it changes', async () => {
    const { headers } = await open('gzip')
    const known = { 'if-none-match': String(headers.etag) }
    expect((await open('gzip', known)).statusCode).toBe(304)
    const superuser = await app.superuser()
    const middle = ids[3000] ?? 0
    await superuser.patch(`/admin/api/videos/${middle}/`, { description: 'Changed' })
    const changed = await open('gzip', known)
    expect(changed.statusCode).toBe(200)
    const videos = JSON.parse(gunzipSync(await read(changed)).toString()) as Video[]
    expect(videos.find(({ id }) => id === middle)?.description).toBe('Changed')
    expect(videos.map(({ id }) => id)).toEqual(ids)
  })

  test('who hangs up leaves no work behind, and HEAD reads nothing', async () => {
    const reply = await open('identity')
    reply.destroy()
    const head = await viewer.request('/content/', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(head.headers.get('etag')).toMatch(/^"[\w-]+"$/)
  })

  test.skipIf(!has('chromium'))('a browser reads it to its end', async () => {
    await using browser = await startChromium()
    const page = await browser.context.newPage()
    await page.goto(`${app.origin}/`)
    const told = await page.evaluate(async (credentials) => {
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify(credentials)
      await fetch('/users/login/', { method: 'POST', headers, body })
      const reply = await fetch('/content/')
      return [reply.headers.get('content-encoding'), ((await reply.json()) as unknown[]).length]
    }, SUPERUSER)
    const expected = idsIn(await read(await open('identity')))
    expect(told).toEqual(['gzip', expected.length])
  })
})
