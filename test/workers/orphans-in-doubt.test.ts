import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outputs } from '../cli/commands.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { envOf } from '../moving/environment.ts'
import { aReadyVideo, filesIn, until } from '../videos/library.ts'

const HOUR = 3_600_000

describe.each(BACKENDS)('files of films of which the database knows nothing, on %s', (backend) => {
  let app: TestApp
  let folders: string[]
  beforeAll(async () => {
    const env = { JOB_SWEEP_INTERVAL: '0.2' }
    app = await startApp({ backend, media: 'local', env })
    const { media, originalsDir, intermediatesDir } = app.settings
    folders = [media.root, originalsDir, intermediatesDir]
    await aReadyVideo(app, await app.superuser())
    // As where another database is named in the settings, or the volume of ours was lost.
    await app.app.db.deleteFrom('videos').execute()
    await app.app.db.deleteFrom('tasks').where('kind', '!=', 'sweep_orphans').execute()
    const then = new Date(Date.now() - 48 * HOUR)
    for (const path of await all()) await utimes(path, then, then)
  })
  afterAll(() => app.stop())

  async function all(): Promise<string[]> {
    const found = await Promise.all(
      folders.map(async (folder) => (await filesIn(folder)).map((file) => join(folder, file))),
    )
    return found.flat().sort()
  }

  const sweeps = (): Record<string, unknown>[] =>
    app.logs.filter(({ msg }) => msg === 'looked for files that belong to nothing')

  test('stay, day after day, and the log says why', async () => {
    const before = await all()
    expect(before.length).toBeGreaterThan(4)
    expect(await app.app.db.selectFrom('sources').select('id').execute()).toEqual([])
    for (const day of [1, 2]) {
      app.clock.advance(26 * HOUR)
      await until(() => sweeps().length >= day, 'somebody has looked', 120_000)
    }
    expect(await all()).toEqual(before)
    const told = app.logs.filter(({ level }) => Number(level) >= 50)
    expect(told).toHaveLength(2)
    expect(told[0]).toMatchObject({
      msg: expect.stringMatching(/this is the right database.*`videoflix audit-library --quick`/),
      surveys: [
        { store: 'media', wanted: 0 },
        { store: 'originals', wanted: 0, orphans: 1 },
      ],
    })
  })

  test('go when somebody asks for it', async () => {
    const env = await envOf(app)
    const { code } = await outputs(['audit-library', '--quick', '--fix'], env)
    expect(code).toBe(0)
    expect(await all()).toEqual([])
  })
})
