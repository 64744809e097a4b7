import { realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { S3Settings } from '../config/s3-settings.ts'
import { readSettings, type Settings } from '../config/settings.ts'
import { AppError } from '../errors.ts'
import type { Database } from '../db/database.ts'
import { isNamed } from '../moving/is-named.ts'
import { listNamedObjects } from '../moving/named-objects.ts'
import { localStores, openStores } from '../storage/stores.ts'
import {
  migrateStorage,
  type MigrationCounts,
  type Stores,
} from '../storage-migration/migrate-storage.ts'
import { countUploadsUnderWay, type UploadsUnderWay } from '../uploads/under-way.ts'
import { scratchName } from '../processing/scratch.ts'
import { launch, migrateOrExplain } from './lifecycle.ts'
import { counted, inBytes, progressLine } from './progress-line.ts'

export interface MigrateStorageOptions {
  from?: string
  to?: string
  fromFolder?: string
  toFolder?: string
  checksums: boolean
  deleteSource?: boolean
}

/** One end of the way. */
interface End {
  name: string
  isBucket: boolean
  stores: Stores
  /** Folders, or the place in a bucket: two ends that share one would be mixed up. */
  places: string[]
  close(): void
}

/** `videoflix migrate-storage`: everything plays all the while, from where the settings say. */
export async function moveStorage(options: MigrateStorageOptions): Promise<void> {
  const { app, settings } = await launch()
  const line = progressLine()
  const ends: End[] = []
  try {
    const from = await openEnd(settings, 'from', options.from, options.fromFolder)
    ends.push(from)
    const to = await openEnd(settings, 'to', options.to, options.toFolder)
    ends.push(to)
    assertApart(from, to)
    await migrateOrExplain(settings)
    const underWay = (): Promise<UploadsUnderWay> =>
      countUploadsUnderWay({ db: app.db, now: app.clock.now(), dir: settings.uploads.dir })
    if (options.deleteSource) {
      await assertNotInUse(from, settings)
      assertNoneGoesOn(from, await underWay())
    } else await assertHasFiles(app.db, from, to)
    const counts = await migrateStorage({
      from: from.stores,
      to: to.stores,
      workDir: join(settings.tasks.workDir, scratchName('migrate')),
      comparesBytes: options.checksums,
      isNamed: (object) => isNamed(app.db, object),
      deletesSource: options.deleteSource ?? false,
      onObject: (now) => line.show(sentence(now)),
    })
    line.end()
    say(sentence(counts))
    if (counts.foreign > 0) {
      say(`${counted(counts.foreign, 'file')} of other programs stayed where they are.`)
    }
    if (options.deleteSource) {
      say(whatIsLeft(from, counts))
      return
    }
    say(whatNext(from, to, options))
    for (const text of whatOfUploads(from, await underWay())) say(text)
  } finally {
    line.end()
    for (const end of ends) end.close()
    await app.close()
  }
}

async function openEnd(
  settings: Settings,
  which: 'from' | 'to',
  kind: string | undefined,
  folder: string | undefined,
): Promise<End> {
  if (folder !== undefined) return await localEnd(resolve(folder), foldersBelow(resolve(folder)))
  if (kind === 'local') return await localEnd('local', settings)
  if (kind === 's3') return await bucketEnd(settings)
  throw new AppError(
    'misconfigured',
    `Say where ${which === 'from' ? 'the files are' : 'they go'}: --${which} local, --${which} s3, or --${which}-folder FOLDER.`,
  )
}

type Folders = Parameters<typeof localStores>[0]

function foldersBelow(folder: string): Folders {
  return {
    originalsDir: join(folder, 'originals'),
    intermediatesDir: join(folder, 'intermediates'),
    media: { root: join(folder, 'media') },
  }
}

async function localEnd(name: string, folders: Folders): Promise<End> {
  const stores = localStores(folders)
  return {
    name,
    isBucket: false,
    stores,
    places: await placesOf(folders),
    close: () => stores.close(),
  }
}

async function placesOf({ originalsDir, intermediatesDir, media }: Folders): Promise<string[]> {
  const folders = [originalsDir, intermediatesDir, media.root]
  return await Promise.all(folders.map((folder) => realpath(folder).catch(() => folder)))
}

/** That of the settings, whether it is in use already or not. */
async function bucketEnd(settings: Settings): Promise<End> {
  const { s3 } = readSettings({ ...process.env, USE_S3_MEDIA: 'True' }, settings.dataDir).settings
  if (s3 === null) throw new AppError('misconfigured', 'Set AWS_STORAGE_BUCKET_NAME.')
  const stores = await openStores({ ...settings, s3 })
  return {
    name: 's3',
    isBucket: true,
    stores,
    places: [placeInBucket(s3)],
    close: () => stores.close(),
  }
}

function placeInBucket({ endpoint, bucket, prefix }: S3Settings): string {
  return `s3://${endpoint ?? 'aws'}/${bucket}/${prefix}`
}

function assertApart(from: End, to: End): void {
  const isWithin = (one: string, other: string): boolean => `${one}/`.startsWith(`${other}/`)
  const isMixed = from.places.some((one) =>
    to.places.some((other) => isWithin(one, other) || isWithin(other, one)),
  )
  if (isMixed) {
    throw new AppError('misconfigured', 'Both ends share a place: choose another for one of them.')
  }
}

async function assertNotInUse(from: End, settings: Settings): Promise<void> {
  const used = settings.s3 === null ? await placesOf(settings) : [placeInBucket(settings.s3)]
  if (!from.places.some((place) => used.includes(place))) return
  throw new AppError(
    'conflict',
    `Videoflix still uses ${from.name}: change the settings to the new place first, restart, then use --delete-source.`,
  )
}

const SAMPLED = 50

/** Where nothing is that rows name, a disk is not mounted, or it is another folder. */
async function assertHasFiles(db: Database, from: End, to: End): Promise<void> {
  const looked = { originals: 0, media: 0 }
  const missing = { originals: 0, media: 0 }
  for await (const { store, key } of listNamedObjects(db)) {
    if (Math.min(looked.originals, looked.media) >= SAMPLED) break
    if (looked[store] >= SAMPLED) continue
    looked[store] += 1
    const found = (await from.stores[store].find(key)) ?? (await to.stores[store].find(key))
    if (found === null) missing[store] += 1
  }
  for (const store of ['originals', 'media'] as const) {
    if (looked[store] === 0 || missing[store] < looked[store]) continue
    throw new AppError(
      'conflict',
      `None of the ${store} that the database names is at ${from.name}, so nothing was copied: see whether that is the right place, and its disk mounted.`,
    )
  }
}

/** What of an upload has come to the bucket so far would go with the rest. */
function assertNoneGoesOn(from: End, { inBucket }: UploadsUnderWay): void {
  if (!from.isBucket || inBucket === 0) return
  throw new AppError(
    'conflict',
    `${counted(inBucket, 'resumable upload')} began in ${from.name} and ${inBucket === 1 ? 'goes' : 'go'} on there: let them end (what does not go on is forgotten after UPLOAD_TTL), then use --delete-source.`,
  )
}

function sentence({ copied, copiedBytes, there, deleted }: MigrationCounts): string {
  const gone = deleted > 0 ? `, ${deleted} removed from the source` : ''
  return `${counted(copied, 'object')} copied (${inBytes(copiedBytes)}), ${there} there already${gone}.`
}

function whatIsLeft({ name }: End, { unnamed }: MigrationCounts): string {
  if (unnamed === 0) return `${name} is empty now.`
  return `${name} is empty now, but for ${counted(unnamed, 'file')} of what was deleted or replaced since: remove them by hand.`
}

function whatNext(from: End, to: End, options: MigrateStorageOptions): string {
  const again = ['from', 'to'].map((which) => {
    const folder = which === 'from' ? options.fromFolder : options.toFolder
    const kind = which === 'from' ? options.from : options.to
    return folder === undefined ? `--${which} ${kind}` : `--${which}-folder ${folder}`
  })
  return [
    `Everything of ${from.name} is at ${to.name}. Now:`,
    '1. stop servers and workers, and run this command once more: it copies what came meanwhile',
    '2. change the settings to the new place, and start',
    `3. when all is well: videoflix migrate-storage ${again.join(' ')} --delete-source`,
  ].join('\n')
}

/** They are not copied: those that can go on do so where they began. */
function whatOfUploads(
  { isBucket }: End,
  { inFolder, inBucket, straight }: UploadsUnderWay,
): string[] {
  const sentences: string[] = []
  if (isBucket && straight > 0) {
    sentences.push(
      `${counted(straight, 'upload')} under way from a browser straight to the bucket: let them end first, or they have to begin anew.`,
    )
  }
  const resumable = isBucket ? inBucket : inFolder
  if (resumable > 0) {
    const provided = isBucket
      ? 'the settings keep the bucket (AWS_…) until they have ended'
      : 'DATA_DIR stays, or its folder `uploads` comes along'
    sentences.push(
      `${counted(resumable, 'resumable upload')} under way, to go on after the change if ${provided}.`,
    )
  }
  return sentences
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
