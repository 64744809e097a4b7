import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  always,
  atFirst,
  noFault,
  startS3Proxy,
  type Fault,
  type Operation,
  type Rule,
  type S3Proxy,
} from '../../../../test/faults/s3-proxy.ts'
import { hasS3, startS3, type S3 } from '../../../../test/harness/s3.ts'
import { temporaryFolder, type TemporaryFolder } from '../../../../test/harness/temporary-folder.ts'
import { s3Settings, type S3Settings } from '../../config/s3-settings.ts'
import { newId } from '../ids.ts'
import { localCache } from './local-cache.ts'
import { keysOf } from './object-store.contract.ts'
import type { ObjectStore } from './object-store.ts'
import { createS3Client } from './s3-client.ts'
import { s3MultipartUploads, type MultipartUploads } from './s3-multipart.ts'
import { createS3Urls } from './s3-presign.ts'
import { s3Store } from './s3-store.ts'

const MIB = 1024 * 1024
/** Where nothing is to be silent, the machine may be slow. */
const [PATIENT_MS, IMPATIENT_MS] = [60_000, 1500]
const SMALL = randomBytes(100_000)
/** In two parts. */
const LARGE = randomBytes(9 * MIB)

const ANY: Fault[] = [
  { kind: 'reset' },
  { kind: 'lost answer' },
  { kind: 'slow down' },
  { kind: 'internal error' },
  { kind: 'delay', ms: 500 },
  { kind: 'silence' },
]
const OF_SENDING: Fault[] = [
  ...ANY,
  { kind: 'cut request', share: 0 },
  { kind: 'cut request', share: 0.7 },
]
const OF_GETTING: Fault[] = [
  ...ANY,
  { kind: 'cut answer', share: 0 },
  { kind: 'cut answer', share: 0.7 },
]
const OF_PARTS: Fault[] = [
  { kind: 'reset' },
  { kind: 'lost answer' },
  { kind: 'internal error' },
  { kind: 'cut request', share: 0.7 },
]
const OF_COMPLETING: Fault[] = [
  ...OF_PARTS,
  { kind: 'silence' },
  { kind: 'cut answer', share: 0.7 },
  { kind: 'error in 200' },
  { kind: 'error in 200 though done' },
]

describe.skipIf(!hasS3)('between us and S3', () => {
  let s3: S3
  let proxy: S3Proxy
  let folder: TemporaryFolder
  beforeAll(async () => {
    s3 = await startS3()
    proxy = await startS3Proxy(s3.endpoint)
    folder = await temporaryFolder()
  })
  afterAll(async () => {
    await proxy.stop()
    await s3.stop()
    await folder.remove()
  })

  let settings: S3Settings
  let client: S3Client
  let store: ObjectStore
  let uploads: MultipartUploads
  let cacheFolder: string
  let caches = 0
  beforeEach(async () => {
    const env = await s3.env()
    settings = s3Settings({
      USE_S3_MEDIA: true,
      AWS_STORAGE_BUCKET_NAME: env['AWS_STORAGE_BUCKET_NAME']!,
      AWS_S3_ENDPOINT_URL: proxy.endpoint,
      AWS_ACCESS_KEY_ID: env['AWS_ACCESS_KEY_ID']!,
      AWS_SECRET_ACCESS_KEY: env['AWS_SECRET_ACCESS_KEY']!,
      S3_TIMEOUT: PATIENT_MS,
    })!
    openStore()
    return () => client.destroy()
  })

  function openStore(changes: Partial<S3Settings> = {}): void {
    const { bucket } = settings
    client = createS3Client({ ...settings, ...changes })
    cacheFolder = join(folder.path, `cache-${(caches += 1)}`)
    const cache = localCache({ folder: cacheFolder, limitBytes: 1e9 })
    const headersOf = () => ({ contentType: 'video/mp4' })
    store = s3Store({ client, bucket, prefix: '', cache, headersOf, probeKey: newId })
    const urls = createS3Urls({ settings, credentials: () => settings.credentials! })
    uploads = s3MultipartUploads({ client, bucket, prefix: '', urls })
  }

  /** For requests from now on. */
  function goesWrong(fault: Fault, rule: Rule): void {
    if (fault.kind === 'silence') openStore({ silenceMs: IMPATIENT_MS })
    proxy.rule = rule
  }
  afterEach(() => {
    proxy.rule = noFault
    proxy.requests.length = 0
  })

  let files = 0
  async function aFile(content: Buffer): Promise<string> {
    const path = join(folder.path, `file-${(files += 1)}`)
    await writeFile(path, content)
    return path
  }

  async function aWorkDir(): Promise<string> {
    const path = join(folder.path, `work-${(files += 1)}`)
    await mkdir(path)
    return path
  }

  const stored = async (key: string): Promise<Buffer | null> =>
    (await store.find(key)) && (await buffer(await store.read(key)))

  async function unfinished(): Promise<number> {
    const list = new ListMultipartUploadsCommand({ Bucket: settings.bucket })
    return (await s3.client.send(list)).Uploads?.length ?? 0
  }

  const met = (kind: Fault['kind']): number =>
    proxy.requests.filter(({ fault }) => fault === kind).length

  /** Faults that nothing can be done about. */
  const isAway = { code: 'unavailable', message: expect.stringMatching(/^S3 cannot be used now/) }

  const named = (faults: Fault[]): [string, Fault][] =>
    faults.map((fault) => ['share' in fault ? `${fault.kind} ${fault.share}` : fault.kind, fault])

  test.each(named(OF_SENDING))('%s, at a small file: it is sent again', async (_name, fault) => {
    goesWrong(fault, atFirst(fault, ['PutObject']))
    await store.putFile('film', await aFile(SMALL))
    expect(met(fault.kind)).toBe(1)
    expect((await stored('film'))?.equals(SMALL)).toBe(true)
  })

  test.each(named(OF_PARTS))('%s, at every part: each is sent again', async (_name, fault) => {
    goesWrong(fault, atFirst(fault, ['UploadPart'], 2))
    await store.putFile('film', await aFile(LARGE))
    expect(met(fault.kind)).toBe(2)
    expect((await stored('film'))?.equals(LARGE)).toBe(true)
    expect(await unfinished()).toBe(0)
  })

  test.each(named(OF_COMPLETING))('%s, at the end of a large file', async (_name, fault) => {
    goesWrong(fault, atFirst(fault, ['CompleteMultipartUpload']))
    await store.putFile('film', await aFile(LARGE))
    expect(met(fault.kind)).toBe(1)
    expect((await stored('film'))?.equals(LARGE)).toBe(true)
    expect(await unfinished()).toBe(0)
  })

  describe('a store that has forgotten the upload', () => {
    /** At the end, S3 does it, the answer is lost, and the second request is told that there is no such upload. */
    function forgetsAtTheEnd(first: Fault): void {
      let met = 0
      proxy.rule = ({ operation }) => {
        if (operation !== 'CompleteMultipartUpload') return null
        return (met += 1) === 1 ? first : { kind: 'forgotten upload' }
      }
    }

    test('because it is complete: the file is stored', async () => {
      forgetsAtTheEnd({ kind: 'lost answer' })
      await store.putFile('film', await aFile(LARGE))
      expect((await stored('film'))?.equals(LARGE)).toBe(true)
    })

    test('because it was aborted: trying again may help', async () => {
      forgetsAtTheEnd({ kind: 'internal error' })
      const putting = store.putFile('film', await aFile(LARGE))
      await expect(putting).rejects.toMatchObject({ code: 'unavailable' })
      expect(await stored('film')).toBeNull()
    })

    test('because it was aborted, where another file was: that one is not taken for this one', async () => {
      await store.putFile('film', await aFile(SMALL))
      forgetsAtTheEnd({ kind: 'internal error' })
      const putting = store.putFile('film', await aFile(LARGE))
      await expect(putting).rejects.toMatchObject({ code: 'unavailable' })
    })

    test('in the middle: trying again may help, and nothing says that something is not there', async () => {
      proxy.rule = always({ kind: 'forgotten upload' }, ['UploadPart'])
      const putting = store.putFile('film', await aFile(LARGE))
      await expect(putting).rejects.toMatchObject({ code: 'unavailable' })
      expect(await unfinished()).toBe(0)
    })
  })

  test.each<[string, Buffer, Operation, Fault]>([
    ['a small file', SMALL, 'PutObject', { kind: 'reset' }],
    ['a small file', SMALL, 'PutObject', { kind: 'cut request', share: 0.7 }],
    ['a large file', LARGE, 'UploadPart', { kind: 'internal error' }],
    ['a large file', LARGE, 'UploadPart', { kind: 'cut request', share: 0.7 }],
    ['a large file', LARGE, 'UploadPart', { kind: 'silence' }],
  ])('%s that never arrives whole leaves nothing', async (_size, content, operation, fault) => {
    goesWrong(fault, always(fault, [operation]))
    const putting = store.putFile('film', await aFile(content))
    await expect(putting).rejects.toMatchObject(isAway)
    expect([await keysOf(store, ''), await unfinished()]).toEqual([[], 0])
  })

  test('what cannot be aborted either is found, and can be aborted later', async () => {
    proxy.rule = always({ kind: 'internal error' }, ['UploadPart', 'AbortMultipartUpload'])
    await expect(store.putFile('film', await aFile(LARGE))).rejects.toMatchObject(isAway)
    expect(await unfinished()).toBe(1)
    proxy.rule = noFault
    for await (const { key, id } of uploads.listBegunBefore(new Date(Date.now() + 60_000))) {
      await uploads.abort(key, id)
    }
    expect(await unfinished()).toBe(0)
  })

  test.each(named(OF_GETTING))('%s: a download goes on', async (_name, fault) => {
    await store.putFile('film', await aFile(LARGE))
    goesWrong(fault, atFirst(fault, ['GetObject'], fault.kind === 'silence' ? 1 : 2))
    const path = await store.asLocalFile('film', await aWorkDir())
    expect((await readFile(path)).equals(LARGE)).toBe(true)
    expect(met(fault.kind)).toBeGreaterThan(0)
  })

  test.each(named(OF_GETTING.filter(({ kind }) => !/delay|slow down/.test(kind))))(
    '%s all the time: no file is had, and never a short one',
    async (_name, fault) => {
      await store.putFile('film', await aFile(SMALL))
      // Always short of something, whatever has arrived already.
      goesWrong(
        fault,
        always(fault.kind === 'cut answer' ? { ...fault, share: 0 } : fault, ['GetObject']),
      )
      const workDir = await aWorkDir()
      await expect(store.asLocalFile('film', workDir)).rejects.toMatchObject({
        code: 'unavailable',
      })
      expect([await readdir(workDir), await readdir(cacheFolder)]).toEqual([[], []])
    },
  )

  test.each([0, 0.7])(
    'an answer that is cut at %d ends no stream as if it was whole',
    async (share) => {
      await store.putFile('film', await aFile(LARGE))
      proxy.rule = always({ kind: 'cut answer', share }, ['GetObject'])
      const readAll = async (range?: { start: number; end: number }): Promise<Buffer> =>
        await buffer(await store.read('film', range))
      await expect(readAll()).rejects.toMatchObject(isAway)
      await expect(readAll({ start: 100, end: 8 * MIB })).rejects.toMatchObject(isAway)
    },
  )

  test('a store that freezes is given up, and used again when it goes on', async () => {
    openStore({ silenceMs: IMPATIENT_MS })
    await store.putFile('film', await aFile(LARGE))
    const workDir = await aWorkDir()
    s3.freeze()
    try {
      await expect(store.asLocalFile('film', workDir)).rejects.toMatchObject(isAway)
      await expect(store.putFile('another', await aFile(LARGE))).rejects.toMatchObject(isAway)
    } finally {
      s3.thaw()
    }
    openStore()
    expect((await readFile(await store.asLocalFile('film', workDir))).equals(LARGE)).toBe(true)
  })

  test('a store that freezes in the middle of a film: what is read breaks off', async () => {
    await store.putFile('film', await aFile(LARGE))
    openStore({ silenceMs: IMPATIENT_MS })
    const film = await store.read('film')
    try {
      s3.freeze()
      await expect(buffer(film)).rejects.toMatchObject(isAway)
    } finally {
      s3.thaw()
    }
  })

  test.each(named(ANY))('%s: what is there is found, deleted and listed', async (_name, fault) => {
    const keys = ['a', 'b', 'c']
    for (const key of keys) await store.putFile(key, await aFile(SMALL))
    goesWrong(fault, atFirst(fault, ['HeadObject']))
    expect(await store.find('a')).toMatchObject({ key: 'a' })
    goesWrong(fault, atFirst(fault, ['ListObjects']))
    expect(await keysOf(store, '')).toEqual(keys)
    goesWrong(fault, atFirst(fault, ['DeleteObject']))
    await store.delete('a')
    expect(met(fault.kind)).toBe(3)
    expect(await keysOf(store, '')).toEqual(['b', 'c'])
  })

  test.each([0, 0.3, 0.99])('a list that is cut at %d is asked for again', async (share) => {
    for (const key of ['a', 'b', 'c']) await store.putFile(key, await aFile(SMALL))
    proxy.rule = atFirst({ kind: 'cut answer', share }, ['ListObjects'], 2)
    expect(await keysOf(store, '')).toEqual(['a', 'b', 'c'])
    proxy.rule = always({ kind: 'cut answer', share }, ['ListObjects'])
    await expect(keysOf(store, '')).rejects.toMatchObject(isAway)
  })

  test.each(named(ANY.filter(({ kind }) => kind !== 'delay')))(
    '%s all the time: everything says that S3 is away, and nothing that something is not there',
    async (_name, fault) => {
      await store.putFile('film', await aFile(SMALL))
      const id = await uploads.begin('begun')
      goesWrong(fault, always(fault))
      const asked = {
        find: store.find('film'),
        read: store.read('film'),
        asLocalFile: store.asLocalFile('film', await aWorkDir()),
        delete: store.delete('film'),
        list: keysOf(store, ''),
        check: store.check(),
        begin: uploads.begin('another'),
        listParts: uploads.listParts('begun', id),
        complete: uploads.complete('begun', id, []),
        abort: uploads.abort('begun', id),
      }
      const answers = await Promise.allSettled(Object.values(asked))
      const told = answers.map((each) => (each.status === 'rejected' ? each.reason : each.value))
      expect(told).toEqual(Object.keys(asked).map(() => expect.objectContaining(isAway)))
    },
  )
})
