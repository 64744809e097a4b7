import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { badFilm, film } from '../films.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { storedKeys } from '../harness/stored.ts'
import { temporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts'
import { envOf } from '../moving/environment.ts'
import { filesIn, SHORT } from '../videos/library.ts'
import { outputs, type Outcome } from './commands.ts'

describe.each(BACKENDS)('`import` on %s', (backend) => {
  let films: TemporaryFolder
  let app: TestApp
  let viewer: Client
  beforeAll(async () => {
    films = await temporaryFolder()
    app = await startApp({ backend, env: { JOB_SWEEP_INTERVAL: '0.2' } })
    viewer = await app.superuser()
    await copyFile(await film(SHORT), join(films.path, 'A_first.film.mp4'))
    await mkdir(join(films.path, 'more'))
    await copyFile(await film(SHORT), join(films.path, 'more', 'Second.MOV'))
    await writeFile(join(films.path, 'more', 'notes.txt'), 'not a film')
  })
  afterAll(async () => {
    await app.stop()
    await films.remove()
  })
  const bring = async (...args: string[]): Promise<Outcome> =>
    await outputs(['import', ...args], await envOf(app))
  const listed = async (): Promise<Record<string, { state: string; category: string }>> => {
    const videos = (await (await viewer.get('/content/')).json()) as {
      title: string
      category: string
      processing_state: string
    }[]
    return Object.fromEntries(
      videos.map((each) => [each.title, { state: each.processing_state, category: each.category }]),
    )
  }

  test('brings a file, with title and category, and waits', async () => {
    const file = join(films.path, 'A_first.film.mp4')
    const { code, stdout } = await bring(
      file,
      '--title',
      'Given title',
      '--category',
      'Drama',
      '--wait',
    )
    expect(stdout).toMatch(/: video \d+\n(.*\n)*video \d+: ready\n$/)
    expect(code).toBe(0)
    expect(await filesIn(films.path)).toContain('A_first.film.mp4')
    // Seen by the server within the time after which it looks again.
    await expect
      .poll(async () => (await listed())['Given title'], { timeout: 10_000 })
      .toEqual({ state: 'ready', category: 'Drama' })
  })

  test('searches a folder, and names films after their files', async () => {
    const { code, stdout, stderr } = await bring(films.path, '--wait')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.match(/: ready$/gm)).toHaveLength(2)
    await expect
      .poll(async () => Object.keys(await listed()), { timeout: 10_000 })
      .toEqual(expect.arrayContaining(['A first film', 'Second']))
  })

  test('a bad film among good ones holds up none of them', async () => {
    await using mixed = await temporaryFolder()
    await copyFile(await film(SHORT), join(mixed.path, '1 good.mp4'))
    await copyFile(await badFilm('text'), join(mixed.path, '2 text.mp4'))
    await copyFile(await badFilm('empty'), join(mixed.path, '3 empty.mp4'))
    await copyFile(await film(SHORT), join(mixed.path, '4 good.mp4'))
    const { code, stdout, stderr } = await bring(mixed.path, '--wait')
    expect(code).toBe(1)
    expect(stdout.match(/: ready$/gm)).toHaveLength(2)
    expect(stderr).toContain('3 empty.mp4: video_file: The submitted file is empty.')
    expect(stderr).toMatch(/^video \d+: [A-Z].*\.$/m)
    expect(await filesIn(app.settings.uploads.dir)).toEqual([])
    expect(await storedKeys(app, 'originals')).toHaveLength(Object.keys(await listed()).length)
  })

  test.each([
    ['what is not there', ['/nonexistent/film.mp4'], 'There is no file or folder'],
    ['an unknown category', ['FILM', '--category', 'Cats'], '"Cats" is not a valid choice'],
    ['one title for many', ['FOLDER', '--title', 'x'], '--title is for one file'],
    ['nothing', [], 'missing required argument'],
  ])('refuses %s', async (_name, args, reason) => {
    const real: Record<string, string> = {
      FILM: join(films.path, 'more', 'Second.MOV'),
      FOLDER: films.path,
    }
    const { code, stderr } = await bring(...args.map((arg) => real[arg] ?? arg))
    expect(code).toBe(1)
    expect(stderr).toContain(reason)
    expect(stderr).not.toMatch(/\n\s+at /)
  })
})
