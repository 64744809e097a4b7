import { copyFile, readFile, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Profile, Video } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outputs, type Outcome } from '../cli/commands.ts'
import { badFilm, film } from '../films.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'
import { startDatabases, type Databases } from '../harness/database.ts'
import { storedKeys } from '../harness/stored.ts'
import { temporaryFolder } from '../harness/temporary-folder.ts'
import { allDone, filesIn, SHORT, upload } from '../videos/library.ts'
import { aDjangoOriginal, OLD_PASSWORD, type DjangoOriginal } from './django-original.ts'
import { envOf } from './environment.ts'

describe.each(BACKENDS)('`import-django` from and to %s', (backend) => {
  let app: TestApp
  let databases: Databases
  let original: DjangoOriginal
  let first: Outcome
  let before: { database: string; files: string[] }

  beforeAll(async () => {
    app = await startApp({ backend, env: { JOB_SWEEP_INTERVAL: '0.2' } })
    databases = await startDatabases(backend)
    original = await aDjangoOriginal(await databases.empty())
    await fill(original)
    before = await look()
    first = await bring()
  })
  afterAll(async () => {
    await original[Symbol.asyncDispose]()
    await databases.stop()
    await app.stop()
  })

  async function look(): Promise<{ database: string; files: string[] }> {
    return { database: await original.dump(), files: await filesIn(original.mediaRoot) }
  }

  async function bring(...more: string[]): Promise<Outcome> {
    const from = ['--database-url', original.url, '--media-root', original.mediaRoot]
    return await outputs(['import-django', ...from, ...more], await envOf(app))
  }

  async function signIn(email: string): Promise<{ client: Client; profile: Profile }> {
    const client = app.client()
    const reply = await client.post('/users/login/', { email, password: OLD_PASSWORD })
    expect(reply.status).toBe(200)
    return { client, profile: (await reply.json()) as Profile }
  }

  async function videoOf(client: Client, id: number): Promise<Video> {
    return (await (await client.get(`/content/${id}/`)).json()) as Video
  }

  test('says what it did, and what it left out', () => {
    expect(first.stdout).toContain('Took over 4 users, 6 videos and 3 favourites; 0 users')
    expect(first.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(
        /^left out: user 1 \(boss@example.com\): number 1 is admin@example.com here, .* empty database and import before the first `videoflix serve`$/,
      ),
      expect.stringContaining('user 14 (Twin@Example.com): user 15 has the same address'),
      expect.stringContaining('user 15 (twin@example.com): user 14 has the same address'),
      expect.stringContaining('user 16 (nobody): this is no address'),
      'left out: the file of video 24 (Gone), which is an error here. It is not there: put it there and run this again, or upload it to replace the video.',
      'left out: the file of video 25 (Notes), which is an error here. The file contains text, not a film. Upload a film.',
      expect.stringMatching(
        /^left out: the file of video 26 \(Late\), .* It is not there: put it there/,
      ),
    ])
    expect(first.stdout).toContain('video 23: its picture images/lost.png is not there')
    expect(first.stdout).toContain('1 favourite waits for a user or a video that was left out')
    expect(first.code).toBe(1)
  })

  test('takes over nothing from a folder that has none of the files', async () => {
    await using empty = await temporaryFolder()
    const { code, stdout, stderr } = await bring('--media-root', empty.path)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /Of \d+ videos \d+ have no file there, so nothing was taken over: .*--even-if-most/,
    )
  })

  test('people sign in with their old passwords, and find their favourites', async () => {
    const { profile } = await signIn('  ANNA@example.com ')
    expect(profile).toMatchObject({ id: 11, email: 'anna@example.com', phone: '0123' })
    expect(profile.favorite_videos).toEqual([22, 21])
    const row = await app.app.db
      .selectFrom('users')
      .selectAll()
      .where('id', '=', 11)
      .executeTakeFirstOrThrow()
    expect(row.password_hash).toMatch(/^\$argon2id/)
    expect(row.created_at.toISOString()).toBe('2025-03-04T05:06:07.123Z')
    await signIn('anna@example.com')
  })

  test('superusers are such, and who was inactive is', async () => {
    const { client } = await signIn('root@example.com')
    expect((await client.get('/admin/api/videos/')).status).toBe(200)
    for (const email of ['shut-out@example.com', 'pending@example.com']) {
      const reply = await app.client().post('/users/login/', { email, password: OLD_PASSWORD })
      expect(reply.status).toBe(400)
    }
    const rows = await app.app.db
      .selectFrom('users')
      .select('confirmed_at')
      .where('id', 'in', [13, 17])
      .orderBy('id')
      .execute()
    expect(rows.map(({ confirmed_at: at }) => at === null)).toEqual([false, true])
  })

  test('what was made plays at once, with the old pictures and bytes', async () => {
    const { client } = await signIn('anna@example.com')
    const video = await videoOf(client, 21)
    expect(video).toMatchObject({
      title: 'Metropolis',
      category: 'Drama',
      created_at: '2025-04-05T06:07:31.654000Z',
      processing_state: 'ready',
      processing_error: null,
    })
    expect(Object.keys(video.converted_files)).toEqual(['120p', '360p'])
    const reply = await client.get('/content/video-url/21/?quality=360p')
    const { url } = (await reply.json()) as { url: string }
    const bytes = Buffer.from(await (await fetch(url)).arrayBuffer())
    expect(bytes.equals(await readFile(await film('h264 mp4')))).toBe(true)
    const picture = await fetch(video.image_file ?? '')
    expect(picture.headers.get('content-type')).toBe('image/jpeg')
    expect(Buffer.from(await picture.arrayBuffer()).readUInt16BE(0)).toBe(0xffd8)
  })

  test('a film without a poster gets one', async () => {
    const { client } = await signIn('anna@example.com')
    const { image_file: poster } = await videoOf(client, 22)
    expect((await fetch(poster ?? '')).status).toBe(200)
  })

  test('the same title twice is numbered', async () => {
    const { client } = await signIn('anna@example.com')
    expect((await videoOf(client, 22)).title).toBe('Metropolis (2)')
    expect(first.stdout).toContain('video 22: “Metropolis” is called “Metropolis (2)” now')
  })

  test('what was never made is made now', async () => {
    await allDone(app)
    const { client } = await signIn('anna@example.com')
    expect(await videoOf(client, 23)).toMatchObject({
      processing_state: 'ready',
      category: 'Other',
    })
  })

  test('what has no usable file says so', async () => {
    const { client } = await signIn('root@example.com')
    expect(await videoOf(client, 24)).toMatchObject({
      processing_state: 'error',
      processing_error: expect.stringContaining('Upload it again'),
    })
    expect(await videoOf(client, 25)).toMatchObject({
      processing_state: 'error',
      processing_error: 'The file contains text, not a film. Upload a film.',
    })
    const retry = await client.post('/admin/api/videos/24/retry/')
    expect(retry.status).toBe(409)
  })

  test('the original is as it was', async () => {
    expect(await look()).toEqual(before)
  })

  test('new accounts and videos get numbers of their own', async () => {
    await app.viewer('fresh@example.com')
    const { id: userId } = await app.app.db
      .selectFrom('users')
      .select('id')
      .where('email', '=', 'fresh@example.com')
      .executeTakeFirstOrThrow()
    expect(userId).toBeGreaterThan(17)
    expect((await upload(await app.superuser())).id).toBeGreaterThan(26)
    await allDone(app)
  })

  test('a second run adds what is new, and changes nothing else', async () => {
    const { client } = await signIn('anna@example.com')
    await client.post('/content/add-favorite/', { video_id: 22 })
    const root = await app.superuser()
    expect((await root.delete('/admin/api/videos/25/')).status).toBe(204)
    await root.patch('/admin/api/videos/21/', { title: 'Metropolis, restored' })
    await original.addUser({ id: 40, email: 'late@example.com' })
    await original.addFavorite(40, 21)
    await original.addFavorite(11, 23)
    const rehearsed = await bring('--dry-run')
    expect(rehearsed.stdout).toContain('Would take over 1 user, 0 videos and 2 favourites')
    expect((await app.client().post('/users/login/', late)).status).toBe(400)
    const again = await bring()
    expect(again.stdout).toContain('Took over 1 user, 0 videos and 2 favourites; 4 users and 5')
    expect(again.stderr).toContain('video 25 (Notes): it was deleted here')
    expect((await signIn('late@example.com')).profile.favorite_videos).toEqual([21])
    const { profile } = await signIn('anna@example.com')
    expect(profile.favorite_videos).toEqual([23, 21])
    expect((await videoOf(client, 21)).title).toBe('Metropolis, restored')
  })
  const late = { email: 'late@example.com', password: OLD_PASSWORD }

  test('with --reprocess, films become segments while they play', async () => {
    const { client } = await signIn('anna@example.com')
    expect((await client.get('/content/video-url/21/?quality=auto')).status).toBe(404)
    const { stdout } = await bring('--reprocess')
    expect(stdout).toContain('2 films will be encoded anew')
    expect(await videoOf(client, 21)).toMatchObject({ processing_state: 'ready' })
    await allDone(app)
    expect((await client.get('/content/video-url/21/?quality=auto')).status).toBe(200)
    expect(await storedKeys(app, 'media', 'videos/21/django/')).toEqual([])
    expect(await look()).toMatchObject({ files: before.files })
  })

  test('a file that was missing is taken over once it is there, and the video is as it was edited', async () => {
    const { client } = await signIn('anna@example.com')
    await client.post('/content/add-favorite/', { video_id: 26 })
    await (await app.superuser()).patch('/admin/api/videos/26/', { title: 'Late, but here' })
    expect((await bring()).stderr).toContain('the file of video 26 (Late)')
    await original.addFile('videos/late.mp4', await film(SHORT))
    expect((await bring('--dry-run')).stdout).toContain('video 26: its file is there now')
    expect((await videoOf(client, 26)).processing_state).toBe('error')
    expect((await bring()).stdout).toContain('video 26: its file is there now')
    await allDone(app)
    expect(await videoOf(client, 26)).toMatchObject({
      title: 'Late, but here',
      processing_state: 'ready',
      processing_error: null,
    })
    const { profile } = await signIn('anna@example.com')
    expect(profile.favorite_videos).toContain(26)
    expect((await bring()).stdout).not.toContain('video 26')
  })

  test('a link that leads out of the media root is not followed, and is told as such', async () => {
    await using elsewhere = await temporaryFolder()
    const link = join(original.mediaRoot, 'videos', 'linked.mp4')
    await copyFile(await film(SHORT), join(elsewhere.path, 'film.mp4'))
    await symlink(join(elsewhere.path, 'film.mp4'), link)
    await original.addVideo({ id: 41, title: 'Linked', videoFile: 'videos/linked.mp4' })
    const { code, stdout, stderr } = await bring()
    expect(code).toBe(1)
    expect(stdout).toContain('0 videos')
    expect(stderr).toMatch(/video 41 \(Linked\): \S+linked\.mp4 leads out of the media root/)
    await rm(link)
    await original.addFile('videos/linked.mp4', await film(SHORT))
    expect((await bring()).stdout).toContain('Took over 0 users, 1 video and')
    await allDone(app)
  })

  test.each([
    ['a database of another kind', ['--database-url', 'mysql://a/b'], 'begins with mysql:, and'],
    ['a database of another program', ['--database-url', 'OURS'], 'cannot be read'],
    ['a database that is not there', ['--database-url', 'sqlite:/nonexistent.db'], 'check --data'],
    ['a folder that is not there', ['--media-root', '/nonexistent'], 'There is no folder'],
  ])('refuses %s in one line', async (_name, args, reason) => {
    const { database } = app.settings
    const ours = database.kind === 'sqlite' ? `sqlite:${database.file}` : database.url
    const { code, stderr } = await bring(...args.map((arg) => arg.replace('OURS', ours)))
    expect(code).toBe(1)
    expect(stderr).toContain(reason)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })
})

test.each([
  ['with a second name, where the disk can do that', [], 2],
  ['as a copy with --copy, so that nothing is shared', ['--copy'], 1],
])('`import-django` has each file %s', async (_how, args, links) => {
  await using app = await startApp({ backend: 'sqlite', media: 'local' })
  const databases = await startDatabases('sqlite')
  await using original = await aDjangoOriginal(await databases.empty())
  await original.addUser({ id: 51, email: 'eve@example.com', address: '1 Film Street' })
  const path = await original.addFile('videos/360p/a.mp4', await film('h264 mp4'))
  await original.addVideo({ id: 61, title: 'A', convertedFiles: { '360p': `/films/${path}` } })
  const from = ['--database-url', original.url, '--media-root', original.mediaRoot]
  const more = ['--media-url', '/films/', ...args]
  const { code, stdout } = await outputs(['import-django', ...from, ...more], await envOf(app))
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('1 video') })
  expect((await stat(join(original.mediaRoot, path))).nlink).toBe(links)
  const user = await app.app.db.selectFrom('users').selectAll().where('id', '=', 51).execute()
  expect(user).toMatchObject([{ address: '1 Film Street' }])
  await databases.stop()
})

async function fill(original: DjangoOriginal): Promise<void> {
  await original.addUser({ id: 1, email: 'boss@example.com' })
  await original.addUser({ id: 11, email: 'Anna@Example.com', phone: '0123' })
  await original.addUser({ id: 12, email: 'root@example.com', username: 'root', isSuperuser: true })
  const seen = '2025-05-06 07:08:09.000001'
  await original.addUser({
    ...{ id: 13, email: 'shut-out@example.com', isActive: false, lastLogin: seen },
  })
  await original.addUser({ id: 14, email: 'Twin@Example.com', username: 'one' })
  await original.addUser({ id: 15, email: 'twin@example.com', username: 'two' })
  await original.addUser({ id: 16, email: 'nobody' })
  await original.addUser({ id: 17, email: 'pending@example.com', isActive: false })

  const [long, short] = [await film('h264 mp4'), await film(SHORT)]
  await original.addVideo({
    id: 21,
    title: 'Metropolis',
    videoFile: await original.addFile('videos/metropolis film.mp4', long),
    imageFile: await original.addFile('images/poster.png', await badFilm('picture')),
    convertedFiles: {
      '360p': await original.addFile('videos/360p/metropolis film.mp4', long),
      '120p': `http://films.example.com/media/${encodeURI(await original.addFile('videos/120p/metropolis film.mp4', short))}`,
      '720p': 'videos/720p/never made.mp4',
    },
  })
  await original.addVideo({
    id: 22,
    title: 'Metropolis',
    videoFile: await original.addFile('videos/second.mp4', long),
    convertedFiles: { '360p': `/media/${await original.addFile('videos/360p/second.mp4', long)}` },
  })
  await original.addVideo({
    id: 23,
    title: 'Raw',
    category: 'Cats',
    videoFile: await original.addFile('videos/raw.mp4', short),
    imageFile: 'images/lost.png',
  })
  await original.addVideo({ id: 24, title: 'Gone', videoFile: '../../../etc/passwd' })
  await original.addVideo({
    id: 25,
    title: 'Notes',
    videoFile: await original.addFile('videos/notes.mp4', await badFilm('text')),
  })
  await original.addVideo({ id: 26, title: 'Late', videoFile: 'videos/late.mp4' })
  for (const [user, video] of [
    [11, 21],
    [11, 22],
    [12, 21],
    [15, 21],
  ] as const) {
    await original.addFavorite(user, video)
  }
}
