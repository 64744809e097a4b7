import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../test/harness/app.ts'
import { meetingOf } from '../../../test/harness/barrier.ts'
import { startDatabases, type Databases } from '../../../test/harness/database.ts'
import { transact, type Database } from '../db/database.ts'
import type { SourceRow } from '../db/tables.ts'
import type { EncodePart } from '../media/parts.ts'
import type { SourcePlan } from '../media/plan.ts'
import { addPlannedSteps, packageWhatIsReady } from './follow-up.ts'
import { finishStep, listSteps } from './step-rows.ts'
import type { PackageStep } from './step.ts'

const NOW = new Date('2026-06-19T12:00:00.000Z')

describe.each(BACKENDS)('on %s', (backend) => {
  let databases: Databases
  let db: Database
  let sources = 0
  beforeAll(async () => {
    databases = await startDatabases(backend)
    db = (await databases.migrated()).db
  })
  afterAll(() => databases.stop())

  async function aSource(): Promise<SourceRow> {
    const title = `Film ${(sources += 1)}`
    const video = await db
      .insertInto('videos')
      .values({
        ...{ title, description: '', category: 'Drama', created_at: NOW, updated_at: NOW },
        ...{ published_source_id: null, source_id: null },
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    return await db
      .insertInto('sources')
      .values({
        ...{ video_id: video.id, upload_id: title, object_key: title, file_name: 'film.mp4' },
        ...{ size_bytes: 1, sha256: null, state: 'processing', created_at: NOW, updated_at: NOW },
        ...{ error_code: null, error_message: null },
      })
      .returningAll()
      .executeTakeFirstOrThrow()
  }

  function aPart(name: string, rungs: string[], hasAudio = false): EncodePart {
    return { name, rungs, range: null, hasAudio, hasStills: false }
  }

  async function planned(parts: EncodePart[], copied: string | null = null): Promise<SourceRow> {
    const source = await aSource()
    const names = [...new Set(parts.flatMap(({ rungs }) => rungs))]
    const plan = {
      ...{ parts, rungs: names.map((name) => ({ name })), copied: copied && { name: copied } },
      ...{ audio: parts.some(({ hasAudio }) => hasAudio) ? [{}] : [], subtitles: [] },
    } as unknown as SourcePlan
    await transact(db, (trx) => addPlannedSteps(trx, source, plan, NOW))
    return source
  }

  /** Ends a step, and waits inside of the transaction for others to have come as far. */
  async function end(
    { id }: SourceRow,
    name: string,
    meet: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const step = (await listSteps(db, id)).find((each) => each.name === name)!
    await transact(db, async (trx) => {
      await finishStep(trx, step.id, { result: { files: {} }, output: '', now: NOW })
      await meet()
      await packageWhatIsReady(trx, id, NOW)
    })
  }

  async function packaging({ id }: SourceRow): Promise<[string, PackageStep][]> {
    const steps = (await listSteps(db, id)).filter(({ kind }) => kind === 'package')
    return steps.map(({ name, part }) => [name, part as PackageStep])
  }

  test('all rungs of a short film are packaged at once, with the other languages', async () => {
    const source = await planned([aPart('encode', ['360p', '120p'], true)])
    expect(await packaging(source)).toEqual([])
    await end(source, 'encode')
    expect(await packaging(source)).toEqual([
      ['package 120p, 360p', { rungs: ['120p', '360p'], hasOtherAudio: true }],
    ])
  })

  test('a rung of a long film is packaged when its last chunk and the sound are there', async () => {
    const source = await planned([
      aPart('encode small', ['120p'], true),
      aPart('encode 1/2', ['720p', '360p']),
      aPart('encode 2/2', ['720p', '360p']),
    ])
    await end(source, 'encode 2/2')
    await end(source, 'encode 1/2')
    expect(await packaging(source)).toEqual([])
    await end(source, 'encode small')
    expect(await packaging(source)).toEqual([
      ['package 120p', { rungs: ['120p'], hasOtherAudio: true }],
      ['package 360p', { rungs: ['360p'], hasOtherAudio: false }],
      ['package 720p', { rungs: ['720p'], hasOtherAudio: false }],
    ])
  })

  test('nothing is packaged twice, however often it is looked', async () => {
    const source = await planned([aPart('encode', ['360p'])])
    await end(source, 'encode')
    await transact(db, (trx) => packageWhatIsReady(trx, source.id, NOW))
    expect(await packaging(source)).toHaveLength(1)
    const tasks = await db
      .selectFrom('tasks')
      .select('id')
      .where('kind', '=', 'package_rungs')
      .where('subject', '=', `video:${source.video_id}`)
      .execute()
    expect(tasks).toHaveLength(1)
  })

  test('of two parts that end at once, the second sees both', async () => {
    for (let round = 1; round <= 5; round += 1) {
      const source = await planned([aPart('encode 1/2', ['360p']), aPart('encode 2/2', ['360p'])])
      // SQLite has one writer at a time: nobody to meet.
      const meet = backend === 'postgres' ? meetingOf(2) : undefined
      await Promise.all([end(source, 'encode 1/2', meet), end(source, 'encode 2/2', meet)])
      expect(await packaging(source)).toHaveLength(1)
    }
  })
})
