import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Presets, SingleBar } from 'cli-progress'
import type { App } from '../app.ts'
import { AppError } from '../errors.ts'
import { newId } from '../ports/ids.ts'
import { readVideoFields, shownFileName } from '../uploads/upload-fields.ts'
import { findVideoRecord } from '../videos/video-rows.ts'
import { explain, launch, migrateOrExplain } from './lifecycle.ts'

export interface ImportOptions {
  title?: string
  category?: string
  description?: string
  wait?: boolean
}

const VIDEO_EXTENSIONS = new Set(
  '.mp4 .m4v .mov .mkv .webm .avi .ts .m2ts .mts .mpg .mpeg .flv .wmv .asf .3gp .ogv .vob'.split(
    ' ',
  ),
)

/** `videoflix import`: films from this machine's disk. One that fails holds up no other; then the exit code is 1. */
export async function importFilms(paths: string[], options: ImportOptions): Promise<void> {
  const { app, settings } = await launch()
  try {
    await migrateOrExplain(settings)
    const files = (await Promise.all(paths.map(filesAt))).flat()
    if (files.length === 0) throw new AppError('invalid', 'There is no video file there.')
    if (options.title !== undefined && files.length > 1) {
      throw new AppError(
        'invalid',
        '--title is for one file: leave it out, and each is named after its file.',
      )
    }
    const imported: number[] = []
    for (const file of files) {
      const id = await importOrTell(app, file, options)
      if (id !== null) imported.push(id)
    }
    if (options.wait) for (const id of imported) await waitUntilProcessed(app, id)
    process.exitCode = imported.length === files.length ? process.exitCode : 1
  } finally {
    await app.close()
  }
}

async function filesAt(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => {
    throw new AppError('invalid', `There is no file or folder ${path}.`)
  })
  if (!found.isDirectory()) return [path]
  const names = await readdir(path, { recursive: true })
  return names
    .filter((name) => VIDEO_EXTENSIONS.has(extname(name).toLowerCase()))
    .sort()
    .map((name) => join(path, name))
}

async function importOrTell(
  app: App,
  path: string,
  options: ImportOptions,
): Promise<number | null> {
  try {
    const id = await importFilm(app, path, options)
    process.stdout.write(`${path}: video ${id}\n`)
    return id
  } catch (error) {
    process.stderr.write(`${path}: ${explain(error)}\n`)
    return null
  }
}

async function importFilm(app: App, path: string, options: ImportOptions): Promise<number> {
  const { title, category, description } = options
  const fileName = shownFileName(basename(path))
  const fields = await readVideoFields({ title, category, description }, fileName, app.library)
  const { size } = await stat(path)
  await app.staging.assertRoomFor(size)
  const uploadId = newId()
  const bar = new SingleBar(
    { format: '{bar} {percentage}%  {name}', hideCursor: true, clearOnComplete: true },
    Presets.shades_classic,
  )
  bar.start(Math.max(1, size), 0, { name: fileName })
  try {
    await app.staging.receive(
      uploadId,
      Readable.from(readShowing(path, bar), { objectMode: false }),
    )
    const upload = { uploadId, fileName, purpose: { fields }, expectedSha256: null }
    return await app.intake(upload, { userId: null, address: null })
  } catch (error) {
    await app.staging.remove(uploadId)
    throw error
  } finally {
    bar.stop()
  }
}

/** Pulled, not listened to: what a stream emits before somebody writes it down is lost. */
async function* readShowing(path: string, bar: SingleBar): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    bar.increment((chunk as Buffer).length)
    yield chunk as Buffer
  }
}

/** A running server or worker does the work; this only watches. */
async function waitUntilProcessed(app: App, id: number): Promise<void> {
  for (;;) {
    const source = (await findVideoRecord(app.db, id))?.newest
    if (!source || source.state === 'ready') {
      process.stdout.write(`video ${id}: ${source ? 'ready' : 'deleted'}\n`)
      return
    }
    if (source.state === 'error') {
      process.stderr.write(`video ${id}: ${source.error_message}\n`)
      process.exitCode = 1
      return
    }
    await sleep(500)
  }
}
