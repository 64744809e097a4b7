import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request as send } from 'node:http'
import type { AdminVideo } from '@videoflix/contract'
import { Upload } from 'tus-js-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { film } from '../films.ts'
import { startApp, SUPERUSER, THIS_PROCESS, type TestApp } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { freePort } from '../harness/free-port.ts'
import { startNginx, type Nginx } from '../harness/nginx.ts'
import { has } from '../harness/programs.ts'
import { adminVideo, allDone, aReadyVideo, SHORT } from '../videos/library.ts'

const MIB = 1024 * 1024

describe.skipIf(!has('nginx'))('behind nginx, as deploy/ has it', () => {
  let app: TestApp
  let other: { close(): Promise<unknown> }
  let nginx: Nginx
  let superuser: Client
  let video: AdminVideo
  let bytes: Buffer
  beforeAll(async () => {
    const [port, otherPort] = [await freePort(), await freePort()]
    app = await startApp({
      media: 'local',
      env: {
        BACKEND_ORIGIN: `http://127.0.0.1:${port}`,
        TRUSTED_PROXIES: '127.0.0.1',
        MEDIA_ACCEL_PATH: '/accelerated-media/',
        CORS_ALLOWED_ORIGINS: 'https://client.example.com',
        RATE_LIMIT_FORGOT: '3/min',
      },
    })
    const server = await app.app.createServer(THIS_PROCESS)
    await server.listen({ host: '127.0.0.1', port: otherPort })
    other = server
    nginx = await startNginx({
      servers: [`127.0.0.1:${app.settings.listen.port}`, `127.0.0.1:${otherPort}`],
      mediaRoot: app.settings.media.root,
      port,
    })
    superuser = new Client(nginx.origin)
    const login = await superuser.post('/users/login/', SUPERUSER)
    if (login.status !== 200) throw new Error(await login.text())
    video = await aReadyVideo(app, superuser)
    bytes = await readFile(`${app.settings.media.root}/${keyOf(filmUrl())}`)
  })
  afterAll(async () => {
    await nginx[Symbol.asyncDispose]()
    await other.close()
    await app.stop()
  })

  const filmUrl = (): string => video.video_file ?? ''

  test('nginx answers for itself, and hands out no figures', async () => {
    expect(await (await fetch(`${nginx.origin}/healthz`)).text()).toBe('ok\n')
    expect((await fetch(`${nginx.origin}/metrics`)).status).toBe(404)
    expect((await fetch(`${nginx.origin}/health/`)).status).toBe(200)
  })

  test('nginx sends the film, with everything that we say about it', async () => {
    expect(new URL(filmUrl()).origin).toBe(nginx.origin)
    const reply = await fetch(filmUrl(), { headers: { origin: 'https://client.example.com' } })
    expect(reply.status).toBe(200)
    expect(Buffer.from(await reply.arrayBuffer()).equals(bytes)).toBe(true)
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      server: expect.stringContaining('nginx'),
      'content-type': 'video/mp4',
      'accept-ranges': 'bytes',
      etag: expect.stringMatching(/^"[\w-]+"$/),
      'cache-control': expect.stringContaining('private'),
      'content-security-policy': "default-src 'none'; sandbox",
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'access-control-allow-origin': 'https://client.example.com',
      vary: expect.stringContaining('Origin'),
    })
    expect(reply.headers.has('x-accel-redirect')).toBe(false)
  })

  test.each([
    ['bytes=0-0', (size: number) => [0, 0, size]],
    ['bytes=100-', (size: number) => [100, size - 1, size]],
    ['bytes=-7', (size: number) => [size - 7, size - 1, size]],
  ])('the range %s is exact', async (range, expected) => {
    const [start, end, size] = expected(bytes.length) as [number, number, number]
    const reply = await fetch(filmUrl(), { headers: { range } })
    expect(reply.status).toBe(206)
    expect(reply.headers.get('content-range')).toBe(`bytes ${start}-${end}/${size}`)
    const part = Buffer.from(await reply.arrayBuffer())
    expect(part.equals(bytes.subarray(start, end + 1))).toBe(true)
  })

  test('a range beyond the end, and a file that is known already', async () => {
    const beyond = await fetch(filmUrl(), { headers: { range: `bytes=${bytes.length}-` } })
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([
      416,
      `bytes */${bytes.length}`,
    ])
    const etag = (await fetch(filmUrl(), { method: 'HEAD' })).headers.get('etag') ?? ''
    const known = await fetch(filmUrl(), { headers: { 'if-none-match': etag } })
    expect(known.status).toBe(304)
  })

  test('without a valid link nginx sends nothing', async () => {
    const url = new URL(filmUrl())
    expect((await fetch(`${url.origin}${url.pathname}`)).status).toBe(403)
    const inner = `${url.origin}${url.pathname.replace('/media/', '/accelerated-media/')}`
    expect((await fetch(inner)).status).toBe(404)
    expect((await fetch(`${inner}${url.search}`)).status).toBe(404)
    expect(await statusOf(`/accelerated-media/../media${url.pathname.slice(6)}`)).toBe(404)
  })

  /** A path as it is, which `fetch` would tidy. */
  function statusOf(path: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = new URL(nginx.origin)
      send({ hostname, port, path }, (reply) => {
        reply.resume()
        resolve(reply.statusCode)
      })
        .on('error', reject)
        .end()
    })
  }

  test('clients are told apart by their own addresses, whatever they claim', async () => {
    const forgot = (claimed: string) =>
      new Client(nginx.origin).post(
        '/users/forgot-password/',
        { email: 'nobody@example.com' },
        { headers: { 'x-forwarded-for': claimed } },
      )
    const statuses: number[] = []
    for (const claimed of [
      '192.0.2.1',
      '192.0.2.2',
      '192.0.2.3',
      '192.0.2.4',
      '192.0.2.5',
      '192.0.2.6',
    ]) {
      statuses.push((await forgot(claimed)).status)
    }
    // Two servers count apart where there is no Redis: three each at most.
    for (let more = 0; more < 4; more += 1) statuses.push((await forgot('192.0.2.9')).status)
    expect(statuses.at(-1)).toBe(429)
  })

  test('an upload of many pieces goes through, whichever server gets each', async () => {
    const source = await readFile(await film(SHORT))
    const padded = Buffer.concat([source, Buffer.alloc(12 * MIB)])
    const id = await new Promise<number>((resolve, reject) => {
      const client = new Upload(padded, {
        endpoint: `${nginx.origin}/admin/api/uploads/`,
        headers: { cookie: [...superuser.cookies].map(([k, v]) => `${k}=${v}`).join('; ') },
        metadata: { title: 'Through nginx', filename: 'film.mp4' },
        chunkSize: 3 * MIB,
        retryDelays: null,
        onError: reject,
        onSuccess: ({ lastResponse }) => resolve(Number(lastResponse.getHeader('X-Video-Id'))),
      })
      client.start()
    })
    await allDone(app)
    const { source: stored } = await adminVideo(superuser, id)
    expect(stored?.size_bytes).toBe(padded.length)
    const { object_key: key } = await app.app.db
      .selectFrom('sources')
      .select('object_key')
      .where('video_id', '=', id)
      .executeTakeFirstOrThrow()
    const original = await readFile(`${app.settings.originalsDir}/${key}`)
    expect(sha256(original)).toBe(sha256(padded))
  })

  test('events arrive one by one', async () => {
    const ended = new AbortController()
    const reply = await superuser.get('/admin/api/events/', {
      headers: { accept: 'text/event-stream' },
      signal: ended.signal,
    })
    expect(reply.headers.get('content-type')).toContain('text/event-stream')
    const first = await reply.body?.getReader().read()
    expect(Buffer.from(first?.value ?? []).toString()).toMatch(/^(event|data|id|retry|:)/)
    ended.abort()
  })

  test('a server that has gone is left out, and nobody notices', async () => {
    await other.close()
    const replies = await Promise.all(Array.from({ length: 20 }, () => superuser.get('/content/')))
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
  })
})

function keyOf(url: string): string {
  return new URL(url).pathname.replace('/media/', '')
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
