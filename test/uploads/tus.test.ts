import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { Upload, type UploadOptions } from 'tus-js-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { film } from '../films.ts'
import { barrier } from '../harness/barrier.ts'
import { BACKENDS, startApp, THIS_PROCESS, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { storedBytes } from '../harness/stored.ts'
import { adminVideo, aTitle, filesIn, SHORT, traces, until, upload } from '../videos/library.ts'

const MAX_BYTES = 5_000_000
const CONSOLE = 'https://console.example.com'

describe.each(BACKENDS)('resumable uploads, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let bytes: Buffer
  beforeAll(async () => {
    app = await startApp({
      backend,
      env: { MAX_UPLOAD_BYTES: String(MAX_BYTES), CORS_ALLOWED_ORIGINS: CONSOLE },
    })
    superuser = await app.superuser()
    // Processing is another journey.
    await app.worker.drain()
    bytes = await readFile(await film(SHORT))
  })
  afterAll(() => app.stop())

  const endpoint = () => `${app.origin}/admin/api/uploads/`

  /** What Uppy does: metadata first, bytes in pieces. Resolves with the video's id. */
  function send(options: UploadOptions, body: Buffer = bytes): Promise<number> {
    return new Promise((resolve, reject) => {
      const client = new Upload(body, {
        endpoint: endpoint(),
        headers: { cookie: cookiesOf(superuser) },
        retryDelays: null,
        ...options,
        onError: reject,
        onSuccess: ({ lastResponse }) => resolve(Number(lastResponse.getHeader('X-Video-Id'))),
      })
      client.start()
    })
  }

  async function create(
    metadata: Record<string, string>,
    length: number | string = bytes.length,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return await superuser.request('/admin/api/uploads/', {
      method: 'POST',
      headers: {
        'tus-resumable': '1.0.0',
        'upload-length': String(length),
        'upload-metadata': encoded(metadata),
        ...headers,
      },
    })
  }

  async function begin(metadata: Record<string, string>): Promise<string> {
    const reply = await create(metadata)
    expect(reply.status).toBe(201)
    return reply.headers.get('location') ?? ''
  }

  async function patch(location: string, offset: number, body: Uint8Array): Promise<Response> {
    return await superuser.request(location, {
      method: 'PATCH',
      body: new Uint8Array(body),
      headers: {
        'tus-resumable': '1.0.0',
        'upload-offset': String(offset),
        'content-type': 'application/offset+octet-stream',
      },
    })
  }

  async function head(location: string): Promise<Response> {
    return await superuser.request(location, {
      method: 'HEAD',
      headers: { 'tus-resumable': '1.0.0' },
    })
  }

  const idOf = (location: string): string => location.split('/').at(-1) ?? ''

  /** On its way, and what has come is in the folder, where there is one. */
  async function isBeingWritten(location: string): Promise<boolean> {
    const id = idOf(location)
    const locks = await app.app.db.selectFrom('upload_locks').select('upload_id').execute()
    if (!locks.some((lock) => lock.upload_id === id)) return false
    return app.s3 !== null || (await readFile(`${app.settings.uploads.dir}/${id}`)).length > 0
  }

  /** All bytes arrive, and the program ends before it makes a video of them. */
  async function leaveWhole(location: string): Promise<void> {
    const id = idOf(location)
    const { db, bucket } = app.app
    if (!bucket) return await writeFile(`${app.settings.uploads.dir}/${id}`, bytes)
    const { store_id: storeId } = await db
      .updateTable('bucket_uploads')
      .set({ offset_bytes: bytes.length })
      .where('id', '=', id)
      .returning('store_id')
      .executeTakeFirstOrThrow()
    await bucket.uploads.put(id, storeId, 1, bytes)
  }

  /** As if an upload that grows now had been announced two days ago. */
  async function beginDaysAgo(id: string): Promise<void> {
    const then = new Date(Date.now() - 48 * 3_600_000)
    const { db, bucket } = app.app
    if (bucket) {
      await db
        .updateTable('bucket_uploads')
        .set({ created_at: then })
        .where('id', '=', id)
        .execute()
      return
    }
    const path = `${app.settings.uploads.dir}/${id}.json`
    const described = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    await writeFile(path, JSON.stringify({ ...described, creation_date: then.toISOString() }))
  }

  const remove = (location: string): Promise<Response> =>
    superuser.delete(location, { headers: { 'tus-resumable': '1.0.0' } })

  test('a client uploads in pieces and learns the id of the video', async () => {
    const title = `Straße 🎬 ${backend}`
    const metadata = { title, filename: 'straße.mp4', description: 'ü', category: 'Crime' }
    const id = await send({ metadata, chunkSize: Math.ceil(bytes.length / 3) })
    expect(await adminVideo(superuser, id)).toMatchObject({
      title,
      description: 'ü',
      category: 'Crime',
      processing_state: 'pending',
      source: { file_name: 'straße.mp4', size_bytes: bytes.length },
    })
    expect(await filesIn(app.settings.uploads.dir)).toEqual([])
  })

  test('the bytes can come along with the creation', async () => {
    const id = await send({ metadata: { title: aTitle() }, uploadDataDuringCreation: true })
    expect((await adminVideo(superuser, id)).source?.size_bytes).toBe(bytes.length)
  })

  test('without a title the file names the video', async () => {
    const id = await send({ metadata: { filename: `..\\up_${backend}.mkv` } })
    expect(await adminVideo(superuser, id)).toMatchObject({
      title: `up ${backend}`,
      source: { file_name: `up_${backend}.mkv` },
    })
  })

  test('an upload goes on where a lost connection has left it', async () => {
    const chunkSize = Math.ceil(bytes.length / 4)
    const first = await new Promise<Upload>((resolve, reject) => {
      const client = new Upload(bytes, {
        endpoint: endpoint(),
        headers: { cookie: cookiesOf(superuser) },
        metadata: { title: aTitle() },
        chunkSize,
        retryDelays: null,
        onError: reject,
        onChunkComplete: (_size, accepted) => {
          if (accepted !== 2 * chunkSize) return
          client.abort().then(() => resolve(client), reject)
        },
      })
      client.start()
    })
    const uploadUrl = first.url ?? ''
    expect((await head(uploadUrl)).headers.get('upload-offset')).toBe(String(2 * chunkSize))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const id = await send({ uploadUrl, chunkSize })
    const video = await adminVideo(superuser, id)
    const original = await app.app.db
      .selectFrom('sources')
      .select('object_key')
      .where('video_id', '=', id)
      .executeTakeFirstOrThrow()
    const kept = await storedBytes(app, 'originals', original.object_key)
    expect(video.source?.size_bytes).toBe(bytes.length)
    expect(createHash('sha256').update(kept).digest('hex')).toBe(sha256)
  })

  test('bytes that came before a cut in the middle of a piece are kept', async () => {
    const location = await begin({ title: aTitle() })
    const abort = new AbortController()
    const half = bytes.subarray(0, bytes.length / 2)
    const taken = barrier()
    const body = new ReadableStream(
      {
        start: (controller) => controller.enqueue(new Uint8Array(half)),
        pull: () => taken.open(),
      },
      { highWaterMark: 1 },
    )
    const cut = superuser.request(location, {
      method: 'PATCH',
      body,
      duplex: 'half',
      signal: abort.signal,
      headers: {
        'tus-resumable': '1.0.0',
        'upload-offset': '0',
        'content-type': 'application/offset+octet-stream',
      },
    })
    await taken.opened
    await until(async () => await isBeingWritten(location), 'the half has arrived')
    abort.abort()
    await expect(cut).rejects.toThrow('abort')
    expect((await head(location)).headers.get('upload-offset')).toBe(String(half.length))
    const rest = await patch(location, half.length, bytes.subarray(half.length))
    expect(rest.status).toBe(204)
    expect(Number(rest.headers.get('x-video-id'))).toBeGreaterThan(0)
  })

  test('a checksum is compared at the end', async () => {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const id = await send({ metadata: { title: aTitle(), sha256: sha256.toUpperCase() } })
    expect((await adminVideo(superuser, id)).source?.sha256).toBe(sha256)

    const before = await traces(app)
    const location = await begin({ title: aTitle(), sha256: 'a'.repeat(64) })
    const reply = await patch(location, 0, bytes)
    expect(reply.status).toBe(400)
    expect(reply.headers.get('content-type')).toContain('application/json')
    expect(await reply.json()).toEqual({ sha256: [expect.stringContaining(sha256)] })
    expect(await traces(app)).toEqual(before)
    expect((await head(location)).status).toBe(404)
  })

  test.each<[string, Record<string, string>, object]>([
    ['a blank title', { title: ' ' }, { title: ['This field may not be blank.'] }],
    [
      'an unknown category',
      { title: 'x', category: 'Cats' },
      { category: ['"Cats" is not a valid choice.'] },
    ],
    [
      'a checksum that is none',
      { title: 'x', sha256: 'nonsense' },
      { sha256: ['Write the SHA-256 of the file as 64 hexadecimal digits.'] },
    ],
    [
      'a video to replace that is none',
      { video: '5; drop table videos' },
      { video: ['There is no such video to replace.'] },
    ],
    [
      'a video to replace that is not there',
      { video: '123456789' },
      { video: ['There is no such video to replace.'] },
    ],
  ])('%s is refused before a byte is sent', async (_name, metadata, errors) => {
    const before = await traces(app)
    const reply = await create(metadata)
    expect({ status: reply.status, body: await reply.json() }).toEqual({
      status: 400,
      body: errors,
    })
    expect(await traces(app)).toEqual(before)
  })

  test('a title that is taken is refused before a byte is sent', async () => {
    const { title } = await upload(superuser)
    const reply = await create({ title })
    expect(reply.status).toBe(400)
    expect(await reply.json()).toEqual({ title: ['Video with this title already exists.'] })
  })

  test('a title that was taken in between gets a number, and no byte is lost', async () => {
    const title = aTitle()
    const location = await begin({ title })
    await upload(superuser, { title })
    const reply = await patch(location, 0, bytes)
    expect(reply.status).toBe(204)
    const id = Number(reply.headers.get('x-video-id'))
    expect((await adminVideo(superuser, id)).title).toBe(`${title} (2)`)
  })

  test('ten uploads of one title that end at the same time all become videos', async () => {
    const title = aTitle()
    const locations = await Promise.all(Array.from({ length: 10 }, () => begin({ title })))
    const replies = await Promise.all(locations.map((location) => patch(location, 0, bytes)))
    expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => 204))
    const ids = new Set(replies.map((reply) => reply.headers.get('x-video-id')))
    expect(ids.size).toBe(10)
  })

  test('whoever lost the last reply asks again and is told the same', async () => {
    const location = await begin({ title: aTitle() })
    const before = await countVideos()
    const first = await patch(location, 0, bytes)
    const id = first.headers.get('x-video-id')
    expect(id).toMatch(/^\d+$/)
    const again = await patch(location, bytes.length, Buffer.alloc(0))
    expect([again.status, again.headers.get('x-video-id')]).toEqual([204, id])
    const asked = await head(location)
    expect(asked.status).toBe(200)
    expect(asked.headers.get('upload-offset')).toBe(String(bytes.length))
    expect(asked.headers.get('upload-length')).toBe(String(bytes.length))
    expect(asked.headers.get('x-video-id')).toBe(id)
    expect((await patch(location, 0, bytes)).status).toBe(409)
    expect((await remove(location)).status).toBe(403)
    expect(await countVideos()).toBe(before + 1)
  })

  test('twenty finishes at once make one video', async () => {
    const location = await begin({ title: aTitle() })
    const half = bytes.length >> 1
    expect((await patch(location, 0, bytes.subarray(0, half))).status).toBe(204)
    const before = await countVideos()
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => patch(location, half, bytes.subarray(half))),
    )
    const told = replies.filter((reply) => reply.status === 204)
    expect(told.length).toBeGreaterThan(0)
    for (const reply of replies) expect([204, 409]).toContain(reply.status)
    expect(new Set(told.map((reply) => reply.headers.get('x-video-id'))).size).toBe(1)
    expect(await countVideos()).toBe(before + 1)
    const replays = await Promise.all(
      Array.from({ length: 20 }, () => patch(location, bytes.length, Buffer.alloc(0))),
    )
    expect(new Set(replays.map((reply) => reply.headers.get('x-video-id')))).toEqual(
      new Set([told[0]?.headers.get('x-video-id')]),
    )
    expect(await countVideos()).toBe(before + 1)
  })

  test('what was whole when the program ended becomes a video at the next start', async () => {
    const before = await countVideos()
    const location = await begin({ title: aTitle() })
    await leaveWhole(location)
    const second = await app.app.createServer(THIS_PROCESS)
    await second.ready()
    await second.close()
    const asked = await head(location)
    expect(asked.headers.get('x-video-id')).toMatch(/^\d+$/)
    expect(await countVideos()).toBe(before + 1)
  })

  test('an upload can be given up', async () => {
    const before = await traces(app)
    const location = await begin({ title: aTitle() })
    await patch(location, 0, bytes.subarray(0, 100))
    expect((await remove(location)).status).toBe(204)
    expect((await head(location)).status).toBe(404)
    expect((await patch(location, 100, bytes.subarray(100))).status).toBe(404)
    expect(await traces(app)).toEqual(before)
  })

  test('sizes that cannot be are refused', async () => {
    const before = await traces(app)
    const empty = await create({ title: aTitle() }, 0)
    expect(empty.status).toBe(400)
    expect(await empty.json()).toEqual({ video_file: ['The submitted file is empty.'] })
    expect((await create({ title: aTitle() }, MAX_BYTES + 1)).status).toBe(413)
    for (const length of ['-1', 'x', '1e3', '']) {
      const reply = await create({ title: aTitle() }, length)
      expect(reply.status, `length ${length}`).toBe(400)
      expect(await reply.json()).toEqual({ detail: expect.any(String) })
    }
    expect(await traces(app)).toEqual(before)
    expect((await create({ title: aTitle() }, MAX_BYTES)).status).toBe(201)
  })

  test('no more bytes are taken than were announced', async () => {
    const location = await begin({ title: aTitle() })
    const reply = await patch(location, 0, Buffer.concat([bytes, Buffer.alloc(1)]))
    expect(reply.status).toBe(413)
    expect((await head(location)).headers.get('upload-offset')).toBe('0')
    expect((await patch(location, 5, bytes.subarray(5))).status).toBe(409)
  })

  test('the file of a video is replaced by metadata `video`', async () => {
    const { id, title } = await upload(superuser)
    const before = await countVideos()
    expect(
      await send({
        metadata: { video: String(id), title: 'Not looked at', filename: 'second.mov' },
      }),
    ).toBe(id)
    expect(await countVideos()).toBe(before)
    expect(await adminVideo(superuser, id)).toMatchObject({
      title,
      source: { file_name: 'second.mov' },
    })
  })

  test('a replacement whose video is deleted meanwhile ends, and leaves nothing', async () => {
    const { id } = await upload(superuser)
    const location = await begin({ video: String(id) })
    await superuser.delete(`/admin/api/videos/${id}/`)
    const before = await traces(app)
    const reply = await patch(location, 0, bytes)
    expect(reply.status).toBe(404)
    const after = await traces(app)
    expect(after['originals']).toEqual(before['originals'])
    expect(after['staging']).not.toContain(location.split('/').at(-1))
  })

  test('an upload lives for UPLOAD_TTL after its last byte, not after its first', async () => {
    const location = await begin({ title: aTitle() })
    await patch(location, 0, bytes.subarray(0, 10))
    await beginDaysAgo(idOf(location))
    expect((await head(location)).headers.get('upload-offset')).toBe('10')
    expect((await patch(location, 10, bytes.subarray(10))).status).toBe(204)
  })

  test('an abandoned upload expires', async () => {
    await using shortLived = await startApp({ backend, env: { UPLOAD_TTL: '1' } })
    const admin = await shortLived.superuser()
    const created = await admin.request('/admin/api/uploads/', {
      method: 'POST',
      headers: {
        'tus-resumable': '1.0.0',
        'upload-length': '1000',
        'upload-metadata': encoded({ title: 'Abandoned' }),
      },
    })
    expect(created.headers.get('upload-expires')).toMatch(/GMT$/)
    expect((await unfinishedIn(shortLived)).length).toBeGreaterThan(0)
    shortLived.clock.advance(5000)
    const sweeping = await shortLived.app.createServer(THIS_PROCESS)
    await sweeping.ready()
    await sweeping.close()
    expect(await unfinishedIn(shortLived)).toEqual([])
  })

  test('strangers, viewers and foreign pages are refused', async () => {
    const headers = { 'tus-resumable': '1.0.0', 'upload-length': '10' }
    const init = { method: 'POST', headers }
    const location = await begin({ title: aTitle() })
    const viewer = await app.viewer()
    expect((await app.client().request('/admin/api/uploads/', init)).status).toBe(401)
    expect((await viewer.request('/admin/api/uploads/', init)).status).toBe(403)
    for (const method of ['HEAD', 'PATCH', 'DELETE']) {
      const asked = { method, headers: { 'tus-resumable': '1.0.0', 'upload-offset': '0' } }
      expect((await app.client().request(location, asked)).status).toBe(401)
      expect((await viewer.request(location, asked)).status).toBe(403)
    }
    const foreign = { method: 'POST', headers: { ...headers, origin: 'https://evil.example' } }
    const refused = await superuser.request('/admin/api/uploads/', foreign)
    expect(refused.status).toBe(403)
    expect(corsOf(refused)).toEqual({})
    expect((await head(location)).headers.get('upload-offset')).toBe('0')
  })

  test.each(['..', '%2e%2e%2fsecret-key', 'x.json', 'a%00b', 'a%5Cb', '%ff'])(
    'there is no upload %j',
    async (id) => {
      const reply = await superuser.request(`/admin/api/uploads/${id}`, {
        method: 'DELETE',
        headers: { 'tus-resumable': '1.0.0' },
      })
      expect([400, 404, 405]).toContain(reply.status)
    },
  )

  test('a page of an allowed origin can upload, and read what it needs', async () => {
    const preflight = await app.client().request('/admin/api/uploads/', {
      method: 'OPTIONS',
      headers: {
        origin: CONSOLE,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'tus-resumable,upload-length,upload-metadata',
      },
    })
    expect(preflight.ok).toBe(true)
    expect(preflight.headers.get('access-control-allow-origin')).toBe(CONSOLE)
    expect(preflight.headers.get('access-control-allow-credentials')).toBe('true')
    const allowed = preflight.headers.get('access-control-allow-headers') ?? ''
    for (const name of ['tus-resumable', 'upload-length', 'upload-metadata', 'upload-offset']) {
      expect(allowed).toContain(name)
    }

    const created = await create({ title: aTitle() }, bytes.length, { origin: CONSOLE })
    expect(created.status).toBe(201)
    expect(created.headers.get('access-control-allow-origin')).toBe(CONSOLE)
    expect(created.headers.get('access-control-allow-credentials')).toBe('true')
    const exposed = (created.headers.get('access-control-expose-headers') ?? '').toLowerCase()
    for (const name of ['location', 'upload-offset', 'x-video-id', 'tus-resumable']) {
      expect(exposed).toContain(name)
    }
    const location = new URL(created.headers.get('location') ?? '', endpoint())
    expect(location.href).toMatch(new RegExp(`^${app.origin}/admin/api/uploads/[\\w-]{22}$`))
  })

  test('a page of another origin reads nothing', async () => {
    const location = await begin({ title: aTitle() })
    const reply = await superuser.request(location, {
      method: 'HEAD',
      headers: { 'tus-resumable': '1.0.0', origin: 'https://evil.example' },
    })
    expect(corsOf(reply)).toEqual({})
  })

  test('OPTIONS tells what is spoken here', async () => {
    const reply = await app.client().request('/admin/api/uploads/', { method: 'OPTIONS' })
    expect(reply.status).toBe(204)
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      'tus-resumable': '1.0.0',
      'tus-version': '1.0.0',
      'tus-max-size': String(MAX_BYTES),
      'tus-extension': 'creation,creation-with-upload,termination,expiration',
    })
  })

  test('a request of no or another version of the protocol is refused', async () => {
    const init = { method: 'POST', headers: { 'upload-length': '10' } }
    const reply = await superuser.request('/admin/api/uploads/', init)
    expect(reply.status).toBe(412)
    expect(await reply.json()).toEqual({ detail: 'Tus-Resumable Required' })
  })

  async function countVideos(): Promise<number> {
    const rows = await app.app.db.selectFrom('videos').select('id').execute()
    return rows.length
  }
})

function cookiesOf(client: Client): string {
  return [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
}

function encoded(metadata: Record<string, string>): string {
  return Object.entries(metadata)
    .map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
    .join(',')
}

function corsOf(reply: Response): Record<string, string> {
  return Object.fromEntries(
    [...reply.headers].filter(([name]) => name.startsWith('access-control-')),
  )
}

/** Files in staging, or uploads in parts of the bucket. */
async function unfinishedIn({ app, settings }: TestApp): Promise<string[]> {
  if (!app.bucket) return await filesIn(settings.uploads.dir)
  const uploads: string[] = []
  for await (const { key } of app.bucket.uploads.listBegunBefore(new Date(Date.now() + 60_000))) {
    uploads.push(key)
  }
  return uploads
}
