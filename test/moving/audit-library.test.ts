import { mkdir, readFile, rm, unlink, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Video } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLibraryAudit } from '../../server/src/library-audit/audit-library.ts'
import { outputs, type Outcome } from '../cli/commands.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { allDone, aReadyVideo, filesIn } from '../videos/library.ts'
import { envOf } from './environment.ts'

describe.each(BACKENDS)('`audit-library` on %s', (backend) => {
  let app: TestApp
  let superuser: Client
  let ids: { repaired: number; lost: number; reduced: number; unkept: number }
  beforeAll(async () => {
    app = await startApp({ backend, env: { JOB_SWEEP_INTERVAL: '0.2' } })
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

  const audit = (...args: string[]): Promise<Outcome> =>
    outputs(['audit-library', ...args], envOf(app))

  async function videoOf(id: number): Promise<Video> {
    return (await (await superuser.get(`/content/${id}/`)).json()) as Video
  }

  async function filesOf(id: number): Promise<{ media: string[]; original: string }> {
    const root = app.settings.media.root
    const { object_key: key } = await app.app.db
      .selectFrom('sources')
      .select('object_key')
      .where('video_id', '=', id)
      .executeTakeFirstOrThrow()
    const media = (await filesIn(root)).filter((file) => file.startsWith(`videos/${id}/`))
    return {
      media: media.map((file) => join(root, file)),
      original: join(app.settings.originalsDir, key),
    }
  }

  async function put(path: string, isOld = true): Promise<string> {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, 'something')
    const longAgo = new Date(Date.now() - 3 * 86_400_000)
    if (isOld) await utimes(path, longAgo, longAgo)
    return path
  }

  /** Other bytes of the same number from `at` on. The file may have other names, so it is a new one. */
  async function overwrite(path: string, at: number, bytes: Buffer): Promise<void> {
    const content = await readFile(path)
    bytes.copy(content, at)
    await unlink(path)
    await writeFile(path, content)
  }

  test('finds nothing where nothing is wrong', async () => {
    const { code, stdout } = await audit('--decode')
    expect(stdout).toBe('4 videos checked: 0 damaged. 0 files without a row, 0 of others.\n')
    expect(code).toBe(0)
  })

  test('tells each damage, and mends it where the original is there', async () => {
    const { media } = await filesOf(ids.repaired)
    const [first = '', second = ''] = media.filter((file) => /\d+p\.mp4$/.test(file))
    await rm(media.find((file) => file.endsWith('poster.jpg')) ?? '')
    const whole = await readFile(first)
    await overwrite(first, whole.lastIndexOf('moof', undefined, 'latin1'), Buffer.from('free'))
    await unlink(second)
    await writeFile(second, 'short')
    const found = await audit()
    expect(found.code).toBe(1)
    expect(found.stdout).toMatch(/^missing {5}media\/.*poster\.jpg: it is not there \(video 1\)$/m)
    expect(found.stdout).toMatch(/^wrong index media\/.*p\.mp4: there is no moof at byte \d+/m)
    expect(found.stdout).toMatch(/^wrong size {2}media\/.*p\.mp4: it has 5 bytes, not \d+/m)
    expect(found.stdout).toContain('1 damaged. 0 files without a row')
    const fixed = await audit('--fix')
    expect(fixed).toMatchObject({ code: 0, stderr: '' })
    expect(fixed.stdout).toContain(`video ${ids.repaired}: it is processed once more`)
    await allDone(app)
    expect((await audit('--decode')).code).toBe(0)
    expect((await videoOf(ids.repaired)).processing_state).toBe('ready')
  })

  test('what does not decode is found by decoding alone', async () => {
    const { object_key: key, fragments } = await app.app.db
      .selectFrom('fragment_indexes')
      .innerJoin('renditions', 'renditions.object_key', 'fragment_indexes.object_key')
      .innerJoin('sources', 'sources.id', 'renditions.source_id')
      .select(['renditions.object_key', 'fragments'])
      .where('video_id', '=', ids.repaired)
      .limit(1)
      .executeTakeFirstOrThrow()
    const path = join(app.settings.media.root, key)
    const { offsets = [], lengths = [] } = fragments.video ?? {}
    const start = (await readFile(path)).indexOf('mdat', offsets[0], 'latin1') + 4
    const end = (offsets[0] ?? 0) + (lengths[0] ?? 0)
    await overwrite(path, start, Buffer.alloc(end - start, 0xa5))
    expect((await audit()).code).toBe(0)
    const { code, stdout } = await audit('--decode', '--fix')
    expect(stdout).toMatch(/^undecodable media\/videos\//m)
    expect(code).toBe(0)
    await allDone(app)
  })

  test('what cannot be mended ends with a sentence, or is not offered any more', async () => {
    const lost = await filesOf(ids.lost)
    for (const path of [...lost.media, lost.original]) await unlink(path)
    const reduced = await filesOf(ids.reduced)
    const rendition = reduced.media.find((file) => file.endsWith('360p.mp4')) ?? ''
    for (const path of [rendition, reduced.original]) await unlink(path)
    await unlink((await filesOf(ids.unkept)).original)

    const fixed = await audit('--fix')
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
    expect(await audit()).toMatchObject({ code: 0 })
  })

  test('removes what belongs to nothing, and nothing that is young, in work, or another’s', async () => {
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
    const found = (await audit('--json')).stdout.trim().split('\n')
    const lines = found.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.at(-1)).toEqual({
      summary: { sources: 4, damaged: 0, orphans: 6, foreign: 1, fixed: 0 },
    })
    expect(lines.filter(({ finding }) => finding)).toHaveLength(7)
    expect((await audit('--fix')).code).toBe(0)
    const left = await Promise.all(
      [media.root, originalsDir, intermediatesDir, uploads.dir].map(filesIn),
    )
    for (const path of orphans) expect(isAmong(left.flat(), path)).toBe(false)
    for (const path of others) expect(isAmong(left.flat(), path)).toBe(true)
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

  /** One that a worker on another machine has in hand. */
  async function aSourceInWork(): Promise<{ id: number; videoId: number; key: string }> {
    const now = new Date()
    const key = 'C23456789012345678901_'
    const video = await app.app.db
      .insertInto('videos')
      .values({
        ...{ title: 'In work', description: '', category: 'Other' },
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

function isAmong(files: string[], path: string): boolean {
  return files.some((file) => path.endsWith(`/${file}`))
}
