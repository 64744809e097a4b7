import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  databaseSettings,
  type DatabaseSettings,
} from '../../server/src/config/database-settings.ts'
import { openDatabase, type Database } from '../../server/src/db/database.ts'
import { migrate } from '../../server/src/db/migrate.ts'
import { DatabaseAway } from '../../server/src/db/outage.ts'
import { TaskFailure } from '../../server/src/tasks/task.ts'
import { startApp } from '../harness/app.ts'
import { startPostgres, type Postgres } from '../harness/postgres.ts'
import { has } from '../harness/programs.ts'
import { aMediaTask, aWorkshop, pausing, taskOf } from '../harness/workshop.ts'
import { adminVideo, upload } from '../videos/library.ts'

const SOON = { timeout: 60_000, interval: 50 }

describe.skipIf(!has('postgres'))('work while PostgreSQL goes away', () => {
  let postgres: Postgres
  let settings: DatabaseSettings
  let db: Database
  beforeAll(async () => {
    postgres = await startPostgres()
    settings = databaseSettings({ DATABASE_URL: await postgres.databaseUrl() }, '')
    db = await openDatabase(settings)
    await migrate(db, 'postgres')
  })
  beforeEach(() => db.deleteFrom('tasks').execute())
  afterAll(async () => {
    await db.destroy()
    await postgres.stop()
  })

  const untilEnded = (id: number) =>
    expect.poll(async () => (await taskOf(db, id).catch(() => null))?.outcome, SOON).toBe('done')

  test('an outage shorter than the lease costs nothing', async () => {
    const film = pausing()
    await using shop = aWorkshop({ db, settings: { leaseMs: 60_000 }, media: (t) => film.run(t) })
    const id = await aMediaTask(db)
    shop.worker.start()
    const { signal } = await film.begun
    await postgres.kill()
    // It ends in the middle of the outage, and cannot tell.
    film.go()
    await expect(taskOf(db, id)).rejects.toBeInstanceOf(DatabaseAway)
    await postgres.comeBack()
    await untilEnded(id)
    expect(signal.reason).not.toBeInstanceOf(DatabaseAway)
    expect(await taskOf(db, id)).toMatchObject({ attempts: 1, lease_token: 1, failures: 0 })
    expect(shop.runs).toHaveLength(1)
  })

  test('a longer one stops the run, and the task is done again without having failed', async () => {
    const film = pausing()
    let isAgain = false
    await using shop = aWorkshop({
      db,
      settings: { leaseMs: 900, sweepIntervalMs: 200 },
      async media(task) {
        if (isAgain) return await task.commit(() => Promise.resolve())
        await film.obedient(task)
      },
    })
    const id = await aMediaTask(db)
    shop.worker.start()
    const { signal } = await film.begun
    await postgres.kill()
    await expect.poll(() => signal.reason, SOON).toBeInstanceOf(DatabaseAway)
    isAgain = true
    await postgres.comeBack()
    await untilEnded(id)
    // The run before it may give its attempt back a moment after the next one has begun.
    await shop.worker.drain()
    expect(await taskOf(db, id)).toMatchObject({ attempts: 1, failures: 0, last_error: null })
    expect(shop.givenUp).toEqual([])
  })

  test('ten outages in a row use up no attempts', async () => {
    let outages = 0
    const id = await aMediaTask(db)
    await using shop = aWorkshop({
      db,
      settings: { attempts: 1, sweepIntervalMs: 100 },
      async media(task) {
        if ((outages += 1) <= 10) throw new DatabaseAway(new Error('gone'))
        await task.commit(() => Promise.resolve())
      },
    })
    shop.worker.start()
    await untilEnded(id)
    expect(await taskOf(db, id)).toMatchObject({ attempts: 1, failures: 0 })
    expect(shop.runs).toHaveLength(11)
    expect(shop.givenUp).toEqual([])
  })

  test('a failure that cannot be written at once is written later, once', async () => {
    const film = pausing()
    await using shop = aWorkshop({
      db,
      settings: { attempts: 1 },
      async media(task) {
        await film.obedient(task).catch(() => {})
        throw new TaskFailure('broken', 'It is broken.', { permanent: true })
      },
    })
    const id = await aMediaTask(db)
    shop.worker.start()
    await film.begun
    await postgres.kill()
    film.go()
    await expect.poll(() => shop.logs.join(''), SOON).toContain('task failed')
    await postgres.comeBack()
    await expect
      .poll(async () => (await taskOf(db, id).catch(() => null))?.outcome, SOON)
      .toBe('failed')
    expect(await taskOf(db, id)).toMatchObject({ attempts: 1, failures: 1 })
    expect(shop.givenUp).toHaveLength(1)
    expect(shop.logs.filter((line) => line.includes('task failed'))).toHaveLength(1)
  })

  test('a commit that took effect unheard is not done twice, and is no lost lease', async () => {
    let effects = 0
    let isCut = false
    const id = await aMediaTask(db)
    await using cutting = await openDatabase(settings)
    const begin = cutting.transaction.bind(cutting)
    // The connection breaks after PostgreSQL has taken the commit and before its answer comes.
    cutting.transaction = () => {
      const builder = begin()
      const execute = builder.execute.bind(builder)
      builder.execute = async (work) => {
        const result = await execute(work)
        if (isCut) return result
        isCut = true
        throw new DatabaseAway(new Error('cut off'))
      }
      return builder
    }
    await using cut = aWorkshop({
      db: cutting,
      media: (task) => task.commit(() => Promise.resolve(void (effects += 1))),
    })
    await cut.work()
    expect(await taskOf(db, id)).toMatchObject({ outcome: 'done', attempts: 1 })
    expect(effects).toBe(1)
    expect(cut.logs.join('')).not.toContain('lease lost')
  })

  test.each([
    ['shorter', '60', 'the database cannot be used now'],
    ['longer', '1.5', 'given back: the database was away'],
  ])('a film is ready after an outage that is %s than the lease', async (_how, lease, sign) => {
    const env = {
      DATABASE_URL: await postgres.databaseUrl(),
      JOB_LEASE: lease,
      JOB_SWEEP_INTERVAL: '0.5',
      JOB_ATTEMPTS: '1',
    }
    await using app = await startApp({ env })
    const superuser = await app.superuser()
    const { id } = await upload(superuser, { film: 'long enough for keyframes' })
    const tasks = () => app.app.db.selectFrom('tasks').selectAll().execute()
    await expect
      .poll(
        async () => (await tasks()).some((task) => task.kind === 'encode_part' && task.lease_until),
        SOON,
      )
      .toBe(true)
    await postgres.kill()
    await expect.poll(() => app.logs.some(({ msg }) => String(msg).includes(sign)), SOON).toBe(true)
    await postgres.comeBack()
    await expect
      .poll(async () => (await adminVideo(superuser, id).catch(() => null))?.processing_state, SOON)
      .toBe('ready')
    await app.worker.idle()
    const ended = (await tasks()).filter(({ finished_at: at }) => at !== null)
    expect(ended.length).toBeGreaterThan(3)
    // A quick run may end before the one before it, cut off, has given its attempt back.
    const blamed = ended.filter(({ attempts, failures }) => attempts > 2 || failures !== 0)
    expect(blamed).toEqual([])
    const errors = app.logs.filter(({ level }) => Number(level) >= 50)
    expect(errors.map(({ msg }) => msg)).toEqual([
      'the database cannot be used now: trying again until it can',
    ])
  })
})
