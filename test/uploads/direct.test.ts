import { createHash } from 'node:crypto'
import { open, readFile, stat } from 'node:fs/promises'
import type { AdminVideo, DirectUpload } from '@videoflix/contract'
import { HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDirectUploads } from '../../server/src/uploads/direct-uploads.ts'
import { bytes, film } from '../films.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { hasS3 } from '../harness/s3.ts'
import { adminVideo, allDone, aTitle, upload as uploadForm } from '../videos/library.ts'

const PATH = '/admin/api/direct-uploads/'
const MIB = 1024 * 1024

describe.skipIf(!hasS3).each(BACKENDS)('uploads straight to the bucket, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  beforeAll(async () => {
    app = await startApp({ backend, media: 's3', env: { MAX_UPLOAD_BYTES: String(64 * MIB) } })
    superuser = await app.superuser()
  })
  afterAll(() => app.stop())

  async function begin(size: number, file_name = 'a film.mp4'): Promise<DirectUpload> {
    const reply = await superuser.post(PATH, { file_name, size })
    expect(reply.status).toBe(201)
    return (await reply.json()) as DirectUpload
  }

  async function urlsOf({ id }: DirectUpload, numbers: number[]): Promise<string[]> {
    const reply = await superuser.post(`${PATH}${id}/parts/`, { numbers })
    expect(reply.status).toBe(200)
    const { parts } = (await reply.json()) as { parts: { number: number; url: string }[] }
    expect(parts.map(({ number }) => number)).toEqual(numbers)
    return parts.map(({ url }) => url)
  }

  async function sendPart(upload: DirectUpload, path: string, number: number): Promise<void> {
    const [url = ''] = await urlsOf(upload, [number])
    const { part_size: size } = upload
    const file = await open(path)
    const { size: whole } = await file.stat()
    const start = (number - 1) * size
    const body = Buffer.alloc(Math.min(size, whole - start))
    await file.read(body, 0, body.length, start)
    await file.close()
    // As a browser does: no cookie, no header of ours.
    const reply = await fetch(url, { method: 'PUT', body })
    expect(reply.status).toBe(200)
  }

  /** All parts of a file. */
  async function sent(path: string): Promise<DirectUpload> {
    const upload = await begin((await stat(path)).size)
    for (let number = 1; number <= upload.part_count; number += 1) {
      await sendPart(upload, path, number)
    }
    return upload
  }

  const complete = ({ id }: DirectUpload, end: Record<string, unknown> = {}): Promise<Response> =>
    superuser.post(`${PATH}${id}/complete/`, end)

  async function asVideo(reply: Response): Promise<AdminVideo> {
    expect(reply.status).toBe(201)
    return (await reply.json()) as AdminVideo
  }

  const describeAgain = async ({ id }: DirectUpload): Promise<DirectUpload> =>
    (await (await superuser.get(`${PATH}${id}/`)).json()) as DirectUpload

  async function unfinished(): Promise<string[]> {
    const Bucket = app.settings.s3?.bucket
    const { Uploads = [] } = await app.s3!.client.send(new ListMultipartUploadsCommand({ Bucket }))
    return Uploads.map(({ Key = '' }) => Key)
  }

  const hasOriginal = async ({ id }: DirectUpload): Promise<boolean> =>
    (await app.app.originals.find(id)) !== null

  /** More than one part. */
  const aLargeFile = (): Promise<string> => bytes('mp4', Buffer.alloc(20 * MIB, 'not a film'))

  test.each([
    ['straight to the bucket', 'direct_uploads'],
    ['resumable', 'bucket_uploads'],
  ])('that are %s and cannot be noted leave nothing in the bucket', async (way, table) => {
    const rename = (from: string, to: string): Promise<void> =>
      app.app.db.schema.alterTable(from).renameTo(to).execute()
    const headers = {
      'tus-resumable': '1.0.0',
      'upload-length': '10',
      'upload-metadata': 'title YQ==',
    }
    const before = await unfinished()
    await rename(table, 'not_there')
    const reply =
      way === 'resumable'
        ? await superuser.request('/admin/api/uploads/', { method: 'POST', headers })
        : await superuser.post(PATH, { file_name: 'a.mp4', size: 10 })
    await rename('not_there', table)
    expect(reply.status).toBe(500)
    expect(await unfinished()).toEqual(before)
  })

  test('become a video that plays', async () => {
    const path = await film('half a second')
    const upload = await sent(path)
    const title = aTitle()
    const reply = await complete(upload, { title, category: 'Drama', description: 'Short' })
    const { id } = await asVideo(reply)
    expect(reply.headers.get('location')).toBe(`/admin/api/videos/${id}/`)
    await allDone(app)
    expect(await adminVideo(superuser, id)).toMatchObject({
      title,
      category: 'Drama',
      processing_state: 'ready',
      source: { file_name: 'a film.mp4', size_bytes: (await stat(path)).size, error: null },
    })
    expect(await unfinished()).toEqual([])
  })

  test('go on where they were, in any order', async () => {
    const path = await aLargeFile()
    const upload = await begin((await stat(path)).size)
    expect(upload).toMatchObject({ part_count: 2, part_size: 16 * MIB, parts: [], video: null })
    await sendPart(upload, path, 2)
    expect((await describeAgain(upload)).parts).toEqual([{ number: 2, size: 4 * MIB }])
    const early = await complete(upload)
    expect([early.status, await early.json()]).toEqual([
      409,
      { detail: 'Parts have not arrived whole yet: 1. Send them.' },
    ])
    await sendPart(upload, path, 1)
    const { id } = await asVideo(await complete(upload))
    expect(await describeAgain(upload)).toMatchObject({ parts: [], video: id })
    const reply = await app.app.originals.read(upload.id)
    const hash = createHash('sha256')
    for await (const chunk of reply) hash.update(chunk as Buffer)
    const expected = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
    expect(hash.digest('hex')).toBe(expected)
  })

  test('are one video, however often and by however many they are completed', async () => {
    const upload = await sent(await film('half a second'))
    const replies = await Promise.all([1, 2, 3].map(() => complete(upload)))
    const ids = await Promise.all(replies.map(async (reply) => (await asVideo(reply)).id))
    expect(new Set(ids).size).toBe(1)
    expect((await asVideo(await complete(upload, { title: 'Another' }))).id).toBe(ids[0])
  })

  test('are completed although the program was ended between the bucket and the database', async () => {
    const path = await film('half a second')
    const upload = await sent(path)
    const { store_id } = await app.app.db
      .selectFrom('direct_uploads')
      .select('store_id')
      .where('id', '=', upload.id)
      .executeTakeFirstOrThrow()
    const { uploads } = app.app.bucket!
    await uploads.complete(upload.id, store_id, await uploads.listParts(upload.id, store_id))
    expect((await describeAgain(upload)).video).toBeNull()
    await asVideo(await complete(upload))
  })

  test('replace the file of a video', async () => {
    const { id } = await uploadForm(superuser)
    await allDone(app)
    const path = await film('h264 mp4')
    const replaced = await asVideo(await complete(await sent(path), { video: id }))
    expect(replaced.id).toBe(id)
    await allDone(app)
    const { source } = await adminVideo(superuser, id)
    expect(source).toMatchObject({ size_bytes: (await stat(path)).size, state: 'ready' })
  })

  test('whose title is taken can be completed with another', async () => {
    const title = aTitle()
    await uploadForm(superuser, { bad: 'text', title })
    const upload = await sent(await film('half a second'))
    const refused = await complete(upload, { title })
    expect([refused.status, await refused.json()]).toEqual([
      400,
      { title: ['Video with this title already exists.'] },
    ])
    await asVideo(await complete(upload, { title: aTitle() }))
  })

  test('without a title are named after their file', async () => {
    const first = await asVideo(await complete(await sent(await film('half a second'))))
    const second = await asVideo(await complete(await sent(await film('half a second'))))
    expect(first.title).not.toBe(second.title)
    for (const { title } of [first, second]) expect(title).toMatch(/^a film( \(\d+\))?$/)
  })

  test('end when they are told to, but not once they are a video', async () => {
    const path = await film('half a second')
    const upload = await sent(path)
    expect(await unfinished()).toContain(`originals/${upload.id}`)
    expect((await superuser.delete(`${PATH}${upload.id}/`)).status).toBe(204)
    expect(await unfinished()).not.toContain(`originals/${upload.id}`)
    for (const reply of [await superuser.get(`${PATH}${upload.id}/`), await complete(upload)]) {
      expect(reply.status).toBe(404)
    }
    const other = await sent(path)
    await asVideo(await complete(other))
    expect((await superuser.delete(`${PATH}${other.id}/`)).status).toBe(409)
    expect((await superuser.post(`${PATH}${other.id}/parts/`, { numbers: [1] })).status).toBe(409)
  })

  test('that are abandoned go, as soon as they have expired', async () => {
    const path = await film('half a second')
    const [left, alive] = [await sent(path), await sent(path)]
    const { db, clock, originals, library, bucket } = app.app
    const later = (minutes: number): Date => new Date(Date.now() + minutes * 60_000)
    await db
      .updateTable('direct_uploads')
      .set({ expires_at: later(1) })
      .execute()
    await urlsOf(alive, [1])
    // The sweep comes once a minute; this is what it does.
    const settings = app.settings.uploads
    const parts = bucket!.uploads
    const uploads = createDirectUploads({ db, clock, settings, parts, originals, library })
    await uploads.removeAbandoned(later(2))
    expect(await unfinished()).toContain(`originals/${alive.id}`)
    expect(await unfinished()).not.toContain(`originals/${left.id}`)
    expect((await superuser.get(`${PATH}${left.id}/`)).status).toBe(404)
    await uploads.removeAbandoned(new Date(Date.now() + settings.ttlMs + 60_000))
    expect(await unfinished()).toEqual([])
  })

  test('that a database knows nothing of go too, much later', async () => {
    const { uploads: parts } = app.app.bucket!
    await parts.begin('nobody-knows-me')
    const found: string[] = []
    for await (const { key } of parts.listBegunBefore(new Date(Date.now() + 60_000)))
      found.push(key)
    expect(found).toContain('nobody-knows-me')
    for await (const { key } of parts.listBegunBefore(new Date(Date.now() - 60_000)))
      found.push(key)
    expect(found.filter((key) => key === 'nobody-knows-me')).toHaveLength(1)
  })

  test('go, but not what another server is storing in parts just now, however short UPLOAD_TTL is', async () => {
    const { db, clock, originals, library, bucket } = app.app
    const parts = bucket!.uploads
    await parts.begin('of-another-server')
    const settings = { ...app.settings.uploads, ttlMs: 30 * 60_000 }
    const uploads = createDirectUploads({ db, clock, settings, parts, originals, library })
    const inHours = (hours: number): Date => new Date(Date.now() + hours * 3_600_000)
    await uploads.removeAbandoned(inHours(47))
    expect(await unfinished()).toContain('originals/of-another-server')
    await uploads.removeAbandoned(inHours(49))
    expect(await unfinished()).toEqual([])
  })

  describe('are refused', () => {
    test.each<[string, Record<string, unknown>, number, RegExp]>([
      ['without a size', { file_name: 'a.mp4' }, 400, /size.*This field is required/],
      ['without a name', { size: 5 }, 400, /file_name.*This field is required/],
      ['empty', { file_name: 'a.mp4', size: 0 }, 400, /size.*in bytes/],
      ['of half a byte', { file_name: 'a.mp4', size: 1.5 }, 400, /size.*in bytes/],
      ['too large', { file_name: 'a.mp4', size: 64 * MIB + 1 }, 413, /raise MAX_UPLOAD_BYTES/],
    ])('%s', async (_name, body, status, sentence) => {
      const before = await unfinished()
      const reply = await superuser.post(PATH, body)
      expect([reply.status, await reply.text()]).toEqual([status, expect.stringMatching(sentence)])
      expect(await unfinished()).toEqual(before)
    })

    test.each([[[]], [[0]], [[2]], [['1']], ['1'], [undefined]])(
      'a request for parts %j of one',
      async (numbers) => {
        const { id } = await begin(5)
        const reply = await superuser.post(`${PATH}${id}/parts/`, { numbers })
        expect([reply.status, await reply.json()]).toEqual([
          400,
          { numbers: [expect.stringMatching(/./)] },
        ])
      },
    )

    test('a part of another size', async () => {
      const upload = await begin(10)
      const [url = ''] = await urlsOf(upload, [1])
      expect((await fetch(url, { method: 'PUT', body: 'too long for it' })).status).toBe(200)
      expect((await describeAgain(upload)).parts).toEqual([])
      expect((await complete(upload)).status).toBe(409)
      expect(await hasOriginal(upload)).toBe(false)
    })

    test('a video to replace that is not there', async () => {
      const upload = await sent(await film('half a second'))
      const reply = await complete(upload, { video: 999_999 })
      expect([reply.status, await reply.json()]).toEqual([
        400,
        { video: ['There is no such video to replace.'] },
      ])
    })

    test('whoever is no superuser', async () => {
      const viewer = await app.viewer()
      expect((await viewer.post(PATH, { file_name: 'a', size: 5 })).status).toBe(403)
      expect((await app.client().post(PATH, { file_name: 'a', size: 5 })).status).toBe(401)
    })

    test('a URL of a part for anything else', async () => {
      const upload = await begin(5)
      const [url = ''] = await urlsOf(upload, [1])
      const statusOf = async (changed: string, method: string): Promise<number> =>
        (await fetch(changed, { method, ...(method === 'PUT' && { body: 'hello' }) })).status
      expect(await statusOf(url, 'GET')).toBe(403)
      expect(await statusOf(url.replace('partNumber=1', 'partNumber=2'), 'PUT')).toBe(403)
      expect(await statusOf(url.replace(upload.id, 'x'), 'PUT')).toBe(403)
      expect(await statusOf(url, 'PUT')).toBe(200)
      const head = new HeadObjectCommand({
        Bucket: app.settings.s3?.bucket,
        Key: `originals/${upload.id}`,
      })
      // A part is no object yet.
      await expect(app.s3!.client.send(head)).rejects.toMatchObject({ name: 'NotFound' })
    })
  })
})

test('without S3 there are none', async () => {
  await using app = await startApp()
  const superuser = await app.superuser()
  expect((await superuser.post(PATH, { file_name: 'a', size: 5 })).status).toBe(404)
})
