import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Video } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { transact } from '../../server/src/db/database.ts'
import { createLibraryAudit } from '../../server/src/library-audit/audit-library.ts'
import { enqueueTidy } from '../../server/src/videos/tidy-tasks.ts'
import { outputs, type Outcome } from '../cli/commands.ts'
import { BACKENDS, mediaOf, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import {
  filesIn,
  putStored,
  removeStored,
  storedBytes,
  storedKeys,
  type StoreName,
} from '../harness/stored.ts'
import { allDone, aReadyVideo } from '../videos/library.ts'
import { envOf } from './environment.ts'

describe.each(BACKENDS)('`audit-library` on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let ids: { repaired: number; lost: number; reduced: number; unkept: number }
  beforeAll(async () => {
    // Its own sweep of uploads leaves to the command what that takes for given up.
    const env = { JOB_SWEEP_INTERVAL: '0.2', UPLOAD_TTL: '8640000' }
    app = await startApp({ backend, env })
    superuser = await app.superuser()
    const aFilm = async (): Promise<number> =>
      (await aReadyVideo(app, superuser, { film: 'h264 mp4' })).id
    ids = {
      repaired: await aFilm(),
      lost: await aFilm(),
      reduced: await aFilm(),
      unkept: await aFilm(),
    }
  })
  afterAll(() => app.stop())

  const audit = async (...args: string[]): Promise<Outcome> =>
    await outputs(['audit-library', ...args], await envOf(app))

  async function videoOf(id: number): Promise<Video> {
    return (await (await superuser.get(`/content/${id}/`)).json()) as Video
  }

  async function keysOf(id: number): Promise<{ media: string[]; original: string }> {
    const { object_key: original } = await app.app.db
      .selectFrom('sources')
      .select('object_key')
      .where('video_id', '=', id)
      .executeTakeFirstOrThrow()
    return { media: await storedKeys(app, 'media', `videos/${id}/`), original }
  }

  async function put(path: string, isOld = true): Promise<string> {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, 'something')
    const longAgo = new Date(Date.now() - 3 * 86_400_000)
    if (isOld) await utimes(path, longAgo, longAgo)
    return path
  }

  /** Other bytes of the same number from `at` on. */
  async function overwrite(key: string, at: number, bytes: Buffer): Promise<void> {
    const content = await storedBytes(app, 'media', key)
    bytes.copy(content, at)
    await putStored(app, 'media', key, content)
  }

  test('finds nothing where nothing is wrong', async () => {
    const { code, stdout } = await audit()
    expect(stdout).toBe('4 videos checked: 0 damaged. 0 files without a row, 0 of others.\n')
    expect(code).toBe(0)
  })

  test('tells each damage, and mends it where the original is there', async () => {
    const { media } = await keysOf(ids.repaired)
    const [first = '', second = ''] = media.filter((key) => /\d+p\.mp4$/.test(key))
    const poster = media.find((key) => key.endsWith('poster.jpg')) ?? ''
    await removeStored(app, 'media', poster)
    const whole = await storedBytes(app, 'media', first)
    await overwrite(first, whole.lastIndexOf('moof', undefined, 'latin1'), Buffer.from('free'))
    await putStored(app, 'media', second, 'short')
    const found = await audit('--quick')
    expect(found.code).toBe(1)
    expect(found.stdout).toMatch(/^missing {5}media\/.*poster\.jpg: it is not there \(video 1\)$/m)
    expect(found.stdout).toMatch(/^wrong index media\/.*p\.mp4: there is no moof at byte \d+/m)
    expect(found.stdout).toMatch(/^wrong size {2}media\/.*p\.mp4: it has 5 bytes, not \d+/m)
    expect(found.stdout).toContain('1 damaged. 0 files without a row')
    const fixed = await audit('--quick', '--fix')
    expect(fixed).toMatchObject({ code: 0, stderr: '' })
    expect(fixed.stdout).toContain(`video ${ids.repaired}: it is processed once more`)
    await allDone(app)
    expect((await audit()).code).toBe(0)
    expect((await videoOf(ids.repaired)).processing_state).toBe('ready')
  })

  test('what does not decode is found, wherever it is', async () => {
    const { object_key: key, fragments } = await app.app.db
      .selectFrom('fragment_indexes')
      .innerJoin('renditions', 'renditions.object_key', 'fragment_indexes.object_key')
      .innerJoin('sources', 'sources.id', 'renditions.source_id')
      .select(['renditions.object_key', 'fragments'])
      .where('video_id', '=', ids.repaired)
      .limit(1)
      .executeTakeFirstOrThrow()
    const { offsets = [], lengths = [] } = fragments.video ?? {}
    const whole = await storedBytes(app, 'media', key)
    const middle = Math.floor(offsets.length / 2)
    const start = whole.indexOf('mdat', offsets[middle], 'latin1') + 4
    const end = (offsets[middle] ?? 0) + (lengths[middle] ?? 0)
    await overwrite(key, start, Buffer.alloc(end - start, 0xa5))
    expect((await audit('--quick')).code).toBe(0)
    const found = await audit()
    expect(found.stdout).toMatch(/^undecodable media\/videos\/.*: it does not decode: /m)
    expect(found.code).toBe(1)
    expect((await audit('--fix')).code).toBe(0)
    await allDone(app)
    expect((await audit()).code).toBe(0)
  })

  test('a fault that the original has as well is no damage', async () => {
    const { media, original } = await keysOf(ids.reduced)
    const rendition = media.find((key) => key.endsWith('360p.mp4')) ?? ''
    const [film, upload] = await Promise.all([
      storedBytes(app, 'media', rendition),
      storedBytes(app, 'originals', original),
    ])
    await putStored(app, 'media', rendition, scrambled(film))
    expect((await audit()).code).toBe(1)
    await putStored(app, 'originals', original, scrambled(upload))
    expect(await audit()).toMatchObject({ code: 0, stdout: expect.stringContaining(' 0 damaged') })
    await putStored(app, 'media', rendition, film)
    await putStored(app, 'originals', original, upload)
  })

  describe('where films are lost with their originals', () => {
    let originals: Map<number, { key: string; bytes: Buffer }>
    beforeAll(async () => {
      originals = new Map()
      for (const id of [ids.lost, ids.reduced, ids.unkept]) {
        const { original: key, media } = await keysOf(id)
        originals.set(id, { key, bytes: await storedBytes(app, 'originals', key) })
        await removeStored(app, 'originals', key)
        const lost = media.filter((each) => id === ids.lost || each.endsWith('360p.mp4'))
        for (const each of id === ids.unkept ? [] : lost) await removeStored(app, 'media', each)
      }
    })

    test('changes nothing if these are most films: rather the disk is missing', async () => {
      const before = await sourcesOf(app)
      const refused = await audit('--quick', '--fix')
      expect(refused).toMatchObject({ code: 1, stdout: '' })
      expect(refused.stderr).toMatch(
        /^videoflix: Nothing is changed: 3 of 4 videos miss their originals/,
      )
      expect(refused.stderr).toContain('--fix --even-if-most-is-missing')
      expect(await sourcesOf(app)).toEqual(before)
      expect((await videoOf(ids.lost)).processing_state).toBe('ready')
    })

    test('ends with a sentence, or offers the rest, if that is accepted', async () => {
      const fixed = await audit('--quick', '--fix', '--even-if-most-is-missing')
      expect(fixed.code).toBe(0)
      expect(await videoOf(ids.lost)).toMatchObject({
        processing_state: 'error',
        processing_error: expect.stringContaining('Upload the film again.'),
        converted_files: {},
        image_file: null,
      })
      const playing = await videoOf(ids.reduced)
      expect(playing.processing_state).toBe('ready')
      expect(Object.keys(playing.converted_files)).toEqual(['120p'])
      const kept = await videoOf(ids.unkept)
      expect(kept).toMatchObject({ processing_state: 'ready' })
      const retry = await superuser.post(`/admin/api/videos/${ids.unkept}/retry/`)
      expect(retry.status).toBe(409)
      expect(await audit('--quick')).toMatchObject({ code: 0 })
    })

    test('uses originals again that are there after all', async () => {
      const putBack = async (id: number): Promise<void> => {
        const { key, bytes } = originals.get(id)!
        await putStored(app, 'originals', key, bytes)
      }
      await Promise.all([putBack(ids.lost), putBack(ids.unkept)])
      const found = await audit('--quick')
      expect(found.code).toBe(1)
      expect(
        found.stdout.match(/^found again originals\/.*: it is there and whole/gm),
      ).toHaveLength(2)
      const fixed = await audit('--quick', '--fix')
      expect(fixed).toMatchObject({ code: 0, stderr: '' })
      expect(fixed.stdout).toContain(`video ${ids.lost}: it is processed once more`)
      expect(fixed.stdout).toContain(`video ${ids.unkept}: its original is there`)
      await allDone(app)
      const again = await videoOf(ids.lost)
      expect(again.processing_state).toBe('ready')
      expect(Object.keys(again.converted_files)).toEqual(['120p', '360p'])
      expect(await audit('--quick')).toMatchObject({ code: 0 })
      const retry = await superuser.post(`/admin/api/videos/${ids.unkept}/retry/`)
      expect(retry.status).toBe(200)
      await allDone(app)
    })

    test('leaves alone an original that is about to be removed', async () => {
      const { key, bytes } = originals.get(ids.reduced)!
      await putStored(app, 'originals', key, bytes)
      const now = new Date()
      const later = new Date(now.getTime() + 86_400_000)
      await transact(app.app.db, (trx) => enqueueTidy(trx, ids.reduced, [key], later))
      expect(await audit('--quick')).toMatchObject({ code: 0 })
      await app.app.db
        .deleteFrom('tasks')
        .where('subject', '=', `tidy:${ids.reduced}`)
        .where('due_at', '>', now)
        .execute()
      expect((await audit('--quick')).stdout).toContain(`found again originals/${key}`)
      await removeStored(app, 'originals', key)
    })
  })

  // Objects in a bucket are as old as they are: there is the test after this one.
  test.runIf(mediaOf(backend) === 'local')(
    'removes files that belong to nothing, and none that is young, in work, or another’s',
    async () => {
      const { media, intermediatesDir, originalsDir, uploads } = app.settings
      const source = await app.app.db
        .selectFrom('sources')
        .select('id')
        .where('video_id', '=', ids.reduced)
        .executeTakeFirstOrThrow()
      const orphans = await Promise.all([
        put(join(media.root, `videos/${ids.reduced}/${source.id}-999-1/720p.mp4`)),
        put(join(media.root, 'videos/900/900-1-1/720p.mp4')),
        put(join(media.root, 'videos/900/subtitles/lost.vtt')),
        put(join(originalsDir, 'A23456789012345678901_')),
        put(join(intermediatesDir, `${ids.reduced}/${source.id}/1-1/video.mp4`)),
        put(join(uploads.dir, 'B23456789012345678901_')),
      ])
      const worked = await aSourceInWork()
      const others = await Promise.all([
        put(join(media.root, 'videos/holiday 2019.mp4')),
        put(join(media.root, 'videos/900/900-1-1/young.mp4'), false),
        put(join(media.root, `videos/${worked.videoId}/${worked.id}-1-1/720p.mp4`)),
        put(join(intermediatesDir, `${worked.videoId}/${worked.id}/1-1/video.mp4`)),
        put(join(originalsDir, worked.key)),
      ])
      const found = (await audit('--quick', '--json')).stdout.trim().split('\n')
      const lines = found.map((line) => JSON.parse(line) as Record<string, unknown>)
      expect(lines.at(-1)).toEqual({
        summary: { sources: 4, damaged: 0, orphans: 6, foreign: 1, fixed: 0 },
      })
      expect(lines.filter(({ finding }) => finding)).toHaveLength(7)
      expect((await audit('--quick', '--fix')).code).toBe(0)
      const left = await Promise.all(
        [media.root, originalsDir, intermediatesDir, uploads.dir].map(filesIn),
      )
      for (const path of orphans) expect(isAmong(left.flat(), path)).toBe(false)
      for (const path of others) expect(isAmong(left.flat(), path)).toBe(true)
    },
  )

  test('finds what belongs to nothing, once it is old', async () => {
    const worked = await aSourceInWork()
    const orphans: [StoreName, string][] = [
      ['media', 'videos/901/901-1-1/720p.mp4'],
      ['media', 'videos/901/subtitles/lost.vtt'],
      ['originals', 'E23456789012345678901_'],
      ['intermediates', '901/901/1-1/video.mp4'],
    ]
    const others: [StoreName, string][] = [
      ['media', `videos/${worked.videoId}/${worked.id}-1-1/720p.mp4`],
      ['intermediates', `${worked.videoId}/${worked.id}/1-1/video.mp4`],
      ['originals', worked.key],
    ]
    for (const [store, key] of [...orphans, ...others]) await putStored(app, store, key, 'x')
    const found = async (ageMs: number): Promise<string[]> => {
      const libraryAudit = createLibraryAudit({
        ...app.app,
        clock: { now: () => new Date(Date.now() + ageMs) },
        uploads: app.settings.uploads,
        decode: null,
        multiparts: null,
      })
      const keys: string[] = []
      for await (const orphan of libraryAudit.orphans()) {
        if (!orphan.key.includes('901')) continue
        keys.push(orphan.key)
        await libraryAudit.remove(orphan)
      }
      return keys.sort()
    }
    const keys = orphans.map(([, key]) => key).sort()
    expect(await found(0)).toEqual([])
    expect(await found(2 * 3_600_000)).toEqual(keys)
    expect(await found(2 * 3_600_000)).toEqual([])
    for (const [store, key] of others) expect(await storedKeys(app, store)).toContain(key)
  })

  test('ends uploads in parts that nobody knows of', async () => {
    const now = new Date()
    await app.app.db
      .insertInto('direct_uploads')
      .values({
        id: 'D23456789012345678901_',
        store_id: 'known',
        file_name: 'film.mp4',
        size_bytes: 1,
        part_bytes: 1,
        sealed_at: null,
        created_at: now,
        expires_at: now,
      })
      .execute()
    const aborted: string[] = []
    const libraryAudit = createLibraryAudit({
      ...app.app,
      uploads: app.settings.uploads,
      decode: null,
      multiparts: {
        async *listBegunBefore(time) {
          expect(now.getTime() - time.getTime()).toBeGreaterThan(86_400_000)
          yield* await Promise.resolve(['known', 'lost'].map((id) => ({ key: `key-${id}`, id })))
        },
        abort: (key, id) => {
          aborted.push(`${key} ${id}`)
          return Promise.resolve()
        },
      },
    })
    for await (const orphan of libraryAudit.orphans()) {
      if (orphan.store === 'multiparts') await libraryAudit.remove(orphan)
    }
    expect(aborted).toEqual(['key-lost lost'])
  })

  let works = 10
  /** One that a worker on another machine has in hand. */
  async function aSourceInWork(): Promise<{ id: number; videoId: number; key: string }> {
    const now = new Date()
    const key = `C234567890123456789${(works += 1)}_`.padEnd(22, '_')
    const video = await app.app.db
      .insertInto('videos')
      .values({
        ...{ title: `In work ${works}`, description: '', category: 'Other' },
        ...{ created_at: now, updated_at: now, published_source_id: null, source_id: null },
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    const { id } = await app.app.db
      .insertInto('sources')
      .values({
        ...{ video_id: video.id, upload_id: key, object_key: key, file_name: 'film.mp4' },
        ...{ size_bytes: 9, sha256: null, state: 'processing', created_at: now, updated_at: now },
        ...{ error_code: null, error_message: null },
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    return { id, videoId: video.id, key }
  }
})

async function sourcesOf({ app }: TestApp): Promise<unknown[]> {
  return await app.db.selectFrom('sources').selectAll().orderBy('id').execute()
}

/** Some of its pictures are not what they were. */
function scrambled(film: Buffer): Buffer {
  const start = film.lastIndexOf('mdat', undefined, 'latin1') + 1000
  return Buffer.from(film).fill(0xa5, start, start + 2000)
}

function isAmong(files: string[], path: string): boolean {
  return files.some((file) => path.endsWith(`/${file}`))
}
