import { existsSync } from 'node:fs'
import { readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newOwner } from '../../server/src/tasks/owner.ts'
import { folderPlace } from '../../server/src/uploads/folder-place.ts'
import { startUploadSweep } from '../../server/src/uploads/sweep.ts'
import { createTusUploads, type TusUploads } from '../../server/src/uploads/tus.ts'
import { uploadLocker } from '../../server/src/uploads/upload-locks.ts'
import { film } from '../films.ts'
import { barrier, type Barrier } from '../harness/barrier.ts'
import { BACKENDS, startApp, THIS_PROCESS, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { SHORT } from '../videos/library.ts'

const TUS = { 'tus-resumable': '1.0.0' }

/** One that takes its time to make a video of a whole upload. */
interface SlowServer extends TusUploads {
  begun: Promise<void>
  goOn(): void
}

describe.each(BACKENDS)('a whole upload of a site with several servers, on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let bytes: Buffer
  beforeAll(async () => {
    app = await startApp({ backend, media: 'local' })
    superuser = await app.superuser()
    // Processing is another journey.
    await app.worker.drain()
    bytes = await readFile(await film(SHORT))
  })
  afterAll(() => app.stop())

  /** All bytes have arrived, and the program was ended before it made a video of them. */
  async function leftWhole(): Promise<{ id: string; path: string }> {
    const reply = await superuser.request('/admin/api/uploads/', {
      method: 'POST',
      headers: { ...TUS, 'upload-length': String(bytes.length) },
    })
    const { pathname: path } = new URL(reply.headers.get('location') ?? '', app.origin)
    const id = path.split('/').at(-1) ?? ''
    await writeFile(join(app.settings.uploads.dir, id), bytes)
    return { id, path }
  }

  /** Its client asks for what all bytes are to become. */
  function finish(path: string): Promise<Response> {
    const headers = {
      ...{ ...TUS, 'upload-offset': String(bytes.length) },
      'content-type': 'application/offset+octet-stream',
    }
    return superuser.request(path, { method: 'PATCH', headers })
  }

  function slowServer(): SlowServer {
    const [begun, goOn]: Barrier[] = [barrier(), barrier()]
    const { db, clock, library, staging, intake } = app.app
    const settings = app.settings.uploads
    const place = folderPlace({
      ...{ settings, staging },
      async intake(...upload) {
        begun!.open()
        await goOn!.opened
        return await intake(...upload)
      },
    })
    const locker = uploadLocker({ db, clock, process: THIS_PROCESS })
    const onError = (error: unknown): void => {
      throw error
    }
    const uploads = createTusUploads({ settings, place, locker, library, onError })
    return { ...uploads, begun: begun!.opened, goOn: () => goOn!.open() }
  }

  const locks = () => app.app.db.selectFrom('upload_locks').select('upload_id').execute()

  test('is made a video by one of them: others pass it by, and a client there gets the same', async () => {
    const { id, path } = await leftWhole()
    const first = slowServer()
    const finished = first.finishWhole()
    await first.begun

    const second = slowServer()
    const passedBy = second.finishWhole().then(() => 'passed by')
    expect(await Promise.race([passedBy, second.begun])).toBe('passed by')

    const asked = await superuser.request(path, { method: 'HEAD', headers: TUS })
    expect([asked.status, asked.headers.get('upload-offset')]).toEqual([200, `${bytes.length}`])
    const again = finish(path)
    const isWanted = async (): Promise<boolean> =>
      (await app.app.db.selectFrom('upload_locks').select('is_wanted').execute()).some(
        (lock) => lock.is_wanted,
      )
    await expect.poll(isWanted).toBe(true)
    expect(await app.app.library.findByUpload(id)).toBeNull()
    first.goOn()
    await finished
    const video = await app.app.library.findByUpload(id)
    expect(video).not.toBeNull()
    expect((await again).headers.get('x-video-id')).toBe(String(video))
    expect(await locks()).toEqual([])
  })

  test('has no end, however long it waits, and its client is told that all has arrived', async () => {
    const { id, path } = await leftWhole()
    const longAgo = new Date(Date.now() - 2 * app.settings.uploads.ttlMs)
    await utimes(join(app.settings.uploads.dir, id), longAgo, longAgo)
    const asked = await superuser.request(path, { method: 'HEAD', headers: TUS })
    expect([asked.status, asked.headers.get('upload-offset')]).toEqual([200, `${bytes.length}`])
    const video = Number((await finish(path)).headers.get('x-video-id'))
    expect(await app.app.library.findByUpload(id)).toBe(video)
  })

  test('does not bring back a video that was deleted before its file was', async () => {
    const { id, path } = await leftWhole()
    const file = join(app.settings.uploads.dir, id)
    const description = await readFile(`${file}.json`)
    const video = Number((await finish(path)).headers.get('x-video-id'))
    await app.app.library.remove(video, { userId: null, address: null })
    // As if the program had been killed between the two.
    await writeFile(`${file}.json`, description)
    await writeFile(file, bytes)
    const refused = await finish(path)
    expect([refused.status, await refused.json()]).toEqual([
      400,
      { video_file: ['The video of this upload was deleted: begin another upload.'] },
    ])
    expect(await app.app.library.findByUpload(id)).toBeNull()
    expect(existsSync(file)).toBe(false)
  })

  describe('is made a video by another when the one that was at it has died', () => {
    async function leftInTheMiddle(owner: string): Promise<string> {
      const { id } = await leftWhole()
      const held_until = new Date(app.clock.now().getTime() + 10_000)
      const lock = { upload_id: `${id}/finishing`, owner, held_until, is_wanted: false }
      await app.app.db.insertInto('upload_locks').values(lock).execute()
      return id
    }

    function survivor(): TusUploads {
      const { db, clock, library, staging, intake } = app.app
      const settings = app.settings.uploads
      return createTusUploads({
        ...{ settings, library },
        place: folderPlace({ settings, staging, intake }),
        locker: uploadLocker({ db, clock, process: { ...THIS_PROCESS, isRunning: () => false } }),
        onError: (error) => expect.unreachable(String(error)),
      })
    }

    test('at once, if both are processes of one machine', async () => {
      const id = await leftInTheMiddle(newOwner(4_000_000))
      await survivor().finishWhole()
      expect(await app.app.library.findByUpload(id)).not.toBeNull()
      expect(await locks()).toEqual([])
    })

    test('soon, if it had a machine of its own', async () => {
      const id = await leftInTheMiddle('another-machine/pid:[4026531836] 7 A23456789012345678901_')
      await survivor().finishWhole()
      expect(await app.app.library.findByUpload(id)).toBeNull()
      app.clock.advance(15_000)
      await survivor().finishWhole()
      expect(await app.app.library.findByUpload(id)).not.toBeNull()
      expect(await locks()).toEqual([])
    })
  })

  test.runIf(backend === 'sqlite')(
    'does not keep its server from ending, however long it takes',
    async () => {
      const { id } = await leftWhole()
      const uploads = slowServer()
      const { clock, staging } = app.app
      const log = pino({ level: 'silent' })
      const sweep = startUploadSweep({ clock, log, staging, uploads, directUploads: null })
      await uploads.begun
      await sweep.stop()
      expect(await app.app.library.findByUpload(id)).toBeNull()
      uploads.goOn()
      await expect.poll(() => app.app.library.findByUpload(id)).not.toBeNull()
      await expect.poll(locks).toEqual([])
    },
  )
})
