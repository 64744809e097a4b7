import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLibraryAudit } from '../../server/src/library-audit/audit-library.ts'
import { timeOfStore } from '../../server/src/library-audit/store-clock.ts'
import { sweepOrphansHandler } from '../../server/src/library-audit/sweep-orphans.ts'
import { inProcessDoorbell } from '../../server/src/ports/doorbell/in-process.ts'
import { newId } from '../../server/src/ports/ids.ts'
import { openStores } from '../../server/src/storage/stores.ts'
import { newOwner } from '../../server/src/tasks/owner.ts'
import { servedKinds } from '../../server/src/tasks/served-kinds.ts'
import type { Handlers } from '../../server/src/tasks/task.ts'
import { createWorker } from '../../server/src/tasks/worker.ts'
import { startS3Proxy } from '../faults/s3-proxy.ts'
import { beginUpload } from '../moving/installation.ts'
import { startApp, TestClock, type TestApp } from '../harness/app.ts'
import { hasS3 } from '../harness/s3.ts'
import { aReadyVideo, until, upload } from '../videos/library.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Nobody can make S3 believe that an object is older than it is: the sweep is told a later time of the store. */
describe.skipIf(!hasS3)('what belongs to nothing in a bucket', () => {
  let app: TestApp
  /** Keys of objects, and of uploads in parts. */
  let wanted: { objects: string[]; parts: string[] }
  let sourceId: number
  let pendingVideoId: number

  beforeAll(async () => {
    app = await startApp({ media: 's3', env: { UPLOAD_TTL: '1000000' } })
    const superuser = await app.superuser()
    const { id } = await aReadyVideo(app, superuser)
    const subtitles = new FormData()
    subtitles.append('language', 'eng')
    subtitles.append('file', new Blob(['WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n']), 'a.vtt')
    await superuser.request(`/admin/api/videos/${id}/subtitles/`, {
      method: 'POST',
      body: subtitles,
    })
    await app.worker.drain()
    // In work, as what its steps have left says.
    pendingVideoId = (await upload(superuser)).id
    ;({ id: sourceId } = await app.app.db
      .selectFrom('sources')
      .select('id')
      .where('video_id', '=', pendingVideoId)
      .executeTakeFirstOrThrow())
    await put(`work/${pendingVideoId}/${sourceId}/1-1/video.mp4`)
    await put(`media/videos/${pendingVideoId}/${sourceId}-1-1/120p.mp4`)
    await beginUpload(superuser, 'On its way', Buffer.alloc(1000))
    const wish = { file_name: 'straight.mp4', size: 100 }
    await superuser.post('/admin/api/direct-uploads/', wish)
    // Of another tenant, and of nobody's making that we know.
    for (const key of ['others/film.mp4', 'media/holiday.jpg', 'originals/notes.txt'])
      await put(key)
    await beginParts('others/large.mp4')
    wanted = { objects: await objects(), parts: await parts() }
  })
  afterAll(() => app.stop())

  const Bucket = (): string => app.settings.s3?.bucket ?? ''

  async function put(Key: string): Promise<void> {
    await app.s3!.client.send(new PutObjectCommand({ Bucket: Bucket(), Key, Body: 'something' }))
  }

  async function beginParts(Key: string): Promise<void> {
    const place = { Bucket: Bucket(), Key }
    const { UploadId } = await app.s3!.client.send(new CreateMultipartUploadCommand(place))
    const part = { ...place, UploadId, PartNumber: 1, Body: 'something' }
    await app.s3!.client.send(new UploadPartCommand(part))
  }

  async function objects(): Promise<string[]> {
    const keys: string[] = []
    const place = { Bucket: Bucket() }
    for await (const { Contents = [] } of paginateListObjectsV2(
      { client: app.s3!.client },
      place,
    )) {
      keys.push(...Contents.map(({ Key = '' }) => Key))
    }
    return keys.sort()
  }

  async function parts(): Promise<string[]> {
    const list = new ListMultipartUploadsCommand({ Bucket: Bucket() })
    const { Uploads = [] } = await app.s3!.client.send(list)
    return Uploads.map(({ Key = '' }) => Key).sort()
  }

  /** A worker that takes the next sweep, at a time of the store that is so much later. Gives what it has logged. */
  async function sweep(laterMs: number): Promise<Record<string, unknown>[]> {
    const logs: Record<string, unknown>[] = []
    const write = (line: string): void =>
      void logs.push(JSON.parse(line) as Record<string, unknown>)
    const log = pino({ level: 'info', base: null }, { write })
    const { settings } = app
    const { db, bucket } = app.app
    const clock = new TestClock()
    const audit = createLibraryAudit({
      ...app.app,
      multiparts: bucket!.uploads,
      uploads: settings.uploads,
      decode: null,
    })
    const timeOfStore = (): Promise<Date> => Promise.resolve(new Date(Date.now() + laterMs))
    const handlers = { sweep_orphans: sweepOrphansHandler({ log, audit, timeOfStore }) }
    await db
      .updateTable('tasks')
      .set({ due_at: clock.now() })
      .where('kind', '=', 'sweep_orphans')
      .where('finished_at', 'is', null)
      .execute()
    const worker = createWorker({
      ...{ db, clock, log, settings: settings.tasks, handlers: handlers as Handlers },
      doorbell: inProcessDoorbell(),
      kinds: servedKinds(['sweep_orphans']),
      encodings: 1,
      owner: newOwner(process.pid),
      isRunning: () => true,
    })
    worker.start()
    const hasLooked = (): boolean =>
      logs.some(({ msg }) => msg === 'looked for files that belong to nothing')
    await until(hasLooked, 'a sweep')
    await worker.drain()
    return logs
  }

  test('goes, and nothing that is young, wanted or another’s', async () => {
    expect(wanted.objects.map(placeOf)).toEqual(
      expect.arrayContaining(['originals', 'work', 'work/uploads', 'media', 'others']),
    )
    expect(wanted.objects.some((key) => key.includes('/subtitles/'))).toBe(true)
    expect(wanted.parts).toHaveLength(3)
    const lost = [
      'media/videos/900/900-1-1/720p.mp4',
      'media/videos/900/900-1-1/poster.jpg',
      'media/videos/900/subtitles/lost.vtt',
      `media/videos/${pendingVideoId}/900-1-1/120p.mp4`,
      `originals/${newId()}`,
      'work/900/900/1-1/video.mp4',
      `work/${pendingVideoId}/900/1-1/video.mp4`,
      `work/uploads/${newId()}/${newId()}`,
    ]
    for (const key of lost) await put(key)
    const lostParts = [`originals/${newId()}`, `originals/${newId()}`]
    for (const key of lostParts) await beginParts(key)

    await sweep(DAY - HOUR)
    expect(await objects()).toEqual([...wanted.objects, ...lost].sort())
    await sweep(DAY + HOUR)
    expect(await objects()).toEqual(wanted.objects)
    expect(await parts()).toEqual([...wanted.parts, ...lostParts].sort())
    // Uploads in parts are as old as UPLOAD_TTL, here eleven days, before they go.
    const logs = await sweep(12 * DAY)
    expect(await objects()).toEqual(wanted.objects)
    expect(await parts()).toEqual(wanted.parts)
    const told = logs.filter(({ msg }) => msg === 'removed what belongs to nothing')
    expect(told.map(({ key }) => `originals/${String(key)}`).sort()).toEqual(lostParts.sort())
    expect(told.map(({ store }) => store)).toEqual(['multiparts', 'multiparts'])
  })

  test('goes as well where a look at the stores was cut off', async () => {
    await using proxy = await startS3Proxy(app.settings.s3!.endpoint!)
    const stores = await openStores({
      ...app.settings,
      s3: { ...app.settings.s3!, endpoint: proxy.endpoint },
    })
    proxy.rule = ({ operation }) => (operation === 'DeleteObject' ? { kind: 'reset' } : null)
    const { originals, intermediates, media, bucket } = stores
    await Promise.allSettled([
      ...[originals, intermediates, media].map((store) => store.check()),
      bucket!.checkDelivery(),
      timeOfStore(intermediates, app.settings.tasks.workDir, AbortSignal.timeout(60_000)),
    ])
    stores.close()
    expect(await objects()).toHaveLength(wanted.objects.length + 5)
    await sweep(DAY + HOUR)
    expect(await objects()).toEqual(wanted.objects)
  })

  test('goes as well where a large file was being stored by a worker that was killed', async () => {
    const lost = ['media/videos/900/900-1-1/1080p.mp4', 'work/900/900/1-1/video.mp4']
    for (const key of lost) await beginParts(key)
    const before = await parts()
    expect(before).toEqual([...wanted.parts, ...lost].sort())
    const tidyAt = async (ms: number): Promise<void> => {
      // Each looks once an hour.
      const stores = await openStores(app.settings)
      await stores.tidy(new Date(Date.now() + ms))
      stores.close()
    }
    await tidyAt(2 * DAY - HOUR)
    expect(await parts()).toEqual(before)
    await tidyAt(2 * DAY + HOUR)
    expect(await parts()).toEqual(wanted.parts)
    expect(await objects()).toEqual(wanted.objects)
  })
})

/** The prefix of a store, or of tails of uploads. */
function placeOf(key: string): string {
  return key.startsWith('work/uploads/') ? 'work/uploads' : (key.split('/')[0] ?? '')
}
