import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3'
import type { AdminVideo, Playback } from '@videoflix/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startS3Proxy, type S3Request } from '../faults/s3-proxy.ts'
import { film } from '../films.ts'
import { startCli } from '../harness/process.ts'
import { hasS3, type S3Service } from '../harness/s3.ts'
import { sharedS3 } from '../harness/shared-s3.ts'
import { adminVideo, filesIn, SHORT, until, upload } from '../videos/library.ts'
import {
  anInstallation,
  aRangeOf,
  beginUpload,
  endUpload,
  offsetOf,
  type Installation,
} from './installation.ts'

const TO_S3 = ['migrate-storage', '--from', 'local', '--to', 's3']
const TO_LOCAL = ['migrate-storage', '--from', 's3', '--to', 'local']

/** One installation that moves to a bucket and back: each test goes on where the one before has left it. */
describe.skipIf(!hasS3)('an installation that moves', () => {
  let s3: S3Service
  let site: Installation
  /** The settings of the bucket, which is not in use by them alone. */
  let bucket: Record<string, string>
  let bytes: Buffer
  let video: AdminVideo
  /** What every answer has to be. */
  let expected: Buffer
  let uploadOfFolder: string
  let wholeInFolder: string
  let uploadOfBucket: string
  const used = (): Record<string, string> => ({ ...bucket, USE_S3_MEDIA: 'True' })

  beforeAll(async () => {
    s3 = await sharedS3()
    const { USE_S3_MEDIA: _, ...rest } = await s3.env()
    bucket = rest
    site = await anInstallation()
    bytes = await readFile(await film(SHORT))
    video = await aReadyVideo((await upload(site.superuser)).id)
    // What its steps have left for each other goes after it is ready.
    await until(
      async () => (await filesIn(join(site.dataDir, 'intermediates'))).length === 0,
      'intermediates are tidied up',
    )
    expected = (await aRangeOf(site.superuser, video)).bytes
  })
  afterAll(async () => {
    await site[Symbol.asyncDispose]()
    await s3.empty(bucket['AWS_STORAGE_BUCKET_NAME'] ?? '')
  })

  const aReadyVideo = (id: number): Promise<AdminVideo> =>
    until(async () => {
      const now = await adminVideo(site.superuser, id)
      expect(now.processing_state).not.toBe('error')
      return now.processing_state === 'ready' && now
    }, `video ${id} is ready`)

  async function keysInBucket(): Promise<string[]> {
    const place = { Bucket: bucket['AWS_STORAGE_BUCKET_NAME'] }
    const keys: string[] = []
    for await (const { Contents = [] } of paginateListObjectsV2({ client: s3.client }, place)) {
      keys.push(...Contents.map(({ Key = '' }) => Key))
    }
    return keys.sort()
  }

  /** By the names that they have in the bucket. */
  async function keysInFolders(): Promise<string[]> {
    const stores = { originals: 'originals', intermediates: 'work', media: 'media' }
    const keys = await Promise.all(
      Object.entries(stores).map(async ([folder, prefix]) =>
        (await filesIn(join(site.dataDir, folder))).map((file) => `${prefix}/${file}`),
      ),
    )
    return keys.flat().sort()
  }

  async function originalInBucket(path: string): Promise<Buffer> {
    const Key = `originals/${idOf(path)}`
    const place = { Bucket: bucket['AWS_STORAGE_BUCKET_NAME'], Key }
    const { Body } = await s3.client.send(new GetObjectCommand(place))
    return Buffer.from(await Body!.transformToByteArray())
  }

  /** What a viewer gets: the film by range, its playlists down to a piece of film, its poster; and from where. */
  async function whatPlays(): Promise<Record<string, unknown>> {
    const { url, ...range } = await aRangeOf(site.superuser, video)
    const playback = await site.superuser.get(`/content/${video.id}/playback/`)
    const { hls_url } = (await playback.json()) as Playback
    const master = await fetch(hls_url)
    const [playlistUrl = ''] = urlsIn(await master.text())
    const [pieceUrl = ''] = urlsIn(await (await fetch(playlistUrl)).text())
    const piece = await fetch(pieceUrl, { headers: { range: 'bytes=4-7' } })
    const posterUrl = (await adminVideo(site.superuser, video.id)).image_file ?? ''
    const poster = await fetch(posterUrl)
    return {
      origins: [...new Set([url, pieceUrl, posterUrl].map((each) => new URL(each).origin))],
      range,
      master: [master.status, master.headers.get('content-type')],
      piece: [piece.status, await piece.text()],
      poster: [poster.status, poster.headers.get('content-type')],
      beginningOfPoster: Buffer.from(await poster.arrayBuffer()).readUInt16BE(0),
    }
  }

  const allFrom = (origin: string): Record<string, unknown> => ({
    origins: [origin],
    range: { status: 206, type: 'video/mp4', bytes: expected },
    master: [200, expect.stringContaining('mpegurl')],
    piece: [206, 'ftyp'],
    poster: [200, 'image/jpeg'],
    beginningOfPoster: 0xffd8,
  })

  test('copies what is left to copy after a `kill -9` half-way, and plays all the while', async () => {
    await using proxy = await startS3Proxy(s3.endpoint)
    const env = { ...bucket, AWS_S3_ENDPOINT_URL: proxy.endpoint }
    const wanted = await keysInFolders()
    const isOfObject = ({ operation, path }: S3Request): boolean =>
      operation === 'PutObject' && wanted.includes(keyOf(path))
    let stored = 0
    // S3 takes two objects, then falls silent.
    proxy.rule = (request) =>
      isOfObject(request) && (stored += 1) > 2 ? { kind: 'silence' } : null
    const watching = watch(() => aRangeOf(site.superuser, video))

    const first = startCli({ args: TO_S3, env: { ...site.env, ...env } })
    await until(() => stored > 2, 'half of it is copied')
    first.kill('SIGKILL')
    expect((await first.exited).signal).toBe('SIGKILL')
    const half = await keysInBucket()
    expect(half).toHaveLength(2)

    proxy.rule = () => null
    const from = proxy.requests.length
    const second = await site.run(TO_S3, env)
    expect(second).toMatchObject({ code: 0, stderr: '' })
    const copied = proxy.requests.slice(from).filter(isOfObject)
    expect(copied.map(({ path }) => keyOf(path)).sort()).toEqual(
      wanted.filter((key) => !half.includes(key)),
    )
    expect(second.stdout).toContain(`${copied.length} objects copied`)
    expect(await keysInBucket()).toEqual(wanted)

    const answers = await watching.end()
    expect(answers.length).toBeGreaterThan(10)
    expect(
      answers.filter(({ status, bytes }) => status !== 206 || !bytes.equals(expected)),
    ).toEqual([])
  })

  test('tells how many uploads are under way', async () => {
    uploadOfFolder = await beginUpload(site.superuser, 'From the folder', bytes)
    wholeInFolder = await beginUpload(site.superuser, 'Whole in the folder', bytes)
    // As a server leaves it that is killed between the last byte and the video.
    await writeFile(join(site.dataDir, 'uploads', idOf(wholeInFolder)), bytes)
    const { stdout } = await site.run(TO_S3, bucket)
    expect(stdout).toContain('2 resumable uploads under way, to go on after the change if DATA_DIR')
    expect(stdout).not.toContain('straight to the bucket')
  })

  test('plays from the bucket after the switch', async () => {
    await site.restart(used())
    expect(await whatPlays()).toEqual(allFrom(s3.endpoint))
  })

  test('goes on with an upload that was begun in the folder, to its very bytes', async () => {
    expect(await offsetOf(site.superuser, uploadOfFolder)).toBe(bytes.length >> 1)
    const id = await endUpload(site.superuser, uploadOfFolder, bytes)
    await aReadyVideo(id)
    expect((await originalInBucket(uploadOfFolder)).equals(bytes)).toBe(true)
  })

  test('makes a video of what was whole in the folder', async () => {
    const found = await until(async () => {
      const reply = await site.superuser.get('/admin/api/videos/')
      const { results } = (await reply.json()) as { results: AdminVideo[] }
      return results.find(({ title }) => title === 'Whole in the folder')
    }, 'it is a video')
    await aReadyVideo(found.id)
    expect((await originalInBucket(wholeInFolder)).equals(bytes)).toBe(true)
    expect(await filesIn(join(site.dataDir, 'uploads'))).toEqual([])
  })

  test('plays on when the folders are emptied', async () => {
    const { code, stdout } = await site.run([...TO_S3, '--delete-source'], used())
    expect([code, stdout]).toEqual([0, expect.stringContaining('local is empty now.')])
    expect(await keysInFolders()).toEqual([])
    expect(await whatPlays()).toEqual(allFrom(s3.endpoint))
  })

  test('comes back from the bucket', async () => {
    uploadOfBucket = await beginUpload(site.superuser, 'From the bucket', bytes)
    const wish = { file_name: 'straight.mp4', size: 100 }
    expect((await site.superuser.post('/admin/api/direct-uploads/', wish)).status).toBe(201)
    const { code, stdout } = await site.run(TO_LOCAL, used())
    expect(code).toBe(0)
    expect(stdout).toContain(
      '1 resumable upload under way, to go on after the change if the settings',
    )
    expect(stdout).toContain('1 upload under way from a browser straight to the bucket')
  })

  test('says so when an upload goes on in a bucket that the settings do not name', async () => {
    await site.restart()
    expect(await offsetOf(site.superuser, uploadOfBucket)).toBe('status 404')
    expect(site.output()).toContain('1 resumable upload goes on in a bucket')
    expect(await whatPlays()).toEqual(allFrom(site.superuser.origin))
  })

  test('does not empty the bucket while an upload goes on there', async () => {
    const before = await keysInBucket()
    const refused = await site.run([...TO_LOCAL, '--delete-source'], bucket)
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('1 resumable upload'),
    })
    expect(await keysInBucket()).toEqual(before)
  })

  test('goes on with an upload that was begun in the bucket, to its very bytes', async () => {
    await site.restart(bucket)
    expect(await offsetOf(site.superuser, uploadOfBucket)).toBe(bytes.length >> 1)
    const id = await endUpload(site.superuser, uploadOfBucket, bytes)
    await aReadyVideo(id)
    const path = join(site.dataDir, 'originals', idOf(uploadOfBucket))
    expect((await readFile(path)).equals(bytes)).toBe(true)
    expect((await keysInBucket()).filter((key) => key.includes(idOf(uploadOfBucket)))).toEqual([])
    const place = { Bucket: bucket['AWS_STORAGE_BUCKET_NAME'] }
    const { Uploads = [] } = await s3.client.send(new ListMultipartUploadsCommand(place))
    expect(Uploads.filter(({ Key = '' }) => Key.includes(idOf(uploadOfBucket)))).toEqual([])
  })

  test('plays on when the bucket is emptied', async () => {
    const { code } = await site.run([...TO_LOCAL, '--delete-source'], bucket)
    expect(code).toBe(0)
    expect(await keysInBucket()).toEqual([])
    expect(await whatPlays()).toEqual(allFrom(site.superuser.origin))
  })

  function keyOf(path: string): string {
    const { pathname } = new URL(path, s3.endpoint)
    return pathname.slice(`/${bucket['AWS_STORAGE_BUCKET_NAME']}/`.length)
  }
})

const idOf = (path: string): string => path.split('/').at(-1) ?? ''

/** URLs of a playlist, whether on a line of their own or in an attribute. */
function urlsIn(playlist: string): string[] {
  return [...playlist.matchAll(/https?:\/\/[^\s"]+/g)].map(([url]) => url)
}

/** Asks again and again, as somebody who watches. `end` gives all answers; throws what was thrown. */
function watch<T>(ask: () => Promise<T>): { end(): Promise<T[]> } {
  const answers: T[] = []
  let isOver = false
  const watching = (async () => {
    while (!isOver) answers.push(await ask())
    return answers
  })()
  // Told by `end`.
  watching.catch(() => {})
  return {
    end() {
      isOver = true
      return watching
    },
  }
}
