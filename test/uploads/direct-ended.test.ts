import { readFile } from 'node:fs/promises'
import type { DirectUpload } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MultipartUploads } from '../../server/src/ports/object-store/s3-multipart.ts'
import { createDirectUploads, type DirectUploads } from '../../server/src/uploads/direct-uploads.ts'
import { AppError } from '../../server/src/errors.ts'
import type { Library } from '../../server/src/videos/library.ts'
import { film } from '../films.ts'
import { barrier } from '../harness/barrier.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { hasS3 } from '../harness/s3.ts'
import { storedKeys } from '../harness/stored.ts'
import { aTitle, SHORT, upload as uploadForm } from '../videos/library.ts'

const PATH = '/admin/api/direct-uploads/'
const NOBODY = { userId: null, address: null }
const HOUR_MS = 3_600_000

describe.skipIf(!hasS3).each(BACKENDS)(
  'an upload straight to the bucket that ends while it is completed, on %s',
  (backend) => {
    let app: TestApp
    let superuser: Client
    beforeAll(async () => {
      app = await startApp({ backend, media: 's3' })
      superuser = await app.superuser()
      // Processing is another journey.
      await app.worker.drain()
    })
    afterAll(() => app.stop())

    /** All of it. */
    async function sent(): Promise<string> {
      const body = new Uint8Array(await readFile(await film(SHORT)))
      const begun = await superuser.post(PATH, { file_name: 'a.mp4', size: body.length })
      const { id } = (await begun.json()) as DirectUpload
      const reply = await superuser.post(`${PATH}${id}/parts/`, { numbers: [1] })
      const { parts } = (await reply.json()) as { parts: { url: string }[] }
      expect((await fetch(parts[0]!.url, { method: 'PUT', body })).status).toBe(200)
      return id
    }

    /** Another server of the same site, some of whose steps meet with something. */
    function another(change: {
      parts?: Partial<MultipartUploads>
      library?: Partial<Library>
    }): DirectUploads {
      const { db, clock, originals, bucket } = app.app
      const parts = { ...bucket!.uploads, ...change.parts }
      const library = { ...app.app.library, ...change.library }
      const settings = app.settings.uploads
      return createDirectUploads({ db, clock, settings, parts, originals, library })
    }

    async function isGone(id: string): Promise<void> {
      expect(await app.app.library.findByUpload(id)).toBeNull()
      expect(await storedKeys(app, 'originals', id)).toEqual([])
    }

    async function completeInVain(id: string): Promise<void> {
      const title = aTitle()
      await uploadForm(superuser, { bad: 'text', title })
      expect((await superuser.post(`${PATH}${id}/complete/`, { title })).status).toBe(400)
    }

    test.each<[string, (id: string) => Promise<void>]>([
      [
        'given up',
        async (id) => {
          await completeInVain(id)
          expect((await superuser.delete(`${PATH}${id}/`)).status).toBe(204)
        },
      ],
      ['expired', () => another({}).removeAbandoned(new Date(Date.now() + 72 * HOUR_MS))],
    ])('as it is %s, is no video without a file', async (_how, end) => {
      const id = await sent()
      const [stored, ended] = [barrier(), barrier()]
      const slow = another({
        library: {
          async add(...video) {
            stored.open()
            await ended.opened
            return await app.app.library.add(...video)
          },
        },
      })
      const completed = slow.complete(id, {}, NOBODY).catch((error: unknown) => error)
      await stored.opened
      expect(await storedKeys(app, 'originals', id)).toEqual([id])
      await end(id)
      ended.open()
      expect(await completed).toMatchObject({
        code: 'conflict',
        message: 'This upload was ended meanwhile: begin another.',
      })
      await isGone(id)
    })

    test('leaves nothing of what was joined after the rest was removed', async () => {
      const id = await sent()
      const [joining, ended] = [barrier(), barrier()]
      const slow = another({
        parts: {
          async complete(...upload) {
            joining.open()
            await ended.opened
            await app.app.bucket!.uploads.complete(...upload)
          },
        },
      })
      const completed = slow.complete(id, {}, NOBODY).catch((error: unknown) => error)
      await joining.opened
      // What a store joins already, it does not abort.
      await another({ parts: { abort: () => Promise.resolve() } }).abort(id)
      ended.open()
      expect(await completed).toMatchObject({ code: 'conflict' })
      await isGone(id)
    })

    test('is given up also while the store is away, and swept when that is back', async () => {
      const id = await sent()
      const away = (): Promise<never> => Promise.reject(new AppError('unavailable', 'S3 is away.'))
      await another({ parts: { abort: away } }).abort(id)
      expect((await superuser.get(`${PATH}${id}/`)).status).toBe(404)
      const aMonth = new Date(Date.now() + 30 * 24 * HOUR_MS)
      await another({}).removeAbandoned(aMonth)
      for await (const { key } of app.app.bucket!.uploads.listBegunBefore(aMonth)) {
        expect(key).not.toBe(id)
      }
    })

    test('is not made again of what was completed before its video was deleted', async () => {
      const id = await sent()
      const complete = (): Promise<Response> => superuser.post(`${PATH}${id}/complete/`, {})
      const { id: video } = (await (await complete()).json()) as { id: number }
      expect((await complete()).status).toBe(201)
      expect((await superuser.delete(`/admin/api/videos/${video}/`)).status).toBe(204)
      const again = await complete()
      expect(again.status).toBe(409)
      expect(await again.json()).toEqual({
        detail: 'The video of this upload was deleted: begin another upload.',
      })
      expect(await app.app.library.findByUpload(id)).toBeNull()
    })

    test('is a video or has ended, when both are wanted at once', async () => {
      for (let round = 0; round < 8; round += 1) {
        const id = await sent()
        const [completed, given] = await Promise.all([
          superuser.post(`${PATH}${id}/complete/`, {}),
          superuser.delete(`${PATH}${id}/`),
        ])
        const isVideo = completed.status === 201
        expect(isVideo ? [201] : [404, 409]).toContain(completed.status)
        expect(given.status).toBe(isVideo ? 409 : 204)
        expect(await storedKeys(app, 'originals', id)).toEqual(isVideo ? [id] : [])
      }
    })
  },
)
