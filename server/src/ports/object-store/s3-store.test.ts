import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  DeleteBucketCommand,
  GetObjectAclCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startS3Proxy } from '../../../../test/faults/s3-proxy.ts'
import { refusingProxy } from '../../../../test/harness/refusing-proxy.ts'
import { hasS3, startS3, type S3 } from '../../../../test/harness/s3.ts'
import { temporaryFolder, type TemporaryFolder } from '../../../../test/harness/temporary-folder.ts'
import { until } from '../../../../test/videos/library.ts'
import { s3Settings, type S3Settings } from '../../config/s3-settings.ts'
import { newId } from '../ids.ts'
import { localCache } from './local-cache.ts'
import { keysOf, testObjectStore } from './object-store.contract.ts'
import type { ObjectStore } from './object-store.ts'
import { createS3Client } from './s3-client.ts'
import { s3Store } from './s3-store.ts'

const MIB = 1024 * 1024

describe.skipIf(!hasS3)('an S3 bucket', () => {
  let s3: S3
  let folder: TemporaryFolder
  beforeAll(async () => {
    s3 = await startS3()
    folder = await temporaryFolder()
  })
  afterAll(async () => {
    await s3.stop()
    await folder.remove()
  })

  function settingsOf(bucket: string, changes: Partial<S3Settings> = {}): S3Settings {
    const settings = s3Settings({
      USE_S3_MEDIA: true,
      AWS_STORAGE_BUCKET_NAME: bucket,
      AWS_S3_ENDPOINT_URL: s3.endpoint,
      AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
    })
    return { ...settings!, ...changes }
  }

  let caches = 0
  function storeOf(settings: S3Settings, prefix = 'media/'): ObjectStore {
    const cache = localCache({
      folder: join(folder.path, `cache-${(caches += 1)}`),
      limitBytes: 1e9,
    })
    return s3Store({
      client: createS3Client(settings),
      bucket: settings.bucket,
      prefix,
      cache,
      headersOf: () => ({ contentType: 'video/mp4' }),
      probeKey: newId,
    })
  }

  const aStore = async (): Promise<ObjectStore> => storeOf(settingsOf(await s3.bucket()))

  let files = 0
  async function aFile(content: string | Buffer): Promise<string> {
    const path = join(folder.path, `file-${(files += 1)}`)
    await writeFile(path, content)
    return path
  }

  async function aWorkDir(): Promise<string> {
    const path = join(folder.path, `work-${(files += 1)}`)
    await mkdir(path)
    return path
  }

  testObjectStore('a prefix of it', async () => {
    const settings = settingsOf(await s3.bucket())
    return {
      store: storeOf(settings),
      another: () => storeOf(settings),
      stop: () => Promise.resolve(),
    }
  })

  async function unfinished({ bucket: Bucket }: S3Settings): Promise<unknown[]> {
    return (await s3.client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? []
  }

  test('is shared by several stores, and with others, by prefix', async () => {
    const settings = settingsOf(await s3.bucket())
    const [media, originals] = [storeOf(settings, 'a/media/'), storeOf(settings, 'a/originals/')]
    await media.putFile('x', await aFile('film'))
    await originals.putFile('x', await aFile('original'))
    const ofConsoles = { Bucket: settings.bucket, Key: 'a/media/' }
    await s3.client.send(new PutObjectCommand({ ...ofConsoles, Body: Buffer.alloc(0) }))
    expect(await keysOf(media, '')).toEqual(['x'])
    await media.delete('x')
    expect(await keysOf(originals, '')).toEqual(['x'])
  })

  test('tells what objects are, and gives nobody rights to them', async () => {
    const settings = settingsOf(await s3.bucket())
    await storeOf(settings).putFile('a.mp4', await aFile('film'))
    const object = { Bucket: settings.bucket, Key: 'media/a.mp4' }
    expect(await s3.client.send(new HeadObjectCommand(object))).toMatchObject({
      ContentType: 'video/mp4',
    })
    const { Grants, Owner } = await s3.client.send(new GetObjectAclCommand(object))
    expect(Grants?.map(({ Grantee }) => Grantee?.ID)).toEqual([Owner?.ID])
  })

  test('lists more than fits in one answer', { timeout: 120_000 }, async () => {
    const settings = settingsOf(await s3.bucket())
    const names = Array.from({ length: 1010 }, (_, i) => `many/${i}`)
    for (let at = 0; at < names.length; at += 40) {
      await Promise.all(
        names
          .slice(at, at + 40)
          .map((name) =>
            s3.client.send(
              new PutObjectCommand({ Bucket: settings.bucket, Key: `media/${name}`, Body: 'x' }),
            ),
          ),
      )
    }
    expect(await keysOf(storeOf(settings), 'many/')).toEqual(names.sort())
  })

  test('a large file of which a part is refused leaves nothing', async () => {
    const settings = settingsOf(await s3.bucket())
    await using proxy = await refusingProxy(s3.endpoint, /partNumber=3/)
    const path = await aFile(Buffer.alloc(40 * MIB))
    const through = storeOf({ ...settings, endpoint: proxy.endpoint })
    await expect(through.putFile('large', path)).rejects.toThrow(/400|UnknownError/)
    expect(proxy.requests.filter((each) => /^PUT.*partNumber=/.test(each)).length).toBeGreaterThan(
      2,
    )
    expect(proxy.requests.some((each) => /^DELETE.*uploadId=/.test(each))).toBe(true)
    expect(await unfinished(settings)).toEqual([])
    expect(await storeOf(settings).find('large')).toBeNull()
  })

  test('a download goes on where it broke', async () => {
    const settings = settingsOf(await s3.bucket())
    const content = randomBytes(12 * MIB)
    await storeOf(settings).putFile('film', await aFile(content))
    await using proxy = await refusingProxy(s3.endpoint, /nothing/, { cutAfterBytes: 5 * MIB })
    const through = storeOf({ ...settings, endpoint: proxy.endpoint })
    const path = await through.asLocalFile('film', await aWorkDir())
    expect((await readFile(path)).equals(content)).toBe(true)
    expect(proxy.requests.filter((each) => each.startsWith('GET'))).toHaveLength(3)
  })

  test('a large file that gets shorter on its way in leaves nothing', async () => {
    const settings = settingsOf(await s3.bucket())
    const store = storeOf(settings)
    const path = await aFile(Buffer.alloc(64 * MIB))
    const putting = store.putFile('large', path)
    await until(async () => (await unfinished(settings)).length > 0, 'the upload has begun')
    await truncate(path, MIB)
    await expect(putting).rejects.toThrow('became shorter')
    expect([await unfinished(settings), await keysOf(store, '')]).toEqual([[], []])
  })

  test.each([
    [
      'fetched',
      'GetObject',
      (store: ObjectStore, signal: AbortSignal) =>
        aWorkDir().then((dir) => store.asLocalFile('film', dir, signal)),
    ],
    [
      'stored',
      'UploadPart',
      (store: ObjectStore, signal: AbortSignal, path: string) =>
        store.putFile('other', path, signal),
    ],
  ] as const)('what is being %s stops when it is told to', async (_what, operation, work) => {
    const settings = settingsOf(await s3.bucket())
    const path = await aFile(Buffer.alloc(20 * MIB))
    await storeOf(settings).putFile('film', path)
    await using proxy = await startS3Proxy(s3.endpoint)
    const leaving = new AbortController()
    proxy.rule = (request) => {
      if (request.operation !== operation) return null
      leaving.abort(new Error('has to go'))
      return { kind: 'silence' }
    }
    const through = storeOf({ ...settings, endpoint: proxy.endpoint })
    await expect(work(through, leaving.signal, path)).rejects.toThrow('has to go')
    // The premise: it went that far, and did not try again.
    expect(proxy.requests.filter(({ fault }) => fault === 'silence').length).toBeLessThan(3)
    expect(proxy.requests.some(({ fault }) => fault === 'silence')).toBe(true)
    expect([await unfinished(settings), await keysOf(storeOf(settings), '')]).toEqual([
      [],
      ['film'],
    ])
  })

  test('a file that is not there is told as such', async () => {
    const missing = (await aStore()).putFile('absent', join(folder.path, 'absent'))
    await expect(missing).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('is fetched once for all steps of a film', async () => {
    const store = await aStore()
    await store.putFile('film', await aFile(Buffer.alloc(12 * MIB, 'f')))
    const folders = await Promise.all([aWorkDir(), aWorkDir(), aWorkDir()])
    const paths = await Promise.all(folders.map((workDir) => store.asLocalFile('film', workDir)))
    const cached = await readdir(join(folder.path, `cache-${caches}`))
    expect(cached).toHaveLength(1)
    expect(new Set(paths).size).toBe(3)
    for (const path of paths) expect((await readFile(path)).length).toBe(12 * MIB)
  })

  test('another object under the same key is fetched anew', async () => {
    const store = await aStore()
    await store.putFile('film', await aFile('old'))
    await store.asLocalFile('film', await aWorkDir())
    await store.putFile('film', await aFile('new'))
    expect(await readFile(await store.asLocalFile('film', await aWorkDir()), 'utf8')).toBe('new')
  })

  test('a copy of what was deleted goes too, and stays with who uses it', async () => {
    const store = await aStore()
    await store.putFile('film', await aFile('film'))
    const path = await store.asLocalFile('film', await aWorkDir())
    await store.delete('film')
    expect(await readdir(join(folder.path, `cache-${caches}`))).toEqual([])
    expect(await readFile(path, 'utf8')).toBe('film')
    await expect(store.asLocalFile('film', await aWorkDir())).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  describe('that cannot be used says what to change', () => {
    test.each<[string, Partial<S3Settings>, string, RegExp]>([
      [
        'a wrong secret',
        { credentials: { accessKeyId: 'videoflixtests', secretAccessKey: 'no' } },
        'misconfigured',
        /AWS_SECRET_ACCESS_KEY/,
      ],
      [
        'an unknown key',
        { credentials: { accessKeyId: 'nobody', secretAccessKey: 'no' } },
        'misconfigured',
        /AWS_ACCESS_KEY_ID/,
      ],
      ['no such bucket', { bucket: 'nowhere' }, 'misconfigured', /There is no such bucket/],
      ['nobody at the endpoint', { endpoint: 'http://127.0.0.1:9' }, 'unavailable', /ECONNREFUSED/],
    ])('%s', { timeout: 30_000 }, async (_name, changes, code, sentence) => {
      const store = storeOf(settingsOf(changes.bucket ?? (await s3.bucket()), changes))
      const error: unknown = await store.check().catch((each: unknown) => each)
      expect(error).toMatchObject({ code, message: expect.stringMatching(sentence) })
    })

    test('a refused key is told by every call', async () => {
      const credentials = { accessKeyId: 'nobody', secretAccessKey: 'no' }
      const store = storeOf(settingsOf(await s3.bucket(), { credentials }))
      const isRefused = { code: 'misconfigured' }
      await expect(store.find('x')).rejects.toMatchObject(isRefused)
      await expect(store.read('x')).rejects.toMatchObject(isRefused)
      await expect(store.delete('x')).rejects.toMatchObject(isRefused)
      await expect(keysOf(store, '')).rejects.toMatchObject(isRefused)
    })

    test('a bucket that was removed', async () => {
      const settings = settingsOf(await s3.bucket())
      const store = storeOf(settings)
      await store.check()
      await s3.client.send(new DeleteBucketCommand({ Bucket: settings.bucket }))
      await expect(store.check()).rejects.toMatchObject({ code: 'misconfigured' })
    })
  })
})
