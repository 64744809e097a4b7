import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { AdminVideo } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { adminVideo, allDone, aReadyVideo, until } from '../videos/library.ts'

const HOUR = 3_600_000

describe.each(BACKENDS)('delivery of local media, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let video: AdminVideo
  let film: Buffer
  beforeAll(async () => {
    app = await startApp({ backend, media: 'local' })
    superuser = await app.superuser()
    video = await aReadyVideo(app, superuser)
    film = await readFile(`${app.settings.media.root}/${keyOf(filmUrl())}`)
  })
  afterAll(() => app.stop())

  const filmUrl = (): string => video.video_file ?? ''
  const posterUrl = (): string => video.image_file ?? ''
  const get = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(url, { headers, method, redirect: 'manual' })

  test('whoever has the URL gets the bytes, without cookies', async () => {
    const reply = await get(filmUrl())
    expect(reply.status).toBe(200)
    expect(Buffer.from(await reply.arrayBuffer()).equals(film)).toBe(true)
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': String(film.length),
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'cross-origin',
      'content-security-policy': "default-src 'none'; sandbox",
      'cache-control': expect.stringContaining('private'),
      etag: expect.stringMatching(/^"[\w-]+"$/),
    })
    expect(reply.headers.has('set-cookie')).toBe(false)
  })

  test('a poster is a JPEG', async () => {
    const reply = await get(posterUrl())
    expect(reply.headers.get('content-type')).toBe('image/jpeg')
    expect(reply.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(Buffer.from(await reply.arrayBuffer()).readUInt16BE(0)).toBe(0xffd8)
  })

  test('HEAD tells the same without the bytes', async () => {
    const [whole, head] = await Promise.all([get(filmUrl()), get(filmUrl(), {}, 'HEAD')])
    expect(head.status).toBe(200)
    expect((await head.arrayBuffer()).byteLength).toBe(0)
    for (const name of ['content-length', 'etag', 'content-type', 'accept-ranges']) {
      expect(head.headers.get(name)).toBe(whole.headers.get(name))
    }
    const ranged = await get(filmUrl(), { range: 'bytes=0-9' }, 'HEAD')
    expect([ranged.status, ranged.headers.get('content-length')]).toEqual([200, `${film.length}`])
  })

  describe('ranges are exact', () => {
    test.each<[string, (size: number) => [number, number]]>([
      ['bytes=0-0', () => [0, 0]],
      ['bytes=0-99', () => [0, 99]],
      ['bytes=100-', (size) => [100, size - 1]],
      ['bytes=-7', (size) => [size - 7, size - 1]],
      ['bytes=5-99999999', (size) => [5, size - 1]],
      ['bytes=-99999999', (size) => [0, size - 1]],
      ['BYTES=3-4', () => [3, 4]],
      [`bytes=0-${'9'.repeat(40)}`, (size) => [0, size - 1]],
    ])('%s', async (range, expected) => {
      const [start, end] = expected(film.length)
      const reply = await get(filmUrl(), { range })
      expect(reply.status).toBe(206)
      expect(reply.headers.get('content-range')).toBe(`bytes ${start}-${end}/${film.length}`)
      expect(reply.headers.get('content-length')).toBe(String(end - start + 1))
      expect(Buffer.from(await reply.arrayBuffer()).equals(film.subarray(start, end + 1))).toBe(
        true,
      )
    })

    test.each(['bytes=SIZE-', 'bytes=99999999-', 'bytes=-0', `bytes=${'9'.repeat(40)}-`])(
      '%s cannot be satisfied',
      async (range) => {
        const reply = await get(filmUrl(), { range: range.replace('SIZE', `${film.length}`) })
        expect(reply.status).toBe(416)
        expect(reply.headers.get('content-range')).toBe(`bytes */${film.length}`)
        expect(reply.headers.get('content-type')).toContain('application/json')
        expect(await reply.json()).toEqual({ detail: expect.any(String) })
      },
    )

    test.each([
      'bytes=',
      'bytes=-',
      'bytes=a-b',
      'bytes=5-2',
      'bytes=0-1,3-4',
      'bytes=1 0-2 0',
      'items=0-1',
      'bytes=0x0-0x5',
      'bytes 0-1',
      'bytes=--1',
    ])('%s is not understood, and the whole is sent', async (range) => {
      const reply = await get(filmUrl(), { range })
      expect(reply.status).toBe(200)
      expect((await reply.arrayBuffer()).byteLength).toBe(film.length)
    })

    test('If-Range lets only the exact validator have a part', async () => {
      const whole = await get(filmUrl())
      const tag = whole.headers.get('etag') ?? ''
      const modified = whole.headers.get('last-modified') ?? ''
      const statusWith = async (ifRange: string): Promise<number> =>
        (await get(filmUrl(), { range: 'bytes=0-9', 'if-range': ifRange })).status
      expect(await statusWith(tag)).toBe(206)
      expect(await statusWith(modified)).toBe(206)
      for (const other of [`W/${tag}`, '"other"', 'Thu, 01 Jan 1970 00:00:00 GMT', 'nonsense']) {
        expect(await statusWith(other)).toBe(200)
      }
    })
  })

  test('what the client has already is not sent again', async () => {
    const whole = await get(filmUrl())
    const tag = whole.headers.get('etag') ?? ''
    for (const known of [tag, `W/${tag}`, `"a", ${tag}`, '*']) {
      const reply = await get(filmUrl(), { 'if-none-match': known, range: 'bytes=0-1' })
      expect(reply.status).toBe(304)
      expect(reply.headers.get('etag')).toBe(tag)
      expect((await reply.arrayBuffer()).byteLength).toBe(0)
    }
    expect((await get(filmUrl(), { 'if-none-match': '"other"' })).status).toBe(200)
    const since = whole.headers.get('last-modified') ?? ''
    expect((await get(filmUrl(), { 'if-modified-since': since })).status).toBe(304)
    expect((await get(filmUrl(), { 'if-modified-since': 'nonsense' })).status).toBe(200)
  })

  test('no other spelling of a URL is accepted', async () => {
    expect((await raw(targetOf(filmUrl()))).status).toBe(200)
    const other = await aReadyVideo(app, superuser)
    for (const target of forgeriesOf(targetOf(filmUrl()), targetOf(other.video_file ?? ''))) {
      const { status, body } = await raw(target)
      expect({ target, isRefused: [400, 403, 404].includes(status) }).toEqual({
        target,
        isRefused: true,
      })
      expect(body).not.toContain('ftyp')
    }
  })

  test('originals cannot be reached', async () => {
    const source = await app.app.db
      .selectFrom('sources')
      .select('object_key')
      .where('video_id', '=', video.id)
      .executeTakeFirstOrThrow()
    const original = await readFile(`${app.settings.originalsDir}/${source.object_key}`)
    for (const path of [
      `/media/${source.object_key}`,
      `/originals/${source.object_key}`,
      `/media/../originals/${source.object_key}`,
      `/media/%2e%2e/originals/${source.object_key}`,
    ]) {
      const { status, body } = await raw(`${path}?${targetOf(filmUrl()).split('?')[1]}`)
      expect([400, 403, 404]).toContain(status)
      expect(body.length).toBeLessThan(original.length)
    }
    const listed = JSON.stringify(await (await superuser.get('/content/')).json())
    expect(listed).not.toContain(source.object_key)
  })

  test('no method but GET and HEAD is served', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      expect((await get(filmUrl(), {}, method)).status).toBe(405)
    }
  })

  test('URLs repeat, so that caches can work', async () => {
    const again = await adminVideo(superuser, video.id)
    expect(again.video_file).toBe(filmUrl())
    const listed = (await (await superuser.get('/content/')).json()) as AdminVideo[]
    const mine = listed.find((each) => each.id === video.id)
    const url = await superuser.get(`/content/video-url/${video.id}/`)
    expect(pathOf(mine?.video_file ?? '')).toBe(pathOf(filmUrl()))
    expect(pathOf(((await url.json()) as { url: string }).url)).toBe(pathOf(filmUrl()))
  })

  test('a client that goes away in the middle holds nothing open', async () => {
    const abort = new AbortController()
    const reply = await fetch(filmUrl(), { signal: abort.signal })
    abort.abort()
    await expect(reply.arrayBuffer()).rejects.toThrow('abort')
    expect((await get(filmUrl())).status).toBe(200)
  })

  test('a URL dies with its video', async () => {
    const doomed = await aReadyVideo(app, superuser)
    const urls = [doomed.video_file ?? '', doomed.image_file ?? '']
    for (const url of urls) expect((await get(url)).status).toBe(200)
    expect((await superuser.delete(`/admin/api/videos/${doomed.id}/`)).status).toBe(204)
    for (const url of urls) expect((await get(url)).status).toBe(404)
    await allDone(app)
    await until(async () => (await get(filmUrl())).status === 200, 'the other video still plays')
  })

  // Last, because the clock does not go back.
  test('a URL expires, not before its time', async () => {
    app.clock.advance(HOUR - 60_000)
    expect((await get(filmUrl())).status).toBe(200)
    app.clock.advance(HOUR)
    for (const url of [filmUrl(), posterUrl()]) {
      const reply = await get(url)
      expect(reply.status).toBe(403)
      expect(await reply.json()).toEqual({ detail: expect.stringContaining('not valid any more') })
    }
    const admin = await app.superuser()
    const fresh = (await (await admin.get('/content/')).json()) as AdminVideo[]
    const again = fresh.find((each) => each.id === video.id)
    expect((await get(again?.video_file ?? '')).status).toBe(200)
    expect((await get(again?.image_file ?? '')).status).toBe(200)
  })

  /** Sends a request target as it is: clients tidy theirs up. */
  async function raw(target: string): Promise<{ status: number; body: string }> {
    const socket = connect(Number(new URL(app.origin).port), '127.0.0.1')
    socket.write(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(socket, 'close')
    const text = Buffer.concat(chunks).toString('latin1')
    return {
      status: Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1]),
      body: text.split('\r\n\r\n')[1] ?? '',
    }
  }
})

const keyOf = (url: string): string => new URL(url).pathname.replace('/media/', '')
const targetOf = (url: string): string => url.slice(new URL(url).origin.length)
const pathOf = (url: string): string => new URL(url).pathname

/** Every way to say something else that we could think of. */
function forgeriesOf(target: string, other: string): string[] {
  const [path = '', query = ''] = target.split('?')
  const params = new URLSearchParams(query)
  const expires = params.get('expires') ?? ''
  const signature = params.get('signature') ?? ''
  const changed = signature.replace(/^./, signature.startsWith('A') ? 'B' : 'A')
  const spare = lastBitsChanged(signature)
  const own = createHash('sha256').update(path).digest('base64url')
  const signed = (e: string, s: string, p = path) => `${p}?expires=${e}&signature=${s}`
  const folder = path.slice(0, path.lastIndexOf('/'))
  return [
    path,
    `${path}?`,
    `${path}?expires=${expires}`,
    `${path}?signature=${signature}`,
    signed(String(Number(expires) + 1), signature),
    signed(`0${expires}`, signature),
    signed(`${expires}.0`, signature),
    signed(`+${expires}`, signature),
    signed('9999999999', signature),
    signed(expires, changed),
    signed(expires, spare),
    signed(expires, own),
    signed(expires, ''),
    signed(expires, `${signature}=`),
    signed(expires, signature.toLowerCase()),
    signed(expires, signature.slice(0, -1)),
    signed(expires, new URLSearchParams(other.split('?')[1]).get('signature') ?? ''),
    `${other.split('?')[0]}?${query}`,
    `${path}?signature=${signature}&expires=${expires}`,
    `${target}&download=1`,
    `${path}?download=1&${query}`,
    `${target}&expires=9999999999`,
    `${target}&signature=${signature}`,
    `${target}#x`,
    `${target}%00`,
    `${target}/`,
    target.replace('/media/', '//media/'),
    target.replace('/media/', '/media//'),
    target.replace('/media/', '/media/./'),
    target.replace('/media/', '/media/x/../'),
    target.replace('/media/', '/media/%2e/'),
    target.replace('/media/', '/MEDIA/'),
    target.replace('.mp4', '.MP4'),
    target.replace('.mp4', '%2emp4'),
    target.replace('.mp4', '.mp4/'),
    target.replace('.mp4', '.mp4%00.jpg'),
    target.replace('.mp4', '.mp4;x=1'),
    target.replace('videos', '%76ideos'),
    target.replaceAll('/', '%2f'),
    target.replace('/media/', '/media\\'),
    target.replace('expires', 'Expires'),
    target.replace('expires=', 'expires%3D'),
    `${folder}/?${query}`,
    `${folder}?${query}`,
    `/media/?${query}`,
  ]
}

/** 43 characters hold 258 bits of which 256 count: another spelling of the same bytes. */
function lastBitsChanged(signature: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(signature.at(-1) ?? '')
  return signature.slice(0, -1) + alphabet[last ^ 1]
}
