import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import type { AdminVideo, Playback } from '@videoflix/contract'
import type { Database } from '../../server/src/db/database.ts'
import type { ByteSpan, FragmentIndex } from '../../server/src/media/mp4/fragment-index.ts'
import type { Client } from '../harness/client.ts'

const exec = promisify(execFile)

/**
 * Looks at a server from outside: what it says over HTTP, what its rows name, what lies in its folders, and whether that
 * plays. Each finding is a sentence; none is good.
 */
export async function audit(facts: {
  dataDir: string
  db: Database
  videos: AdminVideo[]
  /** By upload id. */
  sha256: Map<string, string>
  /** Files of uploads that nobody knows of, and that expire. */
  lostCreations: number
}): Promise<string[]> {
  const { dataDir, db, videos, sha256, lostCreations } = facts
  const findings: string[] = []
  const named = await keysOf(db)
  const listed = videos.flatMap(({ id, converted_files: files, image_file: image }) =>
    [...Object.values(files), image].flatMap((url) => (url === null ? [] : mediaPath(url, id))),
  )
  for (const path of listed) {
    if (!named.has(path)) findings.push(`media/${path} is listed, and no row names it`)
  }
  const stored = await filesBelow(join(dataDir, 'media'))
  for (const path of stored) {
    if (!named.has(path)) findings.push(`media/${path} belongs to nothing`)
  }
  for (const path of named) {
    if (!stored.includes(path)) findings.push(`media/${path} is named and missing`)
  }
  findings.push(...(await auditFragments(dataDir, db)), ...(await auditSteps(dataDir, db)))

  const originals = await filesBelow(join(dataDir, 'originals'))
  for (const name of originals) {
    const expected = sha256.get(name)
    const bytes = await readFile(join(dataDir, 'originals', name))
    const actual = createHash('sha256').update(bytes).digest('hex')
    if (expected === undefined) findings.push(`originals/${name} belongs to nothing`)
    else if (actual !== expected) findings.push(`originals/${name} is not what was sent`)
  }
  for (const name of sha256.keys()) {
    if (!originals.includes(name)) findings.push(`the original of ${name} is missing`)
  }

  const uploads = await filesBelow(join(dataDir, 'uploads'))
  const unknown = new Set<string>()
  for (const name of uploads) {
    const id = name.replace(/\.json$/, '')
    if (sha256.has(id)) findings.push(`uploads/${name} is left`)
    else unknown.add(id)
  }
  if (unknown.size > lostCreations) findings.push(`${unknown.size} uploads are left`)
  for (const name of await readdir(join(dataDir, 'work')).catch(() => [])) {
    findings.push(`work/${name} is left`)
  }
  return findings
}

/** All that rows say is in the store of media. */
async function keysOf(db: Database): Promise<Set<string>> {
  const renditions = await db.selectFrom('renditions').select('object_key').execute()
  const tracks = await db.selectFrom('audio_tracks').select('object_key').execute()
  const subtitles = await db.selectFrom('subtitles').select('object_key').execute()
  const sources = await db.selectFrom('sources').select(['poster_key', 'storyboard']).execute()
  const stills = sources.flatMap(({ poster_key, storyboard }) => [
    poster_key,
    ...(storyboard?.sheets ?? []),
  ])
  const keys = [...renditions, ...tracks, ...subtitles].map((row) => row.object_key)
  return new Set([...keys, ...stills].filter((key) => key !== null))
}

/** Every rendition and every track with a file has an index, nothing else has one, and no span leaves its file. */
async function auditFragments(dataDir: string, db: Database): Promise<string[]> {
  const rows = await db.selectFrom('fragment_indexes').select(['object_key', 'fragments']).execute()
  const indexes = new Map(rows.map((row) => [row.object_key, row.fragments]))
  const renditions = await db.selectFrom('renditions').select('object_key').execute()
  const tracks = await db.selectFrom('audio_tracks').select('object_key').execute()
  const findings: string[] = []
  for (const { object_key: key } of [...renditions, ...tracks]) {
    if (key === null) continue
    const index = indexes.get(key)
    indexes.delete(key)
    const size = await stat(join(dataDir, 'media', key)).then(
      (found) => found.size,
      () => 0,
    )
    if (index === undefined) findings.push(`${key} has no fragment index`)
    else if (index.sizeBytes !== size) findings.push(`${key} has ${size} bytes`)
    else findings.push(...spansOf(index).flatMap((span) => misplaced(key, span, size)))
  }
  for (const key of indexes.keys()) findings.push(`a fragment index of ${key}, which nothing names`)
  return findings
}

function spansOf({ video, audio, initBoth }: FragmentIndex): ByteSpan[] {
  const tracks = [video, audio].filter((track) => track !== null)
  const fragments = tracks.flatMap(({ offsets, lengths }) =>
    offsets.map((offset, index): ByteSpan => [offset, lengths[index] ?? Number.NaN]),
  )
  return [...tracks.map(({ init }) => init), ...(initBoth ? [initBoth] : []), ...fragments]
}

function misplaced(key: string, [offset, length]: ByteSpan, size: number): string[] {
  const isInside = offset >= 0 && length >= 0 && offset + length <= size
  return isInside ? [] : [`${key} has a fragment at ${offset}, of ${length} bytes, beyond ${size}`]
}

/** What has ended has nothing left to do, and has left nothing for a next step. */
async function auditSteps(dataDir: string, db: Database): Promise<string[]> {
  const open = await db
    .selectFrom('steps')
    .innerJoin('sources', 'sources.id', 'steps.source_id')
    .select(['steps.name', 'steps.state', 'source_id'])
    .where('sources.state', 'in', ['ready', 'error'])
    .where('steps.state', 'in', ['waiting', 'running'])
    .execute()
  const unfinished = await db
    .selectFrom('sources')
    .select('id')
    .where('state', 'in', ['pending', 'processing'])
    .execute()
  const isNeeded = (file: string): boolean =>
    unfinished.some(({ id }) => file.split('/')[1] === String(id))
  const files = await filesBelow(join(dataDir, 'intermediates'))
  return [
    ...open.map((step) => `step ${step.name} of ${step.source_id} is ${step.state}`),
    ...files.filter((file) => !isNeeded(file)).map((file) => `intermediates/${file} is left`),
  ]
}

/** What a player would find at once: every playlist of a ready video, the manifest, the small pictures. */
export async function unplayable(client: Client, video: AdminVideo): Promise<string[]> {
  const { id, title, converted_files: files } = video
  const reply = await client.get(`/content/${id}/playback/`)
  if (reply.status !== 200) return [`${title}: playback ${reply.status}`]
  const { hls_url, dash_url, storyboard_url } = (await reply.json()) as Playback
  const master = await (await fetch(hls_url)).text()
  const variants = [...master.matchAll(/^http.*$/gm)]
  const isWhole = variants.length === Object.keys(files).length
  const playlists = [...master.matchAll(/https?:[^"\s]+/g)].map(([url]) => url)
  const urls = [hls_url, dash_url, ...(storyboard_url ? [storyboard_url] : []), ...playlists]
  const findings = urls.map(async (url) => {
    const { status } = await fetch(url)
    return status === 200 ? [] : [`${title}: ${status} for ${url}`]
  })
  return [
    ...(isWhole ? [] : [`${title}: ${variants.length} variants in the master playlist`]),
    ...(await Promise.all(findings)).flat(),
  ]
}

function mediaPath(url: string, videoId: number): string {
  const path = new URL(url).pathname.replace(/^\/media\//, '')
  if (!path.startsWith(`videos/${videoId}/`)) throw new Error(`${url} is not of video ${videoId}`)
  return path
}

/** Whether each rendition of a video, as it is served, decodes to its end; and lasts as long as the film. */
export async function undecodable(video: AdminVideo, durationMs: number): Promise<string[]> {
  const findings: string[] = []
  for (const [quality, url] of Object.entries(video.converted_files)) {
    const args = ['-v', 'error', '-xerror', '-i', url, '-f', 'null', '-']
    const { stderr } = await exec('ffmpeg', args).catch((error: { stderr: string }) => error)
    if (stderr !== '') findings.push(`${video.title} ${quality}: ${stderr}`)
    const entries = ['-show_entries', 'format=duration', '-of', 'csv=p=0']
    const { stdout } = await exec('ffprobe', ['-v', 'error', ...entries, url])
    const lasts = Number(stdout) * 1000
    if (Math.abs(lasts - durationMs) > 300) findings.push(`${video.title} ${quality}: ${lasts} ms`)
  }
  return findings
}

async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}

/** Programs that have to do with the folder, by command line or by their own folder; zombies do not. */
export function programsIn(folder: string): string[] {
  return processesIn(folder).map(({ pid, command }) => `${pid}: ${command}`)
}

/**
 * Without bubblewrap itself, whose child is listed if it has one: killed within the half millisecond
 * in which it makes a namespace, it leaves a process that waits idle until our next start ends it.
 */
export function programsAtWorkIn(folder: string): string[] {
  const working = processesIn(folder).filter(({ name }) => name !== 'bwrap')
  return working.map(({ pid, command }) => `${pid}: ${command}`)
}

function processesIn(folder: string): { pid: string; name: string; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [, name = '', state] =
          /\((.*)\) (\w)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
        if (state === 'Z') return []
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        const isInside =
          command.includes(folder) || readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)
        return isInside ? [{ pid, name, command }] : []
      } catch {
        return []
      }
    })
}
