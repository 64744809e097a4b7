import { readFile } from 'node:fs/promises'
import { ListObjectsV2Command, PutBucketPolicyCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import type { Video } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outputs, type Outcome } from '../cli/commands.ts'
import { badFilm, film } from '../films.ts'
import { BACKENDS, startApp, type TestApp } from '../harness/app.ts'
import { startDatabases, type Databases } from '../harness/database.ts'
import { hasS3, type S3Service } from '../harness/s3.ts'
import { sharedS3 } from '../harness/shared-s3.ts'
import { filesIn, storedKeys } from '../harness/stored.ts'
import { SHORT } from '../videos/library.ts'
import { aDjangoOriginal, OLD_PASSWORD, type DjangoOriginal } from './django-original.ts'
import { envOf } from './environment.ts'

describe.skipIf(!hasS3).each(BACKENDS)('`import-django` of media in S3, to %s', (backend) => {
  let app: TestApp
  let databases: Databases
  let original: DjangoOriginal
  let s3: S3Service
  let bucket: string
  let before: unknown
  let rehearsed: Outcome
  let first: Outcome

  beforeAll(async () => {
    s3 = await sharedS3()
    bucket = await s3.bucket()
    app = await startApp({ backend, env: { JOB_SWEEP_INTERVAL: '0.2' } })
    databases = await startDatabases(backend)
    original = await aDjangoOriginal(await databases.empty())
    await fill()
    before = await look()
    rehearsed = await bring('--dry-run')
  })
  afterAll(async () => {
    await original[Symbol.asyncDispose]()
    await databases.stop()
    await app.stop()
    await s3.empty(bucket)
  })

  async function put(key: string, path: string): Promise<string> {
    const Body = await readFile(path)
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: `media/${key}`, Body }))
    return key
  }

  async function fill(): Promise<void> {
    const [long, short] = [await film('h264 mp4'), await film(SHORT)]
    await original.addUser({ id: 12, email: 'root@example.com', isSuperuser: true })
    const inBucket = `${s3.endpoint}/${bucket}/media/`
    await original.addVideo({
      id: 21,
      title: 'Metropolis',
      videoFile: await put('videos/metropolis film.mp4', long),
      imageFile: await put('images/Plakat ö.png', await badFilm('picture')),
      convertedFiles: {
        '360p': await put('videos/360p/metropolis film.mp4', long),
        '120p': `${inBucket}${encodeURI(await put('videos/120p/metropolis film.mp4', short))}?X-Amz-Expires=3600`,
        '720p': 'videos/720p/never made.mp4',
      },
    })
    const atAws = 'https://old-films.s3.eu-central-1.amazonaws.com/media/'
    await original.addVideo({
      id: 22,
      title: 'Second',
      videoFile: await put('videos/second.mp4', long),
      convertedFiles: { '360p': `${atAws}${await put('videos/360p/second.mp4', long)}` },
    })
    await original.addVideo({ id: 23, title: 'Gone', videoFile: 'videos/gone.mp4' })
    const notes = await put('videos/notes.mp4', await badFilm('text'))
    await original.addVideo({ id: 24, title: 'Notes', videoFile: notes })
  }

  /** All that somebody could have changed. */
  async function look(): Promise<unknown> {
    const { Contents = [] } = await s3.client.send(new ListObjectsV2Command({ Bucket: bucket }))
    const objects = Contents.map(({ Key, ETag, LastModified }) => [Key, ETag, LastModified])
    return { database: await original.dump(), objects }
  }

  /** With the key of our own bucket where we have one, else with one of its own. */
  async function bring(...more: string[]): Promise<Outcome> {
    return await bringWith(backend === 'sqlite' ? await legacyEnv() : {}, ...more)
  }

  async function bringWith(env: Record<string, string>, ...more: string[]): Promise<Outcome> {
    const from = ['--database-url', original.url, '--media-s3', `s3://${bucket}/media`]
    return await outputs(['import-django', ...from, ...more], { ...(await envOf(app)), ...env })
  }

  async function legacyEnv(): Promise<Record<string, string>> {
    const all = Object.entries(await s3.env(bucket))
    return Object.fromEntries(all.map(([name, value]) => [`LEGACY_${name}`, value]))
  }

  async function videoOf(id: number): Promise<Video> {
    const client = app.client()
    const root = { email: 'root@example.com', password: OLD_PASSWORD }
    expect((await client.post('/users/login/', root)).status).toBe(200)
    return (await (await client.get(`/content/${id}/`)).json()) as Video
  }

  test('a dry run tells what is missing, and takes nothing over', async () => {
    expect(rehearsed.code).toBe(1)
    expect(rehearsed.stderr).toMatch(/^left out: the file of video 23 \(Gone\), .*\n$/)
    expect(rehearsed.stdout).toContain('video 21: its 720p is not there')
    expect(rehearsed.stdout).toContain('video 23: videos/gone.mp4 is not there')
    expect(rehearsed.stdout).toContain('Would take over 1 user, 4 videos and 0 favourites')
    expect(rehearsed.stdout).toContain('were looked for, not opened')
    expect(await storedKeys(app, 'media')).toEqual([])
    expect((await app.app.db.selectFrom('videos').selectAll().execute()).length).toBe(0)
  })

  test('all of it comes along', async () => {
    first = await bring()
    expect(first.code).toBe(1)
    const leftOut = first.stderr.trim().split('\n')
    expect(leftOut).toEqual([
      expect.stringContaining('the file of video 23 (Gone)'),
      expect.stringContaining('the file of video 24 (Notes)'),
    ])
    expect(first.stdout).toContain('Took over 1 user, 4 videos and 0 favourites')
    expect(await filesIn(app.settings.tasks.workDir)).toEqual([])
    expect(await storedKeys(app, 'originals')).toEqual(['django-21', 'django-22', 'django-24'])
  })

  test('what was made plays at once, with the old pictures and bytes', async () => {
    const video = await videoOf(21)
    expect(video).toMatchObject({ processing_state: 'ready', processing_error: null })
    expect(Object.keys(video.converted_files)).toEqual(['120p', '360p'])
    const reply = await fetch(video.converted_files['360p'] ?? '')
    expect(reply.headers.get('content-type')).toBe('video/mp4')
    const bytes = Buffer.from(await reply.arrayBuffer())
    expect(bytes.equals(await readFile(await film('h264 mp4')))).toBe(true)
    const picture = Buffer.from(await (await fetch(video.image_file ?? '')).arrayBuffer())
    expect(picture.readUInt16BE(0)).toBe(0xffd8)
    expect(Object.keys((await videoOf(22)).converted_files)).toEqual(['360p'])
  })

  test('what is no film says so, and what is gone', async () => {
    expect(await videoOf(23)).toMatchObject({
      processing_state: 'error',
      processing_error: expect.stringContaining('Upload it again'),
    })
    expect(await videoOf(24)).toMatchObject({
      processing_state: 'error',
      processing_error: 'The file contains text, not a film. Upload a film.',
    })
  })

  test('a second run adds what is new', async () => {
    const videoFile = await put('videos/late.mp4', await film(SHORT))
    await original.addVideo({ id: 30, title: 'Late', videoFile })
    before = await look()
    const again = await bring()
    expect(again.stdout).toContain('Took over 0 users, 1 video and 0 favourites; 1 user and 4')
    expect((await bring()).stdout).toContain('Took over 0 users, 0 videos')
  })

  test('a public bucket is read without a key, and nobody who cannot write changes it', async () => {
    await original.addVideo({ id: 31, title: 'Public', videoFile: 'videos/late.mp4' })
    before = await look()
    const env = { LEGACY_AWS_S3_ENDPOINT_URL: s3.endpoint }
    const closed = await bringWith(env, '--no-sign-request', '--dry-run')
    expect(closed.stdout).toContain('video 31: videos/late.mp4 is not there')
    await anybodyMayRead()
    const open = await bringWith(env, '--no-sign-request')
    expect(open.code).toBe(1)
    expect(open.stderr).toMatch(/^left out: the file of video 23 \(Gone\), .*\n$/)
    expect(open.stdout).not.toContain('is not there')
    expect(await storedKeys(app, 'originals')).toContain('django-31')
  })

  test('the original is as it was', async () => {
    expect(await look()).toEqual(before)
  })

  test.each<[string, Record<string, string>, string[], string]>([
    ['a key that is not accepted', { LEGACY_AWS_SECRET_ACCESS_KEY: 'x' }, [], 'LEGACY_AWS_'],
    ['a bucket that is not there', {}, ['--media-s3', 's3://no-such-bucket'], 'NoSuchBucket'],
    ['an address that is none', {}, ['--media-s3', 'films'], 's3://bucket/media'],
    ['two places at once', {}, ['--media-root', '/tmp'], '--media-root for a folder, or'],
    ['a bucket nowhere', { LEGACY_AWS_S3_ENDPOINT_URL: '' }, [], 'LEGACY_AWS_S3_REGION_NAME'],
    ['an endpoint that is none', { LEGACY_AWS_S3_ENDPOINT_URL: 'x' }, [], 'LEGACY_AWS_S3_ENDPOINT'],
  ])('refuses %s in one line', async (_name, env, args, reason) => {
    const { code, stderr } = await bringWith({ ...(await legacyEnv()), ...env }, ...args)
    expect(code).toBe(1)
    expect(stderr).toContain(reason)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  async function anybodyMayRead(): Promise<void> {
    const Resource = `arn:aws:s3:::${bucket}/media/*`
    const statement = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource }
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
    await s3.client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }))
  }
})
