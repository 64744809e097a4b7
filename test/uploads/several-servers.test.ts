import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Upload } from 'tus-js-client'
import { describe, expect, test, vi } from 'vitest'
import { AppError } from '../../server/src/errors.ts'
import { newOwner } from '../../server/src/tasks/owner.ts'
import { bucketPlace } from '../../server/src/uploads/bucket-place.ts'
import { film } from '../films.ts'
import { startApp, THIS_PROCESS, type TestApp } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { hasS3 } from '../harness/s3.ts'
import { storedBytes, storedKeys } from '../harness/stored.ts'
import { SHORT, until } from '../videos/library.ts'

const TUS = { 'tus-resumable': '1.0.0' }
const OCTETS = { ...TUS, 'content-type': 'application/offset+octet-stream' }
const MIB = 1024 * 1024

/** Another server of the same site, as a balancer has them side by side. Gives where it listens. */
async function anotherServer(
  app: TestApp,
  isRunning: () => boolean = THIS_PROCESS.isRunning,
): Promise<{ origin: string; close(): Promise<void> }> {
  const server = await app.app.createServer({ ...THIS_PROCESS, isRunning })
  const origin = await server.listen({ host: '127.0.0.1', port: 0 })
  return { origin, close: () => server.close() }
}

async function begin(superuser: Client, sizeBytes: number, title: string): Promise<string> {
  const reply = await superuser.request('/admin/api/uploads/', {
    method: 'POST',
    headers: {
      ...TUS,
      'upload-length': String(sizeBytes),
      'upload-metadata': `title ${Buffer.from(title).toString('base64')}`,
    },
  })
  expect(reply.status).toBe(201)
  return new URL(reply.headers.get('location') ?? '', 'http://any').pathname
}

/** The same session, at another server. */
function at(origin: string, client: Client): Client {
  const there = new Client(origin)
  for (const [name, value] of client.cookies) there.cookies.set(name, value)
  return there
}

interface Piece {
  origin: string
  path: string
  offset: number
  body: NonNullable<RequestInit['body']>
  signal?: AbortSignal
}

function send(superuser: Client, { origin, path, offset, body, signal }: Piece): Promise<Response> {
  return at(origin, superuser).request(path, {
    method: 'PATCH',
    body,
    duplex: 'half',
    ...(signal && { signal }),
    headers: { ...OCTETS, 'upload-offset': String(offset) },
  })
}

describe.each(hasS3 ? (['local', 's3'] as const) : (['local'] as const))(
  'an upload over two servers, with media in %s',
  (media) => {
    test('goes on at the other one at any offset, and is the same film', async () => {
      await using app = await startApp({ backend: 'postgres', media })
      await app.worker.drain()
      const superuser = await app.superuser()
      const other = await anotherServer(app)
      const bytes = await readFile(await film(SHORT))
      const path = await begin(superuser, bytes.length, 'Over two servers')
      const origins = [other.origin, app.origin]
      const step = Math.ceil(bytes.length / 5)
      for (let offset = 0, turn = 0; offset < bytes.length; offset += step, turn += 1) {
        const body = new Uint8Array(bytes.subarray(offset, offset + step))
        const reply = await send(superuser, { origin: origins[turn % 2]!, path, offset, body })
        expect(reply.status).toBe(204)
        expect(reply.headers.get('upload-offset')).toBe(String(offset + body.length))
      }
      const id = path.split('/').at(-1) ?? ''
      const stored = await storedBytes(app, 'originals', id)
      expect(sha256(stored)).toBe(sha256(bytes))
      expect(await app.app.db.selectFrom('bucket_uploads').selectAll().execute()).toEqual([])
      expect(await app.app.db.selectFrom('upload_locks').selectAll().execute()).toEqual([])
      await other.close()
    })

    test('has one writer: who comes last goes on, with every byte that was told to be safe', async () => {
      await using app = await startApp({ backend: 'postgres', media })
      await app.worker.drain()
      const superuser = await app.superuser()
      const other = await anotherServer(app)
      const bytes = await readFile(await film(SHORT))
      const path = await begin(superuser, bytes.length, 'One writer')
      const half = new Uint8Array(bytes.subarray(0, bytes.length >> 1))
      const gone = new AbortController()
      // A client that has hung up without a word: its server still waits for it.
      const body = new ReadableStream({ start: (controller) => controller.enqueue(half) })
      const hanging = send(superuser, {
        ...{ origin: other.origin, path, offset: 0 },
        ...{ body, signal: gone.signal },
      }).catch(() => undefined)
      const isLocked = async (): Promise<boolean> =>
        (await app.app.db.selectFrom('upload_locks').selectAll().execute()).length === 1
      await until(isLocked, 'the other server has the lock')

      const asked = await superuser.request(path, { method: 'HEAD', headers: TUS })
      expect(asked.status).toBe(200)
      const offset = Number(asked.headers.get('upload-offset'))
      const rest = new Uint8Array(bytes.subarray(offset))
      const reply = await send(superuser, { origin: app.origin, path, offset, body: rest })
      expect(reply.status).toBe(204)
      expect(reply.headers.get('x-video-id')).toMatch(/^\d+$/)
      const stored = await storedBytes(app, 'originals', path.split('/').at(-1) ?? '')
      expect(sha256(stored)).toBe(sha256(bytes))
      gone.abort()
      await hanging
      await other.close()
    })

    test('is taken over at once when its server was killed on this machine', async () => {
      await using app = await startApp({ backend: 'postgres', media })
      await app.worker.drain()
      const superuser = await app.superuser()
      const path = await begin(superuser, 10, 'Taken over')
      const id = path.split('/').at(-1) ?? ''
      const lock = { upload_id: id, is_wanted: false, held_until: new Date(Date.now() + 3_600_000) }
      const owner = newOwner(4_000_000)
      await app.app.db
        .insertInto('upload_locks')
        .values({ ...lock, owner })
        .execute()
      const other = await anotherServer(app, () => false)
      const client = at(other.origin, superuser)
      const asked = await client.request(path, { method: 'HEAD', headers: TUS })
      expect(asked.status).toBe(200)
      await other.close()
    })

    test('goes on within 15 seconds when its server, a machine of its own, was lost in the middle', async () => {
      await using app = await startApp({ backend: 'postgres', media })
      await app.worker.drain()
      const superuser = await app.superuser()
      const lost = await anotherServer(app)
      const bytes = await readFile(await film(SHORT))
      const path = await begin(superuser, bytes.length, 'Its server was lost')
      const half = bytes.length >> 1
      const first = await send(superuser, {
        ...{ origin: lost.origin, path, offset: 0 },
        body: new Uint8Array(bytes.subarray(0, half)),
      })
      expect(first.status).toBe(204)
      const more = new Uint8Array(bytes.subarray(half, half + 100))
      const gone = new AbortController()
      const body = new ReadableStream({ start: (controller) => controller.enqueue(more) })
      const hanging = send(superuser, {
        ...{ origin: lost.origin, path, offset: half },
        ...{ body, signal: gone.signal },
      }).catch(() => undefined)
      const findLock = () => app.app.db.selectFrom('upload_locks').selectAll().executeTakeFirst()
      const held = await until(findLock, 'the server that will be lost has the lock')
      expect(held.held_until.getTime() - app.clock.now().getTime()).toBeLessThanOrEqual(15_000)
      // From now on nobody renews it, nor lets it go.
      const owner = 'another-machine/pid:[4026531836] 7 A23456789012345678901_'
      await app.app.db.updateTable('upload_locks').set({ owner }).execute()
      await lost.close()

      const asked = superuser.request(path, { method: 'HEAD', headers: TUS })
      const waiting = await until(async () => {
        const lock = await findLock()
        return lock?.is_wanted === true && lock
      }, 'somebody waits for the lock')
      expect(waiting.owner).toBe(owner)
      app.clock.advance(15_000)
      const answer = await asked
      expect(answer.status).toBe(200)
      const offset = Number(answer.headers.get('upload-offset'))
      expect(offset).toBeGreaterThanOrEqual(half)
      const rest = new Uint8Array(bytes.subarray(offset))
      const last = await send(superuser, { origin: app.origin, path, offset, body: rest })
      expect(last.headers.get('x-video-id')).toMatch(/^\d+$/)
      const stored = await storedBytes(app, 'originals', path.split('/').at(-1) ?? '')
      expect(sha256(stored)).toBe(sha256(bytes))
      gone.abort()
      await hanging
    })
  },
)

describe.runIf(hasS3)('an upload in parts of a bucket', () => {
  test('survives cuts in every part, and keeps no tail', { timeout: 120_000 }, async () => {
    await using app = await startApp({ backend: 'postgres', media: 's3' })
    await app.worker.drain()
    const superuser = await app.superuser()
    const bytes = Buffer.alloc(37 * MIB + 123)
    for (let at = 0; at < bytes.length; at += 8)
      bytes.writeUInt32LE(at, at > bytes.length - 4 ? 0 : at)
    const lost = new Set<string>()
    const id = await new Promise<number>((resolve, reject) => {
      const client = new Upload(bytes, {
        endpoint: `${app.origin}/admin/api/uploads/`,
        headers: { cookie: [...superuser.cookies].map(([k, v]) => `${k}=${v}`).join('; ') },
        metadata: { title: 'In parts' },
        chunkSize: 7 * MIB,
        retryDelays: null,
        onError: reject,
        // As a server leaves it that is killed between the object and its row.
        onUploadUrlAvailable() {
          const upload = client.url?.split('/').at(-1) ?? ''
          lost.add(`uploads/${upload}/left`)
          void app.app.intermediates.putFile(`uploads/${upload}/left`, import.meta.filename)
        },
        onSuccess: ({ lastResponse }) => resolve(Number(lastResponse.getHeader('X-Video-Id'))),
      })
      client.start()
    })
    expect(lost.size).toBe(1)
    const { object_key: key } = await app.app.db
      .selectFrom('sources')
      .select('object_key')
      .where('video_id', '=', id)
      .executeTakeFirstOrThrow()
    expect(sha256(await storedBytes(app, 'originals', key))).toBe(sha256(bytes))
    const left: string[] = []
    for await (const object of app.app.intermediates.list('uploads/')) left.push(object.key)
    expect(left).toEqual([])
  })
})

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test.skipIf(!hasS3)('an upload is given up also while S3 is away', async () => {
  await using app = await startApp({ backend: 'postgres', media: 's3' })
  const superuser = await app.superuser()
  const path = await begin(superuser, 3 * MIB, 'Given up')
  const abort = vi.spyOn(app.app.bucket!.uploads, 'abort')
  abort.mockRejectedValue(new AppError('unavailable', 'S3 is away.'))
  expect((await superuser.request(path, { method: 'DELETE', headers: TUS })).status).toBe(204)
  expect(abort).toHaveBeenCalledOnce()
  expect((await superuser.request(path, { method: 'HEAD', headers: TUS })).status).toBe(404)
})

test.skipIf(!hasS3)('what an upload leaves while S3 is away goes with the next sweep', async () => {
  await using app = await startApp({ backend: 'postgres', media: 's3' })
  const { db, clock, originals, intermediates, library, bucket } = app.app
  const place = await bucketPlace({
    ...{ db, clock, originals, intermediates, library, ...app.settings.uploads },
    parts: bucket!.uploads,
  })
  const superuser = await app.superuser()
  const path = await begin(superuser, 3 * MIB, 'Given up')
  const body = new Uint8Array(1000)
  expect((await send(superuser, { origin: app.origin, path, offset: 0, body })).status).toBe(204)
  const tails = (): Promise<string[]> => storedKeys(app, 'intermediates', 'uploads/')
  expect(await tails()).toHaveLength(1)
  vi.spyOn(intermediates, 'list').mockImplementationOnce(() => {
    throw new AppError('unavailable', 'S3 is away.')
  })
  await place.datastore.remove(path.split('/').at(-1) ?? '')
  expect(await tails()).toHaveLength(1)
  await place.removeAbandoned(clock.now())
  expect(await tails()).toEqual([])
})

test.skipIf(!hasS3)('a whole upload in the bucket has no end, however long it waits', async () => {
  await using app = await startApp({ backend: 'postgres', media: 's3' })
  const superuser = await app.superuser()
  const path = await begin(superuser, 3 * MIB, 'Whole')
  await app.app.db
    .updateTable('bucket_uploads')
    .set({ offset_bytes: 3 * MIB, expires_at: new Date(0) })
    .execute()
  const asked = await superuser.request(path, { method: 'HEAD', headers: TUS })
  expect([asked.status, asked.headers.get('upload-offset')]).toEqual([200, `${3 * MIB}`])
})
